"""Formats of calls in format sensitivity: which text is which calls, which is none, and which is refused."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.task_forms import ReturnFormat
from bitagent_crds.task_set import PromptVariation
from bitagent_evaluator.parsing import AnswerError, AnswerSyntax, Unreadable, parse_answer
from bitagent_evaluator.parsing.variations import MAX_CHARACTERS, MAX_DEPTH, _list_of_objects, parse_variation

PYTHON, JSON, VERBOSE, CONCISE = ReturnFormat
F1: list[dict[str, Any]] = [{"f": {"a": 1}}]
F = '{"function": "f", "parameters": {"a": 1}}'
VERBOSE_F = '<function name="f"><params><param name="a" value="1" type="integer"/></params></function>'
CONCISE_F = '<function name="f"><param name="a" type="integer"> 1 </param></function>'


def verbose(value: str, kind: str) -> str:
    return f'<functions><function name="f"><param name="a" value="{value}" type="{kind}"/></function></functions>'


READ: dict[str, tuple[ReturnFormat, bool, str, list[dict[str, Any]]]] = {
    "python": (PYTHON, False, "[f(a=1)]", F1),
    "python tag": (PYTHON, True, "I call <TOOLCALL> [f(a=1)] </TOOLCALL>", F1),
    "python tag without brackets": (PYTHON, True, "<TOOLCALL>f(a=1), g()</TOOLCALL>", [*F1, {"g": {}}]),
    "json": (JSON, False, f"[{F}]", F1),
    "json fence": (JSON, False, f"```json\n[{F}]\n```", F1),
    "json tag": (JSON, True, f"<TOOLCALL>\n[{F}]</TOOLCALL>", F1),
    "json object": (JSON, False, F, F1),
    "json of nothing": (JSON, False, "I cannot do that.", []),
    "json of other things": (JSON, False, '["f", 1]', []),
    "verbose": (VERBOSE, False, f"<functions>{VERBOSE_F}</functions>", F1),
    "verbose without params": (VERBOSE, False, verbose("1", "integer"), F1),
    "verbose tag": (VERBOSE, True, f"<TOOLCALL><functions>{VERBOSE_F}</functions></TOOLCALL>", F1),
    "verbose float": (VERBOSE, False, verbose("1", "float"), [{"f": {"a": 1.0}}]),
    "verbose boolean": (VERBOSE, False, verbose("True", "boolean"), [{"f": {"a": True}}]),
    "verbose array": (VERBOSE, False, verbose("[1, 'b']", "array"), [{"f": {"a": [1, "b"]}}]),
    "verbose null": (VERBOSE, False, verbose("", "null"), [{"f": {"a": None}}]),
    "verbose unknown type": (VERBOSE, False, verbose("1", "number"), [{"f": {"a": "1"}}]),
    "concise": (CONCISE, False, f"```xml\n<functions>{CONCISE_F}{CONCISE_F}</functions>\n```", F1 * 2),
    "concise empty": (CONCISE, False, "<functions></functions>", []),
}
UNREAD: dict[str, tuple[ReturnFormat, bool, str]] = {
    "no tag": (PYTHON, True, "[f(a=1)]"),
    "tag not closed": (JSON, True, f"<TOOLCALL>[{F}]"),
    "json without parameters": (JSON, False, '[{"function": "f"}]'),
    "json number": (JSON, True, "<TOOLCALL>7</TOOLCALL>"),
    "json name that is none": (JSON, False, '[{"function": 1, "parameters": {}}]'),
    "no functions": (CONCISE, False, CONCISE_F),
    "xml broken": (VERBOSE, False, "<functions><function></functions>"),
    "function without a name": (VERBOSE, False, "<functions><function/></functions>"),
    "parameter without a name": (
        CONCISE,
        False,
        '<functions><function name="f"><param>1</param></function></functions>',
    ),
    "not of its type": (VERBOSE, False, verbose("one", "integer")),
    "would be executed": (VERBOSE, False, verbose("[print(1)]", "array")),
    "entities": (CONCISE, False, '<!DOCTYPE a [<!ENTITY b "c">]><functions>&b;</functions>'),
}
REFUSED: dict[str, tuple[ReturnFormat, str]] = {
    "too long": (JSON, " " * MAX_CHARACTERS + "x"),
    "deep json": (JSON, "[" * 60_000 + "]"),
    "deep value": (JSON, f'[{{"function": "f", "parameters": {"[" * MAX_DEPTH}{"]" * MAX_DEPTH}}}]'),
    "deep xml": (CONCISE, f"<functions>{'<a>' * 9_000}{'</a>' * 9_000}</functions>"),
    "deep array": (VERBOSE, verbose("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "array")),
    "long operators": (VERBOSE, verbose("-" * 60_000 + "1", "array")),
    "huge integer": (VERBOSE, verbose("0x" + "f" * 4_000, "array")),
}


def variation(form: ReturnFormat, tag: bool = False) -> PromptVariation:
    return PromptVariation(return_format=form, tool_call_tag=tag)


@pytest.mark.parametrize(("form", "tag", "text", "calls"), READ.values(), ids=READ)
def test_read(form: ReturnFormat, tag: bool, text: str, calls: list[dict[str, Any]]) -> None:
    assert parse_variation(text, variation(form, tag)) == calls
    assert parse_answer(text, variation=variation(form, tag)).calls == calls


@pytest.mark.parametrize(("form", "tag", "text"), UNREAD.values(), ids=UNREAD)
def test_unread(form: ReturnFormat, tag: bool, text: str) -> None:
    with pytest.raises(AnswerError) as caught:
        parse_variation(text, variation(form, tag))
    assert not caught.value.refused


@pytest.mark.parametrize(("form", "text"), REFUSED.values(), ids=REFUSED)
def test_refused(form: ReturnFormat, text: str) -> None:
    assert parse_answer(text, variation=variation(form)).unreadable is Unreadable.REFUSED


def test_arguments_that_are_no_object_are_no_calls() -> None:
    answer = parse_answer('[{"function": "f", "parameters": [1]}]', variation=variation(JSON))
    assert answer.unreadable is Unreadable.NOT_CALLS


def test_an_answer_is_read_in_its_own_format_only() -> None:
    every = list(AnswerSyntax)
    assert parse_answer("[f(a=1)]", every, variation=variation(JSON)).calls == []
    assert parse_answer('[{"name": "f", "arguments": {}}]', every, variation=variation(PYTHON)).calls is None


def test_calls_have_pythons_form_for_checkers_that_read_text() -> None:
    assert parse_answer(f"[{F}]", variation=variation(JSON)).bfcl_text() == "[f(a=1)]"


@pytest.mark.parametrize("form", [JSON, CONCISE])
def test_thinking_is_left_out_where_it_hides_the_answer(form: ReturnFormat) -> None:
    answer = f"[{F}]" if form is JSON else f"<functions>{CONCISE_F}</functions>"
    text = f"<think>[{{1}}] or <functions>?</functions></think>{answer}"
    assert parse_answer(text, [AnswerSyntax.PYTHON], variation=variation(form)).calls == F1
    assert not parse_answer(text, variation=variation(form)).calls  # the official decoder reads the whole


_SEARCH = re.compile(r"\[\s*{.*?}\s*(?:,\s*{.*?}\s*)*\]", re.DOTALL)


@given(st.text("[]{}, a\n", max_size=24))
def test_the_list_of_objects_is_what_the_official_search_finds(text: str) -> None:
    found = _SEARCH.search(text)
    assert _list_of_objects(text) == (found and found[0])


@pytest.mark.parametrize(
    "text", ["[" + "{}," * 20_000, "[{" * 30_000, "}" * 60_000, "<functions>" * 5_000, "[" + " " * 60_000], ids=len
)
@pytest.mark.parametrize("form", ReturnFormat)
def test_no_text_takes_long(form: ReturnFormat, text: str) -> None:
    started = time.thread_time()
    parse_answer(text, variation=variation(form))
    assert time.thread_time() - started < 20, "in the square of its length it takes minutes"


def test_a_list_of_objects_among_the_arguments_ends_the_text_as_in_the_official_search() -> None:
    text = '[{"function": "f", "parameters": {"a": [{"b": 1}]}}]'
    assert parse_variation(text, variation(JSON)) == []
    assert parse_variation(text.replace("}]}}]", "}, 2]}}]"), variation(JSON)) == [{"f": {"a": [{"b": 1}, 2]}}]
