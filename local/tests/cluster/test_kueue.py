"""Kueue is built once for a checkout and a compiler."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_local.cluster import kueue
from bitagent_local.cluster.kueue import MODULE, ensure_kueue


def test_the_module_names_one_release() -> None:
    assert "sigs.k8s.io/kueue v" in (MODULE / "go.mod").read_text()
    assert (MODULE / "go.sum").exists()


def test_it_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Path] = []

    def build(go: Path, folder: Path) -> None:
        built.append(folder)
        folder.mkdir()
        (folder / "kueue").touch()

    monkeypatch.setattr(kueue, "_build", build)
    monkeypatch.setattr(kueue, "cache_root", lambda: tmp_path)
    monkeypatch.setattr(kueue, "kueue_module", lambda: tmp_path / "module")
    version = "go1.26"
    monkeypatch.setattr(kueue, "ensure_go", lambda: (Path("go"), version))
    first = ensure_kueue()
    assert ensure_kueue() == first
    assert (first.manager.exists(), len(built)) == (True, 1)
    assert first.chart == tmp_path / "module/charts/kueue"
    version = "go1.27"
    assert ensure_kueue().manager != first.manager, "another compiler, another build"
