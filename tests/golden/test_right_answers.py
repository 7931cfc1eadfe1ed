"""A right answer is the maximum: no answer of the reference rows, and no variant made of the truth, earns more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.evaluation import BuiltinScorer
from bitagent_crds.results import Verdict
from bitagent_crds.task_forms import Expects, Language
from bitagent_crds.task_set import Task
from bitagent_evaluator.conformance import text_response
from bitagent_evaluator.parsing import parse_response
from bitagent_evaluator.parsing.render import render_calls
from bitagent_evaluator.scoring.bfcl import LEFT_OUT, expected_calls, first_allowed
from bitagent_evaluator.scoring.scorers import load_scorer
from bitagent_evaluator.scoring.suitability import SEVERAL_CALLS, obstacle

if TYPE_CHECKING:
    from tests.golden.conftest import Golden

EVERY = 9
"""Of this many rows one is scored."""
EXPECTS = {
    "irrelevance": Expects.NO_CALL,
    "live_irrelevance": Expects.NO_CALL,
    "live_relevance": Expects.ANY_CALL,
}
LANGUAGES = {"simple_java": Language.JAVA, "simple_javascript": Language.JAVASCRIPT}
SCORERS = [scorer for scorer in BuiltinScorer if scorer != BuiltinScorer.LOSS]
OF_SOURCES = (BuiltinScorer.BITAGENT_2024_11, BuiltinScorer.BITAGENT_2025_04)
"""Scorers that look at where a task is from."""


def with_sources(scorers: Sequence[str]) -> pytest.MarkDecorator:
    """Parametrise a test by the scorers, and by the sources that a scorer distinguishes."""
    cases = [("bfcl", scorer) for scorer in scorers] + [("jsonl", scorer) for scorer in scorers if scorer in OF_SOURCES]
    return pytest.mark.parametrize(("tasks", "scorer"), cases, indirect=["tasks"])


@pytest.fixture(scope="module")
def tasks(golden: Golden, request: pytest.FixtureRequest) -> dict[str, Task]:
    """The reference's tasks, as those of BFCL and as one's own."""
    return {
        case["id"]: Task(
            id=case["id"],
            source=request.param,
            category=case["category"],
            messages=case["question"][0],
            functions=case["functions"],
            expects=EXPECTS.get(case["category"], Expects.CALLS),
            ground_truth=case["ground_truth"],
        )
        for case in golden("bfcl/tasks.jsonl.gz")
        if case["category"] not in LANGUAGES
    }


def calls_of(task: Task, *, keep: bool) -> list[dict[str, Any]]:
    """The expected calls, with the arguments that may be left out or without them."""
    if not keep:
        return expected_calls(task)
    return [
        {
            name: {
                key: first_allowed(allowed, keep=True) for key, allowed in arguments.items() if allowed != [LEFT_OUT]
            }
            for name, arguments in call.items()
        }
        for call in task.ground_truth or []
    ]


def right_answers(task: Task) -> list[str]:
    if task.expects is Expects.NO_CALL:
        return ["None of these functions can do that."]
    if task.expects is Expects.ANY_CALL:
        return [fitting_call(task)]
    return [render_calls(calls_of(task, keep=keep)) for keep in (True, False)]


def fitting_call(task: Task) -> str:
    function = task.functions[0]
    return render_calls([{function["name"]: dict.fromkeys(function["parameters"].get("required", []), "x")}])


def wrong_answers(task: Task) -> Iterator[str]:
    """Answers with values of a wrong type, whole lists of allowed values, or calls of nothing."""
    yield from ("", "[]", "x()", "f(a=1", "None of these functions can do that.")
    wraps = (
        lambda v: [v],
        lambda v: [[v]],
        lambda v: [[[v]], {}],
        lambda v: {"value": v},
        lambda v: str(v),
        lambda v: None,
    )
    for wrap in wraps:
        yield render_calls(
            [
                {name: {key: wrap(value) for key, value in arguments.items()} for name, arguments in call.items()}
                for call in calls_of(task, keep=True)
            ]
        )
    yield render_calls([dict(call) for call in task.ground_truth or []])


def written_answers(golden: Golden, tasks: dict[str, Task]) -> dict[str, list[str]]:
    """Answers of models, by the id of their task."""
    written: dict[str, list[str]] = {}
    for row in golden("bfcl/rows.jsonl.gz")[::EVERY]:
        if row["id"] in tasks:
            written.setdefault(row["id"], []).append(row["response"])
    return written


def score(scorer: str, task: Task, answers: list[str]) -> list[Verdict]:
    answered = ((task, parse_response(text_response(task, answer))) for answer in answers)
    return list(load_scorer(scorer).verdicts(answered))


@with_sources(SCORERS)
def test_nothing_earns_more_than_a_right_answer(golden: Golden, tasks: dict[str, Task], scorer: str) -> None:
    written = written_answers(golden, tasks)
    judged, more = 0, []
    for task in (tasks[name] for name in written):
        if obstacle(scorer, task) == SEVERAL_CALLS:
            continue
        judged += 1
        best = max(verdict.score for verdict in score(scorer, task, right_answers(task)))
        answers = [*written[task.id], *wrong_answers(task)]
        more += [
            (task.id, answer, verdict.score, best)
            for answer, verdict in zip(answers, score(scorer, task, answers), strict=True)
            if verdict.score > best
        ]
    assert judged > 100
    assert more == []


@with_sources(["Bfcl", "BfclStrict", "ExactMatch", "BitAgent202411"])
def test_the_list_of_what_is_allowed_is_not_a_right_value(tasks: dict[str, Task], scorer: str) -> None:
    """In tasks whose right values are neither lists nor dicts."""
    passed = []
    for task in tasks.values():
        truth = task.ground_truth or []
        allowed = [values for call in truth for arguments in call.values() for values in arguments.values()]
        plain = allowed and not any(isinstance(value, list | dict) for values in allowed for value in values)
        if not plain or obstacle(scorer, task):
            continue
        (verdict,) = score(scorer, task, [render_calls([dict(call) for call in truth])])
        passed += [task.id] if verdict.passed else []
    assert passed == []


@with_sources(SCORERS)
def test_no_text_is_right_with_and_without_the_function(golden: Golden, tasks: dict[str, Task], scorer: str) -> None:
    """The twin of a task: the same question without the function that fits."""
    both = []
    for name, texts in written_answers(golden, tasks).items():
        task = tasks[name]
        if task.expects is Expects.NO_CALL:
            continue
        twin = task.model_copy(update={"expects": Expects.NO_CALL, "ground_truth": None})
        answers = [*texts, *right_answers(task)]
        with_function, without = score(scorer, task, answers), score(scorer, twin, answers)
        both += [
            (task.id, answer)
            for answer, one, other in zip(answers, with_function, without, strict=True)
            if one.passed and other.passed
        ]
    assert both == []
