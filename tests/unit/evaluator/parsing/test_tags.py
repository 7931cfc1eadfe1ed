"""Calls in tags and after marks: Llama 3, Qwen3-Coder, Mistral."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_evaluator.parsing import AnswerError, AnswerSyntax, parse_answer, parse_calls
from bitagent_evaluator.parsing.json import MAX_DEPTH, MAX_PROSE_BRACKETS
from bitagent_evaluator.prompts.chat_formats import ChatTemplate

TAGS, INVOKE, MISTRAL = AnswerSyntax.FUNCTION_TAGS, AnswerSyntax.INVOKE_TAGS, AnswerSyntax.MISTRAL_CALLS
FORECAST: dict[str, Any] = {
    "name": "forecast",
    "parameters": {
        "type": "dict",
        "properties": {
            "city": {"type": "string"},
            "zip": {"type": "string"},
            "days": {"type": "integer"},
            "wind": {"type": "boolean"},
            "units": {"type": "array", "items": {"type": "string"}},
        },
    },
}
OSLO = [{"forecast": {"city": "Oslo", "days": 3}}]


def tags(**values: str) -> str:
    inner = "".join(f"<parameter={name}>\n{value}\n</parameter>\n" for name, value in values.items())
    return f"<function=forecast>\n{inner}</function>"


READ: dict[str, tuple[AnswerSyntax, str, list[dict[str, Any]]]] = {
    "json in a tag": (TAGS, '<function=forecast>{"city": "Oslo", "days": 3}</function>', OSLO),
    "parameters": (TAGS, tags(city="Oslo", days="3"), OSLO),
    "parameters in blocks": (TAGS, f"<tool_call>\n{tags(city='Oslo', days='3')}\n</tool_call>", OSLO),
    "two": (TAGS, f"{tags(city='Oslo', days='3')} and {tags(wind='true')}", [*OSLO, {"forecast": {"wind": True}}]),
    "not closed": (TAGS, '<function=forecast>{"city": "Oslo", "days": 3}', OSLO),
    "parameter not closed": (TAGS, "<function=forecast><parameter=city>Oslo<parameter=days>3", OSLO),
    "no arguments": (TAGS, "<function=forecast></function>", [{"forecast": {}}]),
    "text like a number": (TAGS, tags(zip="0150"), [{"forecast": {"zip": "0150"}}]),
    "text like JSON": (TAGS, tags(city='{"a": 1}'), [{"forecast": {"city": '{"a": 1}'}}]),
    "text of two lines": (TAGS, tags(city=" a\n\nb "), [{"forecast": {"city": " a\n\nb "}}]),
    "list": (TAGS, tags(units='["m", "s"]'), [{"forecast": {"units": ["m", "s"]}}]),
    "words of Python": (TAGS, tags(wind="False", x="None"), [{"forecast": {"wind": False, "x": None}}]),
    "not described": (TAGS, tags(x="2.5", y="north", z="1, 2"), [{"forecast": {"x": 2.5, "y": "north", "z": "1, 2"}}]),
    "elements by their own descriptions": (
        INVOKE,
        '<invoke name="forecast"><units><item>12</item><item>True</item></units><x><item>12</item></x></invoke>',
        [{"forecast": {"units": ["12", "True"], "x": [12]}}],
    ),
    "mistral": (MISTRAL, '[TOOL_CALLS]forecast[ARGS]{"city": "Oslo", "days": 3}', OSLO),
    "mistral two": (
        MISTRAL,
        '[TOOL_CALLS]forecast[ARGS]{"city": "Oslo", "days": 3}[TOOL_CALLS]g[ARGS]{}',
        [*OSLO, {"g": {}}],
    ),
    "mistral with an id": (MISTRAL, '[TOOL_CALLS]forecast[CALL_ID]a1B2[ARGS]{"city": "Oslo", "days": 3}', OSLO),
}


@pytest.mark.parametrize(("syntax", "text", "calls"), READ.values(), ids=READ)
def test_reads(syntax: AnswerSyntax, text: str, calls: list[dict[str, Any]]) -> None:
    assert parse_calls(text, [syntax], [FORECAST]) == calls
    assert parse_answer(text, ChatTemplate.syntaxes, functions=[FORECAST]).calls == calls


NOT_READ = {
    "no tag": (TAGS, '{"city": "Oslo"}'),
    "no name": (TAGS, "<function=>{}</function>"),
    "half an object": (TAGS, '<function=f>{"a": 1</function>'),
    "a list": (TAGS, "<function=f>[1]</function>"),
    "prose": (TAGS, "<function=f>nothing</function>"),
    "one of two broken": (TAGS, '<function=f>{"a": 1}</function><function=g>{"a"</function>'),
    "mistral without arguments": (MISTRAL, "[TOOL_CALLS]f"),
    "mistral half": (MISTRAL, '[TOOL_CALLS]f[ARGS]{"a": '),
}


@pytest.mark.parametrize(("syntax", "text"), NOT_READ.values(), ids=NOT_READ)
def test_fails_on_what_is_not_in_the_syntax(syntax: AnswerSyntax, text: str) -> None:
    with pytest.raises(AnswerError) as caught:
        parse_calls(text, [syntax])
    assert not caught.value.refused


@pytest.mark.parametrize(
    "value",
    ["[" * MAX_DEPTH + "]" * MAX_DEPTH, "['a'," * MAX_DEPTH + "1" + "]" * MAX_DEPTH, "[x " * (MAX_PROSE_BRACKETS + 1)],
    ids=["too deep", "too deep in Python's notation", "too many brackets"],
)
def test_a_value_beyond_a_limit_is_a_text(value: str) -> None:
    assert parse_calls(tags(x=value), [TAGS]) == [{"forecast": {"x": value}}]


@pytest.mark.parametrize("value", ["[" * MAX_DEPTH + "]" * MAX_DEPTH, "9" * 5000, "1e999"])
def test_a_value_that_a_later_one_replaces_makes_no_call_depend_on_a_description(value: str) -> None:
    """Otherwise one text were right for a task, and for its twin without the function."""
    text = f"<function=f><parameter=a>{value}</parameter><parameter=a>Oslo</parameter></function>"
    described = {"name": "f", "parameters": {"type": "dict", "properties": {"a": {"type": "string"}}}}
    for functions in ([described], []):
        assert parse_answer(text, ChatTemplate.syntaxes, functions=functions).calls == [{"f": {"a": "Oslo"}}]


@pytest.mark.parametrize(
    "functions",
    [[{"name": "forecast"}], [{"name": "forecast", "parameters": {"properties": []}}], [{}], [{"parameters": 1}]],
    ids=["no parameters", "a list", "nothing", "a number"],
)
def test_descriptions_of_any_form_are_survived(functions: list[dict[str, Any]]) -> None:
    assert parse_calls(tags(days="3"), [TAGS], functions) == [{"forecast": {"days": 3}}]
