"""Formats of lines that carry a task and an answer. Verdicts: tests/golden; the verb `score`: cli/test_score_pairs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_evaluator.conformance import PAIR_SCORERS, BadLine, PairFormat

FUNCTION = {
    "name": "f",
    "parameters": {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
}
LINES: dict[PairFormat, dict[str, Any]] = {
    PairFormat.BFCL: {
        "id": "x",
        "category": "simple_python",
        "functions": [FUNCTION],
        "ground_truth": [{"f": {"a": [1]}}],
        "response": "f(a=1)",
    },
    PairFormat.BITAGENT: {
        "id": "x",
        "ruleset": "v2024_11",
        "with_default": False,
        "expected": {"name": "f", "arguments": {"a": 1}},
        "tools": [{"name": "f", "arguments": {"a": {"required": True}}}],
        "response": "f(a=1)",
    },
}


def test_every_format_has_a_scorer() -> None:
    assert list(PAIR_SCORERS) == list(PairFormat) == list(LINES)


@pytest.mark.parametrize("name", PairFormat)
def test_a_result_has_the_lines_id_and_blank_lines_have_none(name: PairFormat) -> None:
    first, second = LINES[name], LINES[name] | {"id": "y", "response": "f(a=2)"}
    lines = ["", json.dumps(first), "  ", json.dumps(second)]
    right, wrong = PAIR_SCORERS[name]().results(line.encode() for line in lines)
    assert (right["id"], wrong["id"]) == ("x", "y")
    assert {**right, "id": ""} != {**wrong, "id": ""}


VARIED = LINES[PairFormat.BFCL] | {
    "id": "format_sensitivity_0:ret_fmt=json&tool_call_tag=True&func_doc_fmt=xml&prompt_fmt=plaintext&style=classic:x",
    "category": "format_sensitivity",
    "response": '<TOOLCALL>[{"function": "f", "parameters": {"a": 1}}]</TOOLCALL>',
}


def test_the_id_of_format_sensitivity_says_how_the_answer_is_read() -> None:
    other = VARIED | {"id": VARIED["id"].replace("json", "python")}
    results = PAIR_SCORERS[PairFormat.BFCL]().results(json.dumps(line).encode() for line in (VARIED, other))
    assert [result["passed"] for result in results] == [True, False]


def test_an_id_that_names_no_variation_is_a_bad_line() -> None:
    with pytest.raises(BadLine, match=r"^line 1: id: "):
        list(PAIR_SCORERS[PairFormat.BFCL]().results([json.dumps(VARIED | {"id": "x"}).encode()]))


@pytest.mark.parametrize("category", ["memory_kv", "memory_rec_sum"])
def test_a_question_about_a_memory_is_right_if_its_last_answer_contains_the_truth(category: str) -> None:
    line = {"id": "m", "category": category, "ground_truth": ["Bo"]}
    responses = [[["[f()]", "It was Bo."]], [["[f(a='Bo')]", "I forgot."]], "Bo"]
    results = PAIR_SCORERS[PairFormat.BFCL]().results(json.dumps(line | {"response": r}).encode() for r in responses)
    assert [result["passed"] for result in results] == [True, False, False]


@pytest.mark.parametrize("name", PairFormat)
@pytest.mark.parametrize("line", ["no json", "{}", "[]"])
def test_a_bad_line_is_named(name: PairFormat, line: str) -> None:
    with pytest.raises(BadLine, match=r"^line 2: "):
        list(PAIR_SCORERS[name]().results([json.dumps(LINES[name]).encode(), line.encode()]))


@pytest.mark.parametrize(
    ("required", "points"), [(True, -3.0), ("false", -3.0), (1, -3.0), (False, 0.0), (None, 0.0), ("", 0.0)]
)
def test_required_is_what_python_takes_for_true(required: object, points: float) -> None:
    tools = [{"name": "f", "arguments": {"a": {"required": required}}}]
    line = LINES[PairFormat.BITAGENT] | {"tools": tools, "response": "f()"}
    (result,) = PAIR_SCORERS[PairFormat.BITAGENT]().results([json.dumps(line).encode()])
    assert result["criteria"][-1] == [points, 3.0]


def test_of_two_tools_with_one_name_the_first_counts() -> None:
    tools = [{"name": "f", "arguments": {"a": {"required": required}}} for required in (True, False)]
    line = LINES[PairFormat.BITAGENT] | {"tools": tools, "response": "f()"}
    (result,) = PAIR_SCORERS[PairFormat.BITAGENT]().results([json.dumps(line).encode()])
    assert result["criteria"][-1] == [-3.0, 3.0]


HALVES = {
    "an escape": r'"f(a=1)\ud800"',
    "the other half": r'"f(a=1) # \udc00"',
    "in an argument": r'"f(a=\"\ud83d\")"',
    "raw bytes": '"f(a=1)\ud800"',
}


@pytest.mark.parametrize("response", HALVES.values(), ids=HALVES)
@pytest.mark.parametrize("name", PairFormat)
def test_half_a_character_costs_its_own_line(name: PairFormat, response: str) -> None:
    good = json.dumps(LINES[name])
    odd = good.replace('"f(a=1)"', response)
    found = list(PAIR_SCORERS[name]().results(line.encode("utf-8", "surrogatepass") for line in (odd, good)))
    assert found[0] != found[1]


def test_half_a_character_elsewhere_changes_nothing() -> None:
    line = LINES[PairFormat.BFCL] | {"id": "\ud800", "question": ["\udfff"]}
    (found,) = PAIR_SCORERS[PairFormat.BFCL]().results([json.dumps(line).encode()])
    assert found == {"id": "\ud800", "passed": True}
    (whole,) = PAIR_SCORERS[PairFormat.BFCL]().results([json.dumps(line | {"id": "\U0001f600"}).encode()])
    assert whole["id"] == "\U0001f600"


def test_a_broken_line_with_half_a_character_is_named() -> None:
    for line in (rb'{"id": "\ud800', b'{"id": "\xed\xa0', rb'["\ud800"]', b"[" * 90_000 + rb'"\ud800"'):
        with pytest.raises(BadLine, match="line 1: "):
            list(PAIR_SCORERS[PairFormat.BFCL]().results([line]))
