"""Calls as text: BFCL's syntax in three languages, names that it cannot spell, and the source that is executed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_crds.task_forms import Language
from bitagent_evaluator.parsing import AnswerError, AnswerSyntax, parse_answer, parse_bfcl
from bitagent_evaluator.parsing.render import executable_calls, in_python_terms, render_calls

JSON_LIST = AnswerSyntax.JSON_LIST

NAMES = {
    "dotted": ("a.b", "a.b"),
    "a keyword": ("from", "from"),
    "a keyword after a dot": ("a.class.b", "a.class.b"),
    "a constant": ("None", "None"),
    "a hyphen": ("get-weather", ""),
    "parentheses": ("f()", ""),
    "an empty part": ("a..b", ""),
    "letters that Python takes for others": ("\ufb01nd", ""),
    "other letters": ("größe", "größe"),
}


@pytest.mark.parametrize(("name", "read"), NAMES.values(), ids=NAMES)
def test_names_that_python_cannot_spell_match_nothing(name: str, read: str) -> None:
    answer = json.dumps({"name": name, "arguments": {"a": 1}})
    parsed = parse_answer(answer, [JSON_LIST])
    assert parsed.calls == [{read: {"a": 1}}] == parse_bfcl(parsed.bfcl_text())


@pytest.mark.parametrize(
    ("name", "read"), [("from", "from"), ("True", "True"), ("x-y", None), ("", None)], ids=lambda name: repr(name)
)
def test_argument_names(name: str, read: str | None) -> None:
    answer = json.dumps({"name": "f", "arguments": {name: 1, "b": 2}})
    parsed = parse_answer(answer, [JSON_LIST])
    assert parsed.calls == [{"f": {read: 1 if read else {name: 1}, "b": 2}}] == parse_bfcl(parsed.bfcl_text())


@pytest.mark.parametrize("language", [Language.JAVA, Language.JAVASCRIPT])
def test_other_languages_get_the_source_text_of_arguments(language: Language) -> None:
    given = {
        "a": "new Foo()",
        "from": "it's",
        "n": -3,
        "x": 1.5,
        "t": True,
        "s": 'say "hi"',
        "e": "",
        "q": "f('a', \"b\")",
    }
    answer = parse_answer(json.dumps({"name": "a.b.f", "arguments": given}), [JSON_LIST], language)
    read = {**given, "n": "-3", "x": "1.5", "t": "true"}
    assert parse_bfcl(answer.bfcl_text(language), language) == [{"a.b.f": read}]


@pytest.mark.parametrize(
    "calls",
    [
        [{"f": {"a": 1, "x-y": 2, "from": 3}}, {"a.class": {}}, {"get-weather": {}}],
        [{"f": {None: {"a": 1}}}],
        [{"f": {None: "rest", "a": 1}}],
    ],
    ids=["names", "mapping", "a name as a mapping"],
)
def test_python_terms_are_what_the_rendered_calls_read_as(calls: Any) -> None:
    found = in_python_terms(calls)
    assert found == parse_bfcl(render_calls(calls))
    assert found == in_python_terms(found)
    assert render_calls(found) == render_calls(calls)


EXECUTABLE: dict[str, tuple[str, list[str]]] = {
    "list": ("[f(a=1), g()]", ["f(a=1)", "g()"]),
    "one": ("`f(a='x')`", ["f(a='x')"]),
    "none": ("[]", []),
    "positional arguments are dropped": ("f(1, a=2)", ["f(a=2)"]),
    "call in a call": ("f(a=g(b=1))", ["f(a=g(b=1))"]),
    "call without keywords is text": ("f(a=g(1))", ["f(a='g(1)')"]),
    "dict": ("f(a={'b': 1, 2: 'c'})", ["f(a={'b': 1, '2': 'c'})"]),
    "dict of dicts is a call": ("f(a={'b': {'c': 1}})", ["f(a=b(c=1))"]),
    "dict in a dict is a call": ("f(a={'b': {'c': {'d': 1}}, 'e': 1})", ["f(a={'b': c(d=1), 'e': 1})"]),
    "dict in a list stays": ("f(a=[{'b': {}}])", ["f(a=[{'b': {}}])"]),
}


@pytest.mark.parametrize(("text", "calls"), EXECUTABLE.values(), ids=EXECUTABLE)
def test_calls_are_rendered_as_the_official_decoder_writes_them(text: str, calls: list[str]) -> None:
    assert executable_calls(parse_bfcl(text)) == calls


def test_an_empty_dict_makes_an_answer_unreadable() -> None:
    with pytest.raises(AnswerError, match="empty dict"):
        executable_calls(parse_bfcl("[f(), g(a={})]"))
