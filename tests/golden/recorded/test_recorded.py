"""What the programs do is what they did when `expected/*.json` were recorded (see `record.py`)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from recordings import SUBJECTS, subject

EXPECTED = Path(__file__).parent / "expected"


@pytest.mark.parametrize("name", SUBJECTS)
def test_nothing_changed(name: str, tmp_path: Path) -> None:
    found = json.loads(json.dumps(subject(name).observe(tmp_path)))
    expected = json.loads((EXPECTED / f"{name}.json").read_bytes())
    assert found.keys() == expected.keys()
    for part, recorded in expected.items():
        assert found[part] == recorded, part
