"""Build images, push them to the node's registry and run commands in them; only what is missing is done."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bitagent_local.cluster.host import ClusterError, exclusive
from bitagent_local.cluster.node import Node
from bitagent_local.images.base import at_time, base_reference, ensure_base, timestamp
from bitagent_local.images.smoke import SMOKE
from bitagent_local.images.spec import ImageSpec, content_key, reference, stage
from bitagent_local.images.store import Store

VISIBLE = (Path("/etc/pip.conf"), Path("/etc/ssl/certs/ca-certificates.crt"))
"""Files of this machine that RUN steps see, where they exist, to reach package registries.

Images do not contain them.
"""


def image_reference(spec: ImageSpec) -> str:
    """Return the name that an image has or will have. Raises ClusterError if a path of the context does not exist."""
    return reference(spec.name, content_key(spec, base=base_reference()))


def build_image(node: Node, spec: ImageSpec, *, show: bool = False, epoch: int | None = None) -> str:
    """Return the name of an image, building it if the store lacks it. Needs root, but no node.

    With `epoch` it is another image, whose files all have that time: built again, it has the same digest.
    Raises ClusterError if the build fails.
    """
    store, name = Store(node.cache), at_time(image_reference(spec), epoch)
    with exclusive(node.cache / "buildah.lock"):
        if not store.has(name):
            _build(store, spec, name, ensure_base(store, epoch=epoch), show=show, epoch=epoch)
    return name


def build_unless_pushed(node: Node, spec: ImageSpec, *, show: bool = False) -> str:
    """Return the name of an image, building it unless store or registry have it. Needs root, but no node.

    Raises ClusterError if the build fails.
    """
    name = image_reference(spec)
    return name if in_registry(node, name) else build_image(node, spec, show=show)


def ensure_image(node: Node, spec: ImageSpec, *, show: bool = False) -> str:
    """Return the name of an image that the node can pull: built and pushed unless the registry has it. Needs root.

    Raises ClusterError if the build fails, or if the image has to be pushed and the node is not up.
    """
    name = image_reference(spec)
    if not in_registry(node, name):
        build_image(node, spec, show=show)
        push_image(node, name)
    return name


def in_registry(node: Node, name: str) -> bool:
    """Whether the node's registry has an image, according to its storage: the node need not be up."""
    repository, _, tag = name.partition("/")[2].rpartition(":")
    tags = node.registry_storage / "docker" / "registry" / "v2" / "repositories" / repository / "_manifests" / "tags"
    return (tags / tag / "current" / "link").exists()


def push_image(node: Node, name: str) -> None:
    """Push an image of the store to the node's registry.

    Raises ClusterError if the node is not up, or the push fails.
    """
    if not Path(f"/run/netns/{node.scope}").exists():
        raise ClusterError(f"cannot push {name}: the node is not up (`python3 -m bitagent_local.cluster up`)")
    # zstd at its fastest: three times faster than gzip, and smaller.
    compression = ["--compression-format", "zstd", "--compression-level", "1"]
    Store(node.cache).run("push", "--quiet", "--tls-verify=false", *compression, name, enter=node.enter)


def archive_image(node: Node, spec: ImageSpec, target: Path, *, tag: str, epoch: int) -> str:
    """Write an image as an OCI archive under another name, building it first if the store lacks it. Needs root.

    Its files have the time `epoch`. Raises ClusterError if the build fails, or if its programs do not run.
    """
    name = build_image(node, spec, epoch=epoch)
    run_in_image(node, name, SMOKE[spec.name])
    store = Store(node.cache)
    store.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store.scratch) as folder:
        store.run("push", "--quiet", name, f"oci:{folder}:{tag}")
        _write_archive(Path(folder), target, epoch=epoch)
    return name


def _write_archive(folder: Path, target: Path, *, epoch: int) -> None:
    """Write the files of a folder as a tar archive: in the order of their names, of one time and no owner."""
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(each for each in folder.rglob("*") if each.is_file()):
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            entry.size, entry.mode, entry.mtime = path.stat().st_size, 0o644, epoch
            with path.open("rb") as content:
                archive.addfile(entry, content)


def run_in_image(node: Node, reference: str, command: Sequence[str]) -> str:
    """Run a command in an image of the store, as the image's user, and return its output. Needs root, but no node.

    Raises ClusterError if there is no such image, or the command fails.
    """
    store = Store(node.cache)
    container = store.run("from", "--pull-never", reference).strip()
    try:
        return store.run("run", "--isolation", "chroot", container, "--", *command)
    finally:
        store.run("rm", container)


def _build(store: Store, spec: ImageSpec, name: str, base: str, *, show: bool, epoch: int | None) -> None:
    store.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=store.scratch) as context:
        stage(spec, Path(context))
        binds = [word for path in VISIBLE if path.exists() for word in ("--volume", f"{path}:{path}:ro")]
        args = [
            word for key, value in {**spec.args, "BASE": base}.items() for word in ("--build-arg", f"{key}={value}")
        ]
        # Chroot isolation needs only root; layers are kept, working containers are not.
        fixed = ["--layers", "--force-rm", "--isolation", "chroot", "--pull-never", "--format", "oci"]
        words = [*fixed, *timestamp(epoch), *binds, *args, "--tag", name, "--file", str(spec.dockerfile), context]
        store.run("bud", *words, show=show)
