"""What `charts/sync.py` generates follows from the contract and from the charts' values."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

SYNC = Path(__file__).resolve().parents[3] / "charts/sync.py"


@pytest.fixture(scope="module")
def sync() -> ModuleType:
    spec = importlib.util.spec_from_file_location("charts_sync", SYNC)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_files_follow_from_their_sources(sync: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert sync.main(["--check"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize(("chart", "lines"), [("bitagent-operator", 500), ("bitagent-validator", 150)])
def test_values_are_short(root: Path, chart: str, lines: int) -> None:
    assert len((root / "charts" / chart / "values.yaml").read_text().splitlines()) < lines


def test_strict_schema_refuses_unknown_members_at_every_level(sync: ModuleType) -> None:
    schema = {
        "type": "object",
        "x-kubernetes-validations": [{"rule": "true"}],
        "properties": {
            "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
            "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {}}},
        },
    }
    found = sync.strict(schema)
    assert found == {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "list": {
                "type": "array",
                "items": {"type": "object", "additionalProperties": False, "properties": {"a": {"type": "string"}}},
            },
            "map": {
                "type": "object",
                "additionalProperties": {"type": "object", "additionalProperties": False, "properties": {}},
            },
        },
    }


def rows(sync: ModuleType, text: str) -> list[tuple[str, str, str]]:
    node: Any = yaml.compose(text)
    return list(sync.rows(node, yaml.safe_load(text), text.splitlines()))


def test_rows_name_default_and_meaning(sync: ModuleType) -> None:
    text = "# A\n# group.\na:\n  # The b,\n  # in two lines.\n  b: 1\n  # The c.\n  c: {d: x}\n# Last.\ne: []\n"
    assert rows(sync, text) == [
        ("a.b", "1", "The b, in two lines."),
        ("a.c", '{"d": "x"}', "The c."),
        ("e", "[]", "Last."),
    ]


def test_rows_insist_on_a_comment(sync: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"a\.b has no comment"):
        rows(sync, "# Group.\na:\n  b: 1\n")
