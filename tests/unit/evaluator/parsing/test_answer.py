"""Parsed answers: BFCL's syntax first, then the prompt format's, and what an unreadable answer is for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_crds.results import Response
from bitagent_crds.task_forms import Language
from bitagent_evaluator.parsing import (
    AnswerSyntax,
    Calls,
    ParsedAnswer,
    Unreadable,
    parse_answer,
    parse_bfcl_answer,
    parse_calls,
    parse_response,
)
from bitagent_evaluator.parsing.json import MAX_DEPTH
from bitagent_evaluator.prompts.chat_formats import ChatTemplate

ALL = list(AnswerSyntax)
PYTHON, JSON_LIST = AnswerSyntax.PYTHON, AnswerSyntax.JSON_LIST
F = '{"name": "f", "arguments": {"a": 1}}'
F1: Calls = [{"f": {"a": 1}}]

IN_BFCL_SYNTAX: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "calls": ("[f(a=1)]", F1),
    "calls that contain json calls": (f"[f(a={F})]", [{"f": {"a": json.loads(F)}}]),
    "calls in a bare fence": ("```\nf(a=1)\n```", F1),
    "no call": ("[]", []),
    "nothing": ("", []),
    "the end of thinking as a value": ("[f(a='</think>')]", [{"f": {"a": "</think>"}}]),
}


@pytest.mark.parametrize(("text", "calls"), IN_BFCL_SYNTAX.values(), ids=IN_BFCL_SYNTAX)
def test_what_the_official_decoder_reads_no_other_syntax_reads(text: str, calls: list[dict[str, Any]]) -> None:
    assert parse_answer(text, ALL) == ParsedAnswer(text, calls)


UNREADABLE = {
    "refused": (f"f(a=len({F}) + 1)", Unreadable.REFUSED),
    "prose": ("I cannot help with that.", Unreadable.SYNTAX),
    "prose with an empty list": ("No function fits: []", Unreadable.SYNTAX),
    "java": ("[f(a=new int[]{1, 2})]", Unreadable.SYNTAX),
    "a yaml alias": ("function: f\nparams:\n  a: &a [x]\n  b: *a", Unreadable.SYNTAX),
}


@pytest.mark.parametrize(("text", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_answer_has_its_text_and_a_reason(text: str, reason: Unreadable) -> None:
    answer = parse_answer(text, ALL)
    assert (answer.text, answer.bfcl_text(), answer.calls, answer.unreadable) == (text, text, None, reason)
    assert answer.detail


def test_calls_of_another_syntax_are_rendered_for_those_who_read_text() -> None:
    answer = parse_answer(f"I call: {F}", [PYTHON, JSON_LIST])
    assert answer == ParsedAnswer(f"I call: {F}", F1, is_bfcl_syntax=False)
    assert (answer.bfcl_text(), answer.bfcl_text(Language.JAVA)) == ("[f(a=1)]", "[f(a=1)]")


@pytest.mark.parametrize("text", [F, f"</think>[{F}]"], ids=["json", "json after a thought"])
def test_a_format_of_python_only_reads_python_only(text: str) -> None:
    assert parse_answer(text, [PYTHON]).unreadable is Unreadable.SYNTAX


@pytest.mark.parametrize("text", ["</think>f(a=1)", "<think>\nf?\n</think>\n\n[f(a=1)]"], ids=["closed", "whole"])
def test_thinking_is_cut_in_every_format_but_not_by_the_official_decoder(text: str) -> None:
    assert parse_answer(text, [PYTHON]).calls == F1
    official = parse_answer(text)
    assert (official.text, official.unreadable) == (text, Unreadable.SYNTAX)


@pytest.mark.parametrize(
    ("text", "rest", "calls"),
    [
        ("<think>f?</think>\n[f(a=1)]", "\n[f(a=1)]", F1),
        ("</think>Sorry.", "Sorry.", None),
        (f"</think>{F}", F, F1),
    ],
    ids=["Python", "prose", "json"],
)
def test_thinking_is_not_part_of_an_answer(text: str, rest: str, calls: Any) -> None:
    answer = parse_answer(text, [PYTHON, JSON_LIST])
    assert (answer.text, answer.calls) == (rest, calls)


BROKEN_JSON = '{"name": "f", "arguments": {"a": "x\ny"}}'
FURTHEST = {
    "a line break in a block": (f"<tool_call>\n{BROKEN_JSON}\n</tool_call>", "ToolCallBlocks"),
    "a line break in a list": (f"[{BROKEN_JSON}]", "ToolCalls: JSON with a mistake"),
    "half a list": ('[{"name": "f", "arguments": {"a": "x', "ToolCalls: JSON that breaks off"),
    "not a number": ('{"name": "f", "arguments": {"a": NaN}}', "ToolCalls: NaN"),
    "another object": ('{"api": "f", "with": {}}', "JsonList"),
    "half a call in a tag": ('<function=f>{"a": 1', "FunctionTags"),
    "half a call after a mark": ('[TOOL_CALLS]f[ARGS]{"a": "x', "MistralCalls"),
    "prose": ("I cannot help.", "not Python"),
    "a call and something else": ("[f(a=1), 5]", "expected only calls"),
}


@pytest.mark.parametrize(("text", "reader"), FURTHEST.values(), ids=FURTHEST)
def test_the_reason_is_that_of_the_reader_that_got_furthest(text: str, reader: str) -> None:
    answer = parse_answer(text, ChatTemplate.syntaxes)
    assert answer.unreadable is Unreadable.SYNTAX
    assert answer.detail.startswith(reader)


def test_the_deepest_answer_that_is_read_can_be_rendered() -> None:
    text = '{"name": "f", "arguments": {"a": ' + "[" * (MAX_DEPTH - 3) + "]" * (MAX_DEPTH - 3) + "}}"
    answer = parse_answer(text, [PYTHON, JSON_LIST])
    assert answer.calls == parse_calls(text, [JSON_LIST])
    assert parse_bfcl_answer(answer.bfcl_text()).calls == answer.calls


def test_an_integer_that_python_syntax_refuses_is_refused_in_every_syntax() -> None:
    answer = parse_answer(f'{{"name": "f", "arguments": {{"a": [{{"b": {"9" * 4290}}}]}}}}', ALL)
    assert (answer.calls, answer.unreadable) == (None, Unreadable.REFUSED)


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ('[f(a="x y", b=5)]', Language.JAVA, ([{"f": {"a": "x y", "b": "5"}}], None)),
        ("", Language.JAVA, (None, Unreadable.NOT_CALLS)),
        ("this is ) not a program (", Language.JAVASCRIPT, (None, Unreadable.SYNTAX)),
        ("f(" + "x" * 9000 + ")", Language.JAVA, (None, Unreadable.REFUSED)),
    ],
    ids=["call", "no call", "syntax", "too long"],
)
def test_bfcl_syntax_of_other_languages(text: str, language: Language, expected: Any) -> None:
    answer = parse_bfcl_answer(text, language)
    assert (answer.calls, answer.unreadable) == expected


def test_a_response_is_parsed_with_each_step_of_its_turns() -> None:
    response = Response(
        id="t", text=F, finish_reason="stop", prompt_tokens=1, completion_tokens=1, turns=[[F, "Done."], [], ["[]"]]
    )
    parsed = parse_response(response, [JSON_LIST])
    assert parsed.response is response
    assert parsed.answer.calls == F1
    assert [[step.calls for step in turn] for turn in parsed.turns] == [[F1, None], [], [[]]]
