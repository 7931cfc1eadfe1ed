"""BFCL's possible answers in a column: read as allowed values where the descriptions do not make them plain calls."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_crds.tasks import Columns
from bitagent_evaluator.tasks.rows.base import Origin, RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.columns import ColumnRows

PROPERTIES: dict[str, Any] = {
    "city": {"type": "string"},
    "days": {"type": "integer"},
    "tags": {"type": "array", "items": {"type": "string"}},
    "place": {"type": "dict", "properties": {"name": {"type": "string"}, "zip": {"type": "string"}}},
    "stops": {"type": "array", "items": {"type": "dict", "properties": {"name": {"type": "string"}}}},
    "free": {"type": "any"},
    "grid": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
    "mixed": {"type": "array", "items": {"type": "any"}},
    "counts": {"type": "array", "items": {"type": "integer"}},
}
FUNCTION = {"name": "f", "description": "", "parameters": {"type": "dict", "properties": PROPERTIES, "required": []}}
COLUMNS = Columns(question="q", functions="tools", answers="answers")


def truth(answers: Any, question: Any = "How warm is it?") -> Any:
    row = {"q": question, "tools": [FUNCTION, FUNCTION | {"name": "g"}], "answers": answers}
    return ColumnRows(Origin("jsonl", "p"), COLUMNS).read(row, "1").ground_truth


GIVEN: dict[str, list[dict[str, dict[str, list[Any]]]]] = {
    "several values": [{"f": {"city": ["Oslo", "Oslo, Norway"], "days": [3]}}],
    "one that may be omitted": [{"f": {"city": ["Oslo"], "days": [3, ""]}}],
    "omitted first": [{"f": {"city": ["Oslo"], "days": ["", 3]}}],
    "a list": [{"f": {"city": ["Oslo"], "tags": [["a", "b"], ["a"]]}}],
    "lists alone": [{"f": {"tags": [["a", "b"], ""]}}],
    "an object": [{"f": {"place": [{"name": ["Oslo", "oslo"], "zip": ["0150", ""]}]}}],
    "a list of objects": [{"f": {"stops": [[{"name": ["Oslo"]}, {"name": ["Hamar", "hamar"]}]]}}],
    "a matrix": [{"f": {"grid": [[[1, 2], [3, 4]]]}}],
    "matrices": [{"f": {"grid": [[[1, 2]], [[2, 1]], ""]}}],
    "an empty list": [{"f": {"tags": [[]]}}],
    "only omitted, of numbers": [{"f": {"counts": [""]}}],
    "only omitted, beside another": [{"f": {"city": ["Oslo"], "tags": [""]}}],
    "a list of anything beside another": [{"f": {"city": ["Oslo"], "mixed": [[1, "a"]]}}],
    "two calls": [{"f": {"city": ["Oslo"]}}, {"f": {"city": ["Hamar"]}}],
    "no arguments": [{"f": {}}],
}


@pytest.mark.parametrize("answers", GIVEN.values(), ids=GIVEN)
@pytest.mark.parametrize("encode", [lambda given: given, json.dumps], ids=["objects", "text"])
def test_allowed_values_are_taken_as_they_are(answers: Any, encode: Any) -> None:
    assert truth(encode(answers)) == answers


PLAIN: dict[str, tuple[Any, Any]] = {
    "a value": ([{"f": {"city": "Oslo"}}], [{"f": {"city": ["Oslo"]}}]),
    "a value beside a list": ([{"f": {"city": "Oslo", "tags": ["a"]}}], [{"f": {"city": ["Oslo"], "tags": [["a"]]}}]),
    "two calls in one object": ({"f": {"city": "Oslo"}, "g": {}}, [{"f": {"city": ["Oslo"]}}, {"g": {}}]),
    "a matrix alone": ([{"f": {"grid": [[1, 2], [3, 4]]}}], [{"f": {"grid": [[[1, 2], [3, 4]]]}}]),
    "a matrix beside a list": (
        [{"f": {"grid": [[1, 2]], "tags": ["a"]}}],
        [{"f": {"grid": [[[1, 2]]], "tags": [["a"]]}}],
    ),
    "a list alone": ([{"f": {"tags": ["a", "b"]}}], [{"f": {"tags": [["a", "b"]]}}]),
}


@pytest.mark.parametrize(("answers", "expected"), PLAIN.values(), ids=PLAIN)
def test_one_value_for_each_argument_is_a_plain_call(answers: Any, expected: Any) -> None:
    assert truth(answers) == expected


REFUSED: dict[str, tuple[Any, RowSkipReason]] = {
    "of either kind": ([{"f": {"free": [1, 2]}}], RowSkipReason.BAD_CALL),
    "a list of anything, of either kind": ([{"f": {"mixed": [[1, 2]]}}], RowSkipReason.BAD_CALL),
    "a list of one empty text, or an omitted one": ([{"f": {"tags": [""]}}], RowSkipReason.BAD_CALL),
    "a matrix among allowed values": ([{"f": {"city": ["Oslo"], "grid": [[1, 2]]}}], RowSkipReason.BAD_CALL),
    "a list among allowed values that is none": ([{"f": {"city": ["Oslo"], "tags": ["a"]}}], RowSkipReason.BAD_CALL),
    "another function": ([{"h": {"city": ["Oslo"]}}], RowSkipReason.UNKNOWN_FUNCTION),
    "another argument": ([{"f": {"town": ["Oslo"], "days": [3]}}], RowSkipReason.UNKNOWN_ARGUMENT),
    "another type": ([{"f": {"city": ["Oslo"], "days": ["3"]}}], RowSkipReason.WRONG_TYPE),
    "no values": ([{"f": {"city": []}}], RowSkipReason.WRONG_TYPE),
}


@pytest.mark.parametrize(("answers", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_fits_neither_or_both_is_skipped(answers: Any, reason: RowSkipReason) -> None:
    with pytest.raises(RowSkipped) as caught:
        truth(answers)
    assert caught.value.reason == reason


CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How warm is it?"}]


@pytest.mark.parametrize("question", [CHAT, [CHAT]], ids=["a chat", "BFCL's list of turns"])
def test_a_question_may_be_a_chat(question: Any) -> None:
    row = {"q": question, "tools": [FUNCTION], "answers": GIVEN["several values"]}
    for columns in (COLUMNS, Columns(messages="q", functions="tools", answers="answers")):
        assert ColumnRows(Origin("jsonl", "p"), columns).read(row, "1").messages == CHAT
