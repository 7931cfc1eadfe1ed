"""docs/metrics.md."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def page() -> ModuleType:
    spec = importlib.util.spec_from_file_location("metrics_page", ROOT / "scripts" / "metrics_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_lists_every_family(page: ModuleType) -> None:
    text = page.render()
    assert (ROOT / page.PAGE).read_text() == text, "run make metrics"
    registries = [registry for _, registry in page.registries().values()]
    assert len(registries) == 3
    assert all(f"`{family.name}" in text for registry in registries for family in registry.collect())


def test_check_compares_and_writes_nothing(
    page: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    assert page.main([str(tmp_path), "--check"]) == 1
    assert "make metrics" in capsys.readouterr().err
    assert not (tmp_path / page.PAGE).exists()
    assert page.main([str(tmp_path)]) == 0
    assert page.main([str(tmp_path), "--check"]) == 0
