"""Making sure that an image is built and in the node's registry, doing only what is missing."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bitagent_local.cluster.errors import ClusterError
from bitagent_local.cluster.locks import exclusive
from bitagent_local.cluster.node import Node

from .base import base_reference, ensure_base
from .spec import ImageSpec, content_key, reference, stage
from .store import Store

VISIBLE = (Path("/etc/pip.conf"), Path("/etc/ssl/certs/ca-certificates.crt"))
"""Files of this machine that RUN steps see, where they exist: how it reaches package registries. They do not get into images."""


def image_reference(spec: ImageSpec) -> str:
    """Return the name that an image has or will have.

    Raises:
        ClusterError: A path of the context does not exist.
    """
    return reference(spec.name, content_key(spec, base=base_reference()))


def build_image(node: Node, spec: ImageSpec, *, show: bool = False) -> str:
    """Return the name of an image, building it if the store lacks it. Needs root, but no node.

    Raises:
        ClusterError: The build failed.
    """
    store, name = Store(node.cache), image_reference(spec)
    with exclusive(node.cache / "buildah.lock"):
        if not store.has(name):
            _build(store, spec, name, ensure_base(store), show=show)
    return name


def build_unless_pushed(node: Node, spec: ImageSpec, *, show: bool = False) -> str:
    """Return the name of an image that can be pushed or has been: what the registry has need not be built. Needs root, but no node.

    Raises:
        ClusterError: The build failed.
    """
    name = image_reference(spec)
    return name if in_registry(node, name) else build_image(node, spec, show=show)


def ensure_image(node: Node, spec: ImageSpec, *, show: bool = False) -> str:
    """Return the name of an image that the node can pull: built and pushed unless the registry has it. Needs root.

    Raises:
        ClusterError: The build failed, or the image is not in the registry and the node is not up.
    """
    name = image_reference(spec)
    if not in_registry(node, name):
        build_image(node, spec, show=show)
        push_image(node, name)
    return name


def in_registry(node: Node, name: str) -> bool:
    """Whether the node's registry has an image; known from its storage, so the node need not be up."""
    repository, _, tag = name.partition("/")[2].rpartition(":")
    tags = node.registry_storage / "docker" / "registry" / "v2" / "repositories" / repository / "_manifests" / "tags"
    return (tags / tag / "current" / "link").exists()


def push_image(node: Node, name: str) -> None:
    """Push an image of the store to the node's registry.

    Raises:
        ClusterError: The node is not up, or the push failed.
    """
    if not Path(f"/run/netns/{node.scope}").exists():
        raise ClusterError(f"cannot push {name}: the node is not up (`python3 -m bitagent_local.cluster up`)")
    # zstd at its fastest: three times faster than gzip, and smaller.
    compression = ["--compression-format", "zstd", "--compression-level", "1"]
    Store(node.cache).run("push", "--quiet", "--tls-verify=false", *compression, name, enter=node.enter)


def _build(store: Store, spec: ImageSpec, name: str, base: str, *, show: bool) -> None:
    store.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store.scratch) as context:
        stage(spec, Path(context))
        binds = [word for path in VISIBLE if path.exists() for word in ("--volume", f"{path}:{path}:ro")]
        args = [
            word for key, value in {**spec.args, "BASE": base}.items() for word in ("--build-arg", f"{key}={value}")
        ]
        # Chroot isolation needs nothing of the machine but root; layers are kept, working containers are not.
        fixed = ["--layers", "--force-rm", "--isolation", "chroot", "--pull-never", "--format", "oci"]
        store.run("bud", *fixed, *binds, *args, "--tag", name, "--file", str(spec.dockerfile), context, show=show)
