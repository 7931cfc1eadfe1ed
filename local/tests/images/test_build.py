"""Names of images, and what the registry has."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from bitagent_local.cluster.host import ClusterError
from bitagent_local.cluster.node import Node
from bitagent_local.images import build
from bitagent_local.images.base import base_reference
from bitagent_local.images.build import archive_image, image_reference, in_registry, push_image
from bitagent_local.images.spec import ImageSpec


@pytest.fixture
def spec(tmp_path: Path) -> ImageSpec:
    (tmp_path / "app" / "__pycache__").mkdir(parents=True)
    (tmp_path / "app" / "main.py").write_text("print()\n")
    (tmp_path / "app" / "__pycache__" / "main.pyc").write_text("cached")
    (tmp_path / "lock.txt").write_text("x==1\n")
    (tmp_path / "unrelated.txt").write_text("1")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    return ImageSpec("app", tmp_path / "Dockerfile", tmp_path, ("app", "lock.txt"), {"A": "1"})


def test_references_are_names_in_the_nodes_registry(spec: ImageSpec) -> None:
    assert image_reference(spec).startswith(f"{Node().registry}/bitagent/app:")
    assert base_reference().startswith(f"{Node().registry}/bitagent/base:")


def test_the_registry_is_read_from_its_storage(tmp_path: Path) -> None:
    node = Node(cache=tmp_path, state=tmp_path)
    name = "localhost:5000/bitagent/app:0123"
    assert not in_registry(node, name)
    tag = node.registry_storage / "docker/registry/v2/repositories/bitagent/app/_manifests/tags/0123/current"
    tag.mkdir(parents=True)
    (tag / "link").write_text("sha256:0")
    assert in_registry(node, name)
    assert not in_registry(node, name + "4")


def test_pushing_needs_the_node(tmp_path: Path) -> None:
    node = Node(cache=tmp_path, state=tmp_path, scope="no-such-node")
    with pytest.raises(ClusterError, match="the node is not up"):
        push_image(node, "localhost:5000/bitagent/app:1")


def test_an_archive_has_the_image_under_the_name_of_the_release(
    spec: ImageSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image was run once; the archive has the same bytes whenever it is written, also over an older one."""
    calls: list[str] = []

    def push(self: object, *words: str, **options: object) -> None:
        calls.append(" ".join(words[:3]))
        _, folder, tag = words[3].split(":", 2)
        for name in ("oci-layout", "blobs/b", "blobs/a"):
            path = Path(folder) / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(tag)

    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(build.Store, "run", push)
    monkeypatch.setattr(build, "build_image", lambda node, spec, epoch: f"localhost:5000/bitagent/app:1-{epoch}")
    monkeypatch.setattr(build, "run_in_image", lambda node, name, command: ran.append((name, *command)))
    monkeypatch.setattr(build, "SMOKE", {"app": ["app", "--help"]})
    written = []
    for name in ("a.tar", "b.tar"):
        target = tmp_path / name
        target.write_text("old")
        archive_image(Node(cache=tmp_path, state=tmp_path), spec, target, tag="bitagent/app:0.1.0", epoch=7)
        written.append(target.read_bytes())
    assert written[0] == written[1]
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert [(each.name, each.mtime) for each in archive] == [("blobs/a", 7), ("blobs/b", 7), ("oci-layout", 7)]
        assert archive.extractfile("oci-layout").read() == b"bitagent/app:0.1.0"  # type: ignore[union-attr]
    assert calls == ["push --quiet localhost:5000/bitagent/app:1-7"] * 2
    assert ran == [("localhost:5000/bitagent/app:1-7", "app", "--help")] * 2
