"""Both published rule sets give the reference's points in every row, criterion by criterion."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bitagent_evaluator.scoring.pairs import pair_format

DATA = Path(__file__).parent / "bitagent"
RULE_SETS = ("v2024_11", "v2025_04")


@cache
def read(name: str) -> list[dict[str, Any]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_the_data_is_complete() -> None:
    assert len(read("rows.jsonl.gz")) == 1_174
    assert {row["task"] for row in read("rows.jsonl.gz")} == {task["task"] for task in read("tasks.jsonl.gz")}


@pytest.mark.parametrize("default", ["with_default", "tool_only"])
@pytest.mark.parametrize("rules", RULE_SETS)
def test_the_points_are_the_same(rules: str, default: str) -> None:
    tasks = {task["task"]: task for task in read("tasks.jsonl.gz")}
    rows = read("rows.jsonl.gz")
    pairs = [
        {
            **{key: value for key, value in row.items() if key not in ("task", *RULE_SETS)},
            "id": str(number),
            "ruleset": rules,
            "with_default": default == "with_default",
            "expected": tasks[row["task"]]["expected"],
            "tools": tasks[row["task"]]["tools"],
        }
        for number, row in enumerate(rows)
    ]
    scored = pair_format("bitagent").judge(json.dumps(pair).encode() for pair in pairs)
    differences = [
        (row["task"], row["response"][:200], row[rules][default], found)
        for row, found in zip(rows, scored, strict=True)
        if {key: found[key] for key in row[rules][default]} != row[rules][default]
    ]
    assert differences == []
