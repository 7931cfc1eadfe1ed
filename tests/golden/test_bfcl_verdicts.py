"""Our reading of answers and the official checker behind it give the reference's verdict in every row."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.task_forms import Expects, Language
from bitagent_crds.task_set import Task
from bitagent_evaluator.conformance import text_response
from bitagent_evaluator.parsing import AnswerError, parse_bfcl, parse_response
from bitagent_evaluator.scoring.scorers import load_scorer

if TYPE_CHECKING:
    from tests.golden.conftest import Golden

Rows = list[dict[str, Any]]
Tasks = dict[str, Task]

LANGUAGES = {"simple_java": Language.JAVA, "simple_javascript": Language.JAVASCRIPT}
EXPECTS = {
    "irrelevance": Expects.NO_CALL,
    "live_irrelevance": Expects.NO_CALL,
    "live_relevance": Expects.ANY_CALL,
}
CATEGORIES = {
    "simple_python": 40,
    "simple_java": 10,
    "simple_javascript": 5,
    "multiple": 20,
    "parallel": 20,
    "parallel_multiple": 20,
    "irrelevance": 24,
    "live_simple": 26,
    "live_multiple": 105,
    "live_parallel": 2,
    "live_parallel_multiple": 2,
    "live_irrelevance": 88,
    "live_relevance": 2,
}
"""Cases per category."""


@pytest.fixture(scope="module")
def rows(golden: Golden) -> Rows:
    return golden("bfcl/rows.jsonl.gz")


@pytest.fixture(scope="module")
def tasks(golden: Golden) -> Tasks:
    return {
        case["id"]: Task(
            id=case["id"],
            source="bfcl",
            category=case["category"],
            messages=case["question"][0],
            functions=case["functions"],
            expects=EXPECTS.get(case["category"], Expects.CALLS),
            language=LANGUAGES.get(case["category"], Language.PYTHON),
            ground_truth=case["ground_truth"],
        )
        for case in golden("bfcl/tasks.jsonl.gz")
    }


def differences(found: list[tuple[dict[str, Any], object]]) -> dict[str, list[str]]:
    """Differing rows by mutation, shortened for the assertion's message."""
    by_mutation: dict[str, list[str]] = {}
    for row, got in found:
        by_mutation.setdefault(row["mutation"], []).append(f"{row['id']}: {row['response'][:80]!r} -> {got}")
    return by_mutation


def decodes(row: dict[str, Any]) -> bool:
    try:
        parse_bfcl(row["response"], LANGUAGES.get(row["category"], Language.PYTHON))
    except AnswerError:
        return False
    return True


def test_the_data_is_complete(rows: Rows, tasks: Tasks) -> None:
    assert len(rows) == 16_073
    assert Counter(task.category for task in tasks.values()) == CATEGORIES
    assert {row["category"] for row in rows} == set(CATEGORIES)


def test_the_same_answers_are_readable(rows: Rows) -> None:
    assert differences([(row, got) for row in rows if (got := decodes(row)) != row["decoded_ok"]]) == {}


def test_no_answer_of_the_reference_is_refused(rows: Rows) -> None:
    """Answers are refused that no honest model gives; the reference's, which have many operators, are not."""
    refused: list[tuple[dict[str, Any], object]] = []
    for row in rows:
        try:
            parse_bfcl(row["response"], LANGUAGES.get(row["category"], Language.PYTHON))
        except AnswerError as error:
            if error.refused:
                refused.append((row, error))
    assert differences(refused) == {}


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_verdicts_are_the_same(rows: Rows, tasks: Tasks, category: str) -> None:
    chosen = [row for row in rows if row["category"] == category]
    verdicts = load_scorer("Bfcl").verdicts(
        [(tasks[row["id"]], parse_response(text_response(tasks[row["id"]], row["response"]))) for row in chosen]
    )
    expected = [(row["verdict"], row["error_type"] or "") for row in chosen]
    got = [(verdict.passed, verdict.error) for verdict in verdicts]
    assert len(got) == len(expected)
    assert differences([(r, g) for r, e, g in zip(chosen, expected, got, strict=True) if e != g]) == {}
