"""The checked-in CustomResourceDefinitions and field reference are those that the models give."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_crds.generate import files, main

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("name", "text"), files().items(), ids=lambda v: v if len(v) < 60 else "")
def test_checked_in_file_is_current(name: str, text: str) -> None:
    assert (ROOT / name).read_text() == text, "run 'make crds' and commit"


def test_check_reports_a_stale_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path), "--check"]) == 0
    stale = next(tmp_path.rglob("*.yaml"))
    stale.write_text(stale.read_text() + "#\n")
    assert main([str(tmp_path), "--check"]) == 1
    assert stale.name in capsys.readouterr().err
