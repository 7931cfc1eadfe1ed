"""Both published rule sets give the reference's points in every row, criterion by criterion."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bitagent_evaluator.conformance import PAIR_SCORERS, PairFormat

if TYPE_CHECKING:
    from tests.golden.conftest import Golden

RULE_SETS = ("v2024_11", "v2025_04")


TASKS, ROWS = "bitagent/tasks.jsonl.gz", "bitagent/rows.jsonl.gz"


def test_the_data_is_complete(golden: Golden) -> None:
    assert len(golden(ROWS)) == 1_174
    assert {row["task"] for row in golden(ROWS)} == {task["task"] for task in golden(TASKS)}


@pytest.mark.parametrize("default", ["with_default", "tool_only"])
@pytest.mark.parametrize("rules", RULE_SETS)
def test_the_points_are_the_same(golden: Golden, rules: str, default: str) -> None:
    tasks = {task["task"]: task for task in golden(TASKS)}
    rows = golden(ROWS)
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
    scored = PAIR_SCORERS[PairFormat.BITAGENT]().results(json.dumps(pair).encode() for pair in pairs)
    differences = [
        (row["task"], row["response"][:200], row[rules][default], found)
        for row, found in zip(rows, scored, strict=True)
        if {key: found[key] for key in row[rules][default]} != row[rules][default]
    ]
    assert differences == []


@pytest.mark.parametrize("rules", RULE_SETS)
def test_the_points_of_made_up_rows_are_the_same(golden: Golden, rules: str) -> None:
    rows = golden("bitagent/further_rows.jsonl.gz")
    lines = [json.dumps({**row, "ruleset": rules}).encode() for row in rows]
    scored = PAIR_SCORERS[PairFormat.BITAGENT]().results(lines)
    differences = [
        (row["expected"], row["tools"], row["response"], row[rules], found["criteria"])
        for row, found in zip(rows, scored, strict=True)
        if [pytest.approx(points) for points in row[rules]] != found["criteria"]
    ]
    assert differences == []
    assert len(rows) == 1_500
