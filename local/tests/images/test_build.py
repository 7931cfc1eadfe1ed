"""Names of images, and what the registry has."""

from __future__ import annotations

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
    """An archive that exists is replaced: buildah would add to it."""
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(build.Store, "run", lambda self, *words, **options: calls.append(words))
    monkeypatch.setattr(build, "build_image", lambda node, spec, epoch: f"localhost:5000/bitagent/app:1-{epoch}")
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(build, "run_in_image", lambda node, name, command: ran.append((name, *command)))
    monkeypatch.setattr(build, "SMOKE", {"app": ["app", "--help"]})
    target = tmp_path / "app.tar"
    target.write_text("old")
    archive_image(Node(cache=tmp_path, state=tmp_path), spec, target, tag="bitagent/app:0.1.0", epoch=7)
    assert calls == [("push", "--quiet", "localhost:5000/bitagent/app:1-7", f"oci-archive:{target}:bitagent/app:0.1.0")]
    assert not target.exists()
    assert ran == [("localhost:5000/bitagent/app:1-7", "app", "--help")]
