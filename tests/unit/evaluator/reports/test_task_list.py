"""Tasks that a page lists: which, in which order, and with which texts."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.evaluator.reports.report_pages import task

from bitagent_crds.evaluation import BuiltinScorer
from bitagent_crds.results import Response, Verdict
from bitagent_crds.task_forms import Expects
from bitagent_evaluator.reports import task_list
from bitagent_evaluator.reports.error_words import ERRORS
from bitagent_evaluator.reports.results import Results, read_results
from bitagent_evaluator.reports.task_list import MAX_TEXT, expected, visible, worst_tasks
from bitagent_evaluator.scoring.metric import LOSS, SCORE


def response(i: int, text: str = "[add(a=0)]", **changes: Any) -> Response:
    base = Response(id=f"t{i}", text=text, finish_reason="stop", prompt_tokens=40, completion_tokens=9)
    return base.model_copy(update=changes)


def scored(results_directory: Any, *scores: float, **changes: Any) -> Results:
    """Results whose tasks failed with these scores, or passed with 1."""
    verdicts = [
        Verdict(id=f"t{i}", category="sums", passed=score == 1, score=score, **changes)
        for i, score in enumerate(scores)
    ]
    return read_results(results_directory("one", verdicts, [response(0)]))


def test_the_lowest_scores_come_first_and_passed_tasks_not_at_all(results_directory: Any) -> None:
    found = worst_tasks(scored(results_directory, 0.9, 0.2, 1.0, 0.0, 0.2), SCORE, None, limit=3)
    assert [(task.id, task.score, task.failed) for task in found] == [
        ("t3", 0.0, True), ("t1", 0.2, True), ("t4", 0.2, True),
    ]  # fmt: skip


def test_texts_of_a_failed_task(results_directory: Any) -> None:
    results = scored(results_directory, 0.5, error="value_error:string", detail="why", criteria={"name": (0.5, 1.0)})
    altered = task(0, alterations=[{"name": "FunctionMask", "parameters": {"add": "q"}}])
    (found,) = worst_tasks(results, SCORE, {"t0": altered}, limit=1)
    assert (found.result, found.detail, found.criteria) == ("value_error:string", "why", [("name", 0.5, 1.0)])
    assert [label for label, _ in found.texts] == [
        "user", "functions", "altered by", "expected", "answer (40 tokens in, 9 out)", "why it failed (sums)",
    ]  # fmt: skip
    texts = dict(found.texts)
    assert texts["altered by"] == 'FunctionMask {"add": "q"}'
    assert texts["answer (40 tokens in, 9 out)"] == "[add(a=0)]"
    assert texts["why it failed (sums)"] == f"{ERRORS['value_error:string']}\nwhy"
    assert (found.category, found.functions) == ("sums", ["add"])


def test_a_prompt_that_was_rendered_is_shown(results_directory: Any) -> None:
    results = replace(scored(results_directory, 0.0, 0.0), prompts={"t0": "<|im_start|>user"})
    first, second = worst_tasks(results, SCORE, {"t0": task(0), "t1": task(1)})
    assert dict(first.texts)["prompt as the model got it"] == "<|im_start|>user"
    assert "prompt as the model got it" not in dict(second.texts)


def test_many_failures_are_shorter_and_leave_functions_out(
    results_directory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_list, "IN_FULL", 1)
    asked = {f"t{i}": task(i, messages=[{"role": "user", "content": "x" * 500}]) for i in range(2)}
    first, second = worst_tasks(scored(results_directory, 0.0, 0.0), SCORE, asked, short=100)
    assert "functions" in dict(first.texts) and len(dict(first.texts)["user"] or "") == 500
    assert "functions" not in dict(second.texts) and 100 < len(dict(second.texts)["user"] or "") < 140


def test_without_tasks_the_answer_remains(results_directory: Any) -> None:
    first, second = worst_tasks(scored(results_directory, 0.0, 0.0), SCORE, None, limit=2)
    assert [label for label, _ in first.texts] == ["answer (40 tokens in, 9 out)", "why it failed (sums)"]
    assert second.texts[0] == ("answer", None), "the model gave none"
    assert first.result == "partly right", "a verdict without an error"


def test_an_answer_that_was_cut_says_so(results_directory: Any) -> None:
    verdicts = [Verdict(id="t0", category="sums", passed=False)]
    results = read_results(results_directory("one", verdicts, [response(0, finish_reason="length")]))
    (found,) = worst_tasks(results, SCORE, None, limit=1)
    assert found.texts[0][0] == "answer (40 tokens in, 9 out, cut by the token limit)"


def test_all_samples_are_listed_by_loss(results_directory: Any) -> None:
    verdicts = [
        Verdict(id="t0", category="c", passed=True, score=math.exp(-0.5), loss=0.5),
        Verdict(id="t1", category="c", passed=False, loss=math.inf, error="no_response", detail="too long"),
        Verdict(id="t2", category="c", passed=True, score=math.exp(-1.5), loss=1.5),
    ]
    responses = [response(0, "", loss_tokens=7), response(2, "", loss_tokens=8, loss_bytes=20)]
    results = read_results(results_directory("one", verdicts, responses, scorer=BuiltinScorer.LOSS))
    tasks = {f"t{i}": task(i, expects="Text", ground_truth=None, reference=f"reference {i}") for i in range(3)}
    found = worst_tasks(results, LOSS, tasks, limit=2)
    assert [(task.id, task.result, task.detail, task.failed) for task in found] == [
        ("t1", "inf", "c, too long", False), ("t2", "1.500000", "c, over 20 bytes in 8 tokens", False),
    ]  # fmt: skip
    assert found[1].texts == [("user", "Add 2 and one"), ("reference", "reference 2")]
    assert worst_tasks(results, LOSS, None, limit=1)[0].texts == []


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"expects": Expects.NO_CALL, "ground_truth": None}, "no call"),
        ({"expects": Expects.ANY_CALL, "ground_truth": None}, "any call"),
        ({"ground_truth": [{"f": {}}, {"g": {"x": [["a"]]}}]}, 'f()\ng(x=["a"])'),
    ],
    ids=["no call", "any call", "two calls"],
)
def test_expected(changes: dict[str, Any], shown: str) -> None:
    assert expected(task(0, **changes)) == shown


@given(st.text(max_size=50))
def test_visible_text_has_no_invisible_characters(text: str) -> None:
    assert all(character.isprintable() or character in "\n\t" for character in visible(text))


def test_long_text_is_cut() -> None:
    shown = visible("x" * (MAX_TEXT + 1_234))
    assert len(shown) < MAX_TEXT + 40 and shown.endswith("(1,234 more characters)")
