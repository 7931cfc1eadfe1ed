"""docs/metrics.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_operator.metrics.page import PAGE, main, registry, render

ROOT = Path(__file__).parents[4]


def test_the_page_lists_every_family() -> None:
    assert (ROOT / PAGE).read_text() == render(), "run python -m bitagent_operator.metrics.page ."
    assert all(f"`{family.name}" in render() for family in registry().collect())


def test_check_compares_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    assert main([str(tmp_path), "--check"]) == 1
    assert "metrics.page" in capsys.readouterr().err
    assert not (tmp_path / PAGE).exists()
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path), "--check"]) == 0
