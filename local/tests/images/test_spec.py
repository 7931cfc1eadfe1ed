"""Tags of images: they change with the inputs of an image, and with nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bitagent_local.cluster.host import ClusterError
from bitagent_local.images.spec import EPOCH, ImageSpec, content_key, stage


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
