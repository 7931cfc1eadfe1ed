"""`bitagent-validator policy --replay` gives the results of Nous's finetuning subnet in every row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_validator.main import main

if TYPE_CHECKING:
    from tests.golden.conftest import Golden

RESULTS = {"iswin": {"win"}, "dup": {"evaluated"}}
OF_A_STEP = {"wins", "win_rate", "step_weights", "weights", "keep_uids"}


def without(case: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in case.items() if name not in names}


def replayed(kind: str, cases: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    (folder / "in").write_text("".join(json.dumps({"kind": kind, **case}) + "\n" for case in cases))
    assert main(["policy", "--replay", str(folder / "in"), str(folder / "out")]) == 0
    return [json.loads(line) for line in (folder / "out").read_text().splitlines()]


@pytest.mark.parametrize(("kind", "rows"), [("iswin", 213), ("dup", 31)])
def test_wins_and_duplicates_are_the_same(golden: Golden, tmp_path: Path, kind: str, rows: int) -> None:
    cases = golden(f"nous/{kind}.jsonl.gz")
    results = replayed(kind, [without(case, RESULTS[kind]) for case in cases], tmp_path)
    assert len(results) == rows
    assert [(r["id"], *(r[name] for name in RESULTS[kind])) for r in results] == [
        (case["id"], *(case[name] for name in RESULTS[kind])) for case in cases
    ]


def test_steps_are_the_same(golden: Golden, tmp_path: Path) -> None:
    cases = golden("nous/steps.jsonl.gz")
    given = [case | {"steps": [without(step, OF_A_STEP) for step in case["steps"]]} for case in cases]
    results = replayed("steps", given, tmp_path)
    assert [result["id"] for result in results] == [case["id"] for case in cases]
    compared = 0
    for case, result in zip(cases, results, strict=True):
        for expected, found in zip(case["steps"], result["steps"], strict=True):
            assert found["wins"] == expected["wins"]
            assert found["win_rate"] == pytest.approx(expected["win_rate"], rel=1e-5, abs=1e-6)
            assert found["step_weights"] == pytest.approx(expected["step_weights"], rel=1e-5, abs=1e-6)
            assert found["weights"] == pytest.approx(expected["weights"], rel=1e-5, abs=1e-6)
            assert set(found["keep_uids"]) == set(expected["keep_uids"])
            compared += 1
    assert (len(cases), compared) == (82, 175)
