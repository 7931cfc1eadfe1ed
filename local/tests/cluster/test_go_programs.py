"""Programs of other projects are built once for a module and a compiler."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_local.cluster import go_programs
from bitagent_local.cluster.go_programs import ensure_programs, module_folder
from bitagent_local.cluster.host import ClusterError


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "go.mod").write_text("module tools\n")
    (folder / "go.sum").touch()
    monkeypatch.setattr(go_programs, "cache_root", lambda: tmp_path / "cache")
    return folder


def test_they_are_built_once(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[tuple[tuple[str, ...], Path]] = []

    def build(go: Path, module: Path, packages: tuple[str, ...], folder: Path) -> None:
        built.append((packages, folder))
        folder.mkdir()

    monkeypatch.setattr(go_programs, "_build", build)
    version = "go1.26"
    monkeypatch.setattr(go_programs, "ensure_go", lambda: (Path("go"), version))
    first = ensure_programs(module, "example.org/a", "example.org/b")
    assert ensure_programs(module, "example.org/a", "example.org/b") == first
    assert built == [(("example.org/a", "example.org/b"), first)]
    assert ensure_programs(module, "example.org/a") != first, "other programs"
    version = "go1.27"
    assert ensure_programs(module, "example.org/a", "example.org/b") != first, "another compiler"
    (module / "go.sum").write_text("example.org/a v1.0.1 h1:x=\n")
    assert len({folder for _, folder in built} | {ensure_programs(module, "example.org/a")}) == 4, "another release"


def test_what_fails_names_the_module(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(go_programs, "ensure_go", lambda: (Path("/bin/false"), "go1.26"))
    with pytest.raises(ClusterError, match=str(module)):
        ensure_programs(module, "example.org/a")
    with pytest.raises(ClusterError, match=r"mod download example\.org/a"):
        module_folder(module, "example.org/a")
    assert list((module.parent / "cache" / "tools").glob("[!.]*")) == []


def test_programs_are_static_and_the_compiler_has_room(
    module: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = tmp_path / "go"
    go.write_text('#!/bin/sh\nfor a; do [ "$last" != -o ] || { mkdir "$a"; env > "$a/a"; }; last=$a; done\n')
    go.chmod(0o755)
    monkeypatch.setattr(go_programs, "ensure_go", lambda: (go, "go1.26"))
    environment = (ensure_programs(module, "example.org/a") / "a").read_text().splitlines()
    assert {"CGO_ENABLED=0", "GOGC=400"} <= set(environment)
