"""Kueue's program and chart are of one module."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_local.cluster import kueue
from bitagent_local.cluster.kueue import MODULE, PACKAGE, ensure_kueue


def test_the_module_names_one_release() -> None:
    assert "sigs.k8s.io/kueue v" in (MODULE / "go.mod").read_text()
    assert (MODULE / "go.sum").exists()


def test_program_and_chart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Path, tuple[str, ...]]] = []

    def ensure(module: Path, *packages: str) -> Path:
        asked.append((module, packages))
        return tmp_path / "built"

    monkeypatch.setattr(kueue, "ensure_programs", ensure)
    monkeypatch.setattr(kueue, "kueue_module", lambda: tmp_path / "module")
    built = ensure_kueue()
    assert (built.manager, built.chart) == (tmp_path / "built/kueue", tmp_path / "module/charts/kueue")
    assert asked == [(MODULE, (PACKAGE,))]
