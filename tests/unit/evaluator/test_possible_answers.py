"""One answer out of the allowed ones, and what is no such answer: the small print of exact matching."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_crds.results import Expects, Language, Task
from bitagent_evaluator.scoring import answer, child, scorer
from bitagent_evaluator.scoring.exact_match import DIFFERENT, judge
from bitagent_evaluator.scoring.possible_answers import chosen


@pytest.mark.parametrize(
    ("allowed", "keep", "expected"),
    [
        pytest.param([1, 2], False, 1, id="the first"),
        pytest.param(["", 2], False, "", id="left out first"),
        pytest.param(["", 2], True, 2, id="kept: the first value that is one"),
        pytest.param([""], True, "", id="kept, and there is none"),
        pytest.param([], False, "", id="nothing allowed"),
        pytest.param([{"k": [1, 2], "o": ["", 3], "p": 4}], False, {"k": 1, "p": 4}, id="members of a dict"),
        pytest.param([[{"k": [1]}, 5]], False, [{"k": 1}, 5], id="dicts in a list"),
    ],
)
def test_chosen(allowed: list[Any], keep: bool, expected: Any) -> None:
    assert chosen(allowed, keep=keep) == expected


def task(*truth: dict[str, Any], language: Language = Language.PYTHON, expects: Expects = Expects.CALLS) -> Task:
    return Task(
        id="t", source="jsonl", category="c", messages=[], functions=[], language=language, expects=expects,
        ground_truth=list(truth),
    )  # fmt: skip


ONE, TWO = {"f": {"a": [1]}}, {"g": {"a": [2]}}
ITEMS, TEXTS, MEMBERS = {"f": {"a": [[1, 2]]}}, {"f": {"a": [["k"]]}}, {"f": {"a": [{"k": [1], "l": [2]}]}}


@pytest.mark.parametrize(
    ("given_task", "text"),
    [
        pytest.param(task(ONE, TWO), "[f(a=1), g(a=3)]", id="the second of two calls is wrong"),
        pytest.param(task(ONE, TWO), "[f(a=3), g(a=2)]", id="the first of two calls is wrong"),
        pytest.param(task(ONE, TWO), "[f(a=1)]", id="the second of two calls is missing"),
        pytest.param(task(ITEMS), "f(a=[1, 3])", id="one of two items is wrong"),
        pytest.param(task(ITEMS), "f(a=[1])", id="one of two items is missing"),
        pytest.param(task(ITEMS), "f(a=1)", id="a number for a list"),
        pytest.param(task(TEXTS), "f(a='k')", id="a text for a list of texts"),
        pytest.param(task(TEXTS), "f(a={'k': 1})", id="a dict for a list of texts"),
        pytest.param(task(MEMBERS), "f(a={'k': 1, 'l': 3})", id="one of two members is wrong"),
        pytest.param(task(MEMBERS), "f(a={'k': 1})", id="one of two members is missing"),
        pytest.param(task(MEMBERS), "f(a=['k', 'l'])", id="a list for a dict"),
    ],
)
def test_one_difference_is_enough(given_task: Task, text: str) -> None:
    assert judge(given_task, text).error == DIFFERENT


@pytest.mark.parametrize("name", ["Bfcl", "ExactMatch"])
@pytest.mark.parametrize("language", [Language.JAVA, Language.JAVASCRIPT])
def test_source_text_is_read_in_a_process_of_its_own(
    monkeypatch: pytest.MonkeyPatch, name: str, language: Language
) -> None:
    """Some of it keeps the official conversion busy for ever, and here nothing would end that."""

    class Started(Exception):
        pass

    def start(self: child.Child) -> None:
        raise Started

    monkeypatch.setattr(child.Child, "_start", start)
    asked = task({"f": {"a": ["x"]}}, language=language)
    with pytest.raises(Started):
        list(scorer(name).verdicts([(asked, answer(asked, 'f(a="x")'))]))
