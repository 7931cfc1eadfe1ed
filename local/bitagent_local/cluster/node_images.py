"""The two images that the node itself runs, put into containerd directly; they stay in the cache like all others."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from .binaries import Binaries
from .errors import ClusterError
from .node import Node
from .single_file_image import write_image

REPOSITORY = "bitagent.local"


def pause_image(binaries: Binaries) -> str:
    """Return the name of the sandbox image of this build."""
    return f"{REPOSITORY}/pause:{binaries.folder.name}"


def dns_image(binaries: Binaries) -> str:
    """Return the name of the CoreDNS image of this build."""
    return f"{REPOSITORY}/coredns:{binaries.folder.name}"


def import_missing(node: Node, binaries: Binaries) -> list[str]:
    """Make and import the images that containerd does not have; return their names.

    Raises:
        ClusterError: containerd refused one.
    """
    present = set(_run(node.ctr("images", "ls", "-q")).split())
    wanted = {
        pause_image(binaries): (binaries.pause, "65535:65535"),
        dns_image(binaries): (binaries.coredns, "65532:65532"),
    }
    missing = [name for name in wanted if name not in present]
    for name in missing:
        binary, user = wanted[name]
        with tempfile.TemporaryDirectory(dir=node.state) as scratch:
            archive = Path(scratch) / "image.tar"
            write_image(archive, name=name, binary=binary, user=user)
            _run(node.ctr("images", "import", str(archive)))
    return missing


def purge_containers(node: Node) -> list[str]:
    """Remove all containers with what they wrote, from a containerd whose pods are dead; return their ids.

    Raises:
        ClusterError: containerd does not answer, or one would not go.
    """
    containers = _run(node.ctr("containers", "ls", "-q")).split()
    tasks = _run(node.ctr("tasks", "ls", "-q")).split()
    if tasks:
        _run(node.ctr("tasks", "rm", "-f", *tasks))
    if containers:
        _run(node.ctr("containers", "rm", *containers))
    return containers


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"`{' '.join(command[:6])} …` did not end within 60 s") from error
    if done.returncode != 0:
        raise ClusterError(f"`{' '.join(command[:6])} …` failed: {done.stderr.strip()[-800:]}")
    return done.stdout
