"""Running a command in a built image without any container engine: does what was built start at all?"""

from __future__ import annotations

from collections.abc import Sequence

from bitagent_local.cluster.node import Node

from .store import Store


def run_in_image(node: Node, reference: str, command: Sequence[str]) -> str:
    """Run a command in an image of the store, as the image's user, and return its output. Needs root, but no node.

    Raises:
        ClusterError: There is no such image, or the command failed.
    """
    store = Store(node.cache)
    container = store.run("from", "--pull-never", reference).strip()
    try:
        return store.run("run", "--isolation", "chroot", container, "--", *command)
    finally:
        store.run("rm", container)
