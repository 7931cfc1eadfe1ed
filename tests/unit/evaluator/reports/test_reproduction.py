"""A result and its repetition, verdict by verdict."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from bitagent_crds.results import Response, Verdict
from bitagent_evaluator.reports.reproduction import ChangedVerdict, compare_repetition
from bitagent_evaluator.reports.results import Results, read_results


def verdict(i: int, passed: bool = True, **changes: Any) -> Verdict:
    return Verdict(id=f"t{i}", category="c", passed=passed, score=float(passed)).model_copy(update=changes)


def response(i: int, text: str) -> Response:
    return Response(id=f"t{i}", text=text, finish_reason="stop", prompt_tokens=1, completion_tokens=1)


def test_verdicts_and_answers_are_compared(results_directory: Any) -> None:
    before = read_results(
        results_directory("before", [verdict(i) for i in range(4)], [response(i, "[f()]") for i in range(4)])
    )
    after = read_results(
        results_directory(
            "after",
            [verdict(0), verdict(1, False, error="wrong"), verdict(2, False, score=0.5)],
            [response(0, "[ f() ]"), response(1, "[f()]"), response(2, "[g()]")],
        )
    )
    found = compare_repetition(before, after)
    assert (found.total, found.same_verdicts, found.same_answers, found.reproduced) == (4, 1, 1, False)
    assert found.differing == [
        ChangedVerdict("t1", "c", "passed", "wrong", same_answer=True),
        ChangedVerdict("t2", "c", "passed", "failed with 0.500000", same_answer=False),
        ChangedVerdict("t3", "c", "passed", "not judged", same_answer=False),
    ]
    assert (found.before_score, found.after_score) == ("1.000000", "0.500000")


def test_verdicts_that_depend_on_the_time_are_counted_apart(results_directory: Any) -> None:
    late = {"passed": False, "score": 0.0, "error": "time_exceeded"}
    before = results_directory("before", [verdict(0), verdict(1), verdict(2).model_copy(update=late)])
    after = results_directory(
        "after", [verdict(0, False, error="wrong"), verdict(1).model_copy(update=late), verdict(2)]
    )
    found = compare_repetition(read_results(before), read_results(after))
    assert (len(found.differing), found.timed_out, found.reproduced) == (3, 2, False)


def test_surroundings_that_differ_are_named(results_directory: Any) -> None:
    before, after = (results_directory(name, [verdict(0)]) for name in ("before", "after"))
    manifest = json.loads((after / "manifest.json").read_text())
    manifest |= {
        "device": "another processor",
        "engine": {"seed": 1},
        "packages": {"other": "2"} | manifest["packages"],
    }
    (after / "manifest.json").write_text(json.dumps(manifest))
    found = compare_repetition(read_results(before), read_results(after))
    assert found.reproduced
    assert found.surroundings == {
        "device": ("a processor", "another processor"),
        "package other": ("absent", "2"),
        "engine argument seed": ("0", "1"),
    }


@pytest.mark.parametrize(
    ("then", "now", "same"),
    [(1.0, 1.0004, True), (1.0, 1.002, False), (float("inf"), float("inf"), True), (None, 1.0, False)],
)
def test_losses_within_the_tolerance_are_the_same(
    results_directory: Any, then: float | None, now: float | None, same: bool
) -> None:
    def write(name: str, loss: float | None) -> Results:
        score = 0.0 if loss is None else math.exp(-loss)
        return read_results(
            results_directory(name, [Verdict(id="a", category="c", passed=True, score=score, loss=loss)])
        )

    assert compare_repetition(write("then", then), write("now", now)).reproduced is same
