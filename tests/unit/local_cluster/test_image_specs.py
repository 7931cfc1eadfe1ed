"""Tags of images: they change with what an image is made of, and with nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bitagent_local.cluster.errors import ClusterError
from bitagent_local.cluster.node import Node
from bitagent_local.images.base import base_reference
from bitagent_local.images.build import image_reference, in_registry, push_image
from bitagent_local.images.catalogue import ROOT, catalogue, spec_of
from bitagent_local.images.spec import EPOCH, ImageSpec, content_key, files, stage


@pytest.fixture
def spec(tmp_path: Path) -> ImageSpec:
    (tmp_path / "app" / "__pycache__").mkdir(parents=True)
    (tmp_path / "app" / "main.py").write_text("print()\n")
    (tmp_path / "app" / "__pycache__" / "main.pyc").write_text("cached")
    (tmp_path / "lock.txt").write_text("x==1\n")
    (tmp_path / "unrelated.txt").write_text("1")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    return ImageSpec("app", tmp_path / "Dockerfile", tmp_path, ("app", "lock.txt"), {"A": "1"})


CHANGES: list[tuple[str, Callable[[ImageSpec], ImageSpec | object]]] = [
    ("contents", lambda spec: (spec.root / "app" / "main.py").write_text("print(1)\n")),
    ("a file more", lambda spec: (spec.root / "app" / "new.py").write_text("")),
    ("a file renamed", lambda spec: (spec.root / "app" / "main.py").rename(spec.root / "app" / "other.py")),
    ("executable", lambda spec: (spec.root / "app" / "main.py").chmod(0o755)),
    ("Dockerfile", lambda spec: spec.dockerfile.write_text("FROM other\n")),
    ("arguments", lambda spec: replace(spec, args={"A": "2"})),
    ("an argument more", lambda spec: replace(spec, args={"A": "1", "B": ""})),
    ("fewer paths", lambda spec: replace(spec, paths=("app",))),
]


@pytest.mark.parametrize("change", [change for _, change in CHANGES], ids=[name for name, _ in CHANGES])
def test_what_changes_the_tag(spec: ImageSpec, change: Callable[[ImageSpec], ImageSpec | object]) -> None:
    before = content_key(spec, base="base:1")
    changed = change(spec)
    assert content_key(changed if isinstance(changed, ImageSpec) else spec, base="base:1") != before


def test_the_base_image_changes_the_tag(spec: ImageSpec) -> None:
    assert content_key(spec, base="base:1") != content_key(spec, base="base:2")


def test_what_does_not_change_the_tag(spec: ImageSpec) -> None:
    before = content_key(spec, base="base:1")
    (spec.root / "unrelated.txt").write_text("2")
    (spec.root / "app" / "__pycache__" / "main.pyc").write_text("other")
    os.utime(spec.root / "app" / "main.py", (1, 1))
    assert content_key(spec, base="base:1") == before


def test_a_missing_path_is_named(spec: ImageSpec) -> None:
    with pytest.raises(ClusterError, match=r"image app: .*/gone is in its context"):
        content_key(replace(spec, paths=("gone",)), base="b")
    with pytest.raises(ClusterError, match="no Dockerfile"):
        content_key(replace(spec, dockerfile=spec.root / "gone"), base="b")


def test_a_build_sees_the_context_and_nothing_else(spec: ImageSpec, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("context")
    stage(spec, folder)
    seen = sorted(path for path in folder.rglob("*") if path.is_file())
    assert [str(path.relative_to(folder)) for path in seen] == ["app/main.py", "lock.txt"]
    assert {path.stat().st_mtime for path in seen} == {EPOCH}


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


def test_the_catalogue_says_no_more_than_known() -> None:
    with pytest.raises(ClusterError, match=r"lists no image 'nothing', only .*operator"):
        spec_of("nothing")


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_each_listed_image_declares_what_its_dockerfile_copies(name: str) -> None:
    spec = catalogue()[name]
    listed = {path.relative_to(ROOT) for path in files(spec)}
    for line in spec.dockerfile.read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for source in line.split()[1:-1]:
                for key, value in spec.args.items():
                    source = source.replace(f"${{{key}}}", value)
                wanted = Path(source)
                assert any(path == wanted or wanted in path.parents for path in listed), (
                    f"{source} is not in the context"
                )
