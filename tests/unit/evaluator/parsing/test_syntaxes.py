"""Syntaxes beside BFCL's own: which text is which calls, which is none, and in which order they are tried."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_crds.task_forms import Language
from bitagent_evaluator.formats_page.answers import SYNTAX_EXAMPLES
from bitagent_evaluator.parsing import MAX_CHARACTERS, AnswerError, AnswerSyntax, parse_calls
from bitagent_evaluator.parsing.json import MAX_DEPTH, MAX_PROSE_BRACKETS
from bitagent_evaluator.parsing.rewoo import MAX_STEPS
from bitagent_evaluator.parsing.syntaxes import LANGUAGES, SYNTAXES, syntax_in_template

JSON_LIST, TOOL_CALLS, BLOCKS = AnswerSyntax.JSON_LIST, AnswerSyntax.TOOL_CALLS, AnswerSyntax.TOOL_CALL_BLOCKS
PARAMS, REWOO, PYTHON = AnswerSyntax.FUNCTION_PARAMS, AnswerSyntax.REWOO, AnswerSyntax.PYTHON

F1 = [{"f": {"a": 1}}]
F1_G2 = [{"f": {"a": 1}}, {"g": {"b": 2}}]
F = '{"name": "f", "arguments": {"a": 1}}'
G = '{"name": "g", "arguments": {"b": 2}}'
OPENAI_F = '{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\\"a\\": 1}"}}'
BAGEL_F = '{"function": "f", "params": {"a": 1}}'

READ: dict[str, tuple[AnswerSyntax, str, list[dict[str, Any]]]] = {
    "json list": (JSON_LIST, f"[{F}, {G}]", F1_G2),
    "json object": (JSON_LIST, F, F1),
    "json fence": (JSON_LIST, f"```json\n[{F}]\n```", F1),
    "json bare fence": (JSON_LIST, f"```\n[{F}]\n```", F1),
    "json in prose": (JSON_LIST, f"As said in [1] and [sic], {{well}}: [{F}] does it.", F1),
    "json lines": (JSON_LIST, f"{F}\n{G}", F1_G2),
    "json with semicolons": (JSON_LIST, f"{F}; {G}", F1_G2),
    "json parameters": (JSON_LIST, F.replace("arguments", "parameters"), F1),
    "json empty": (JSON_LIST, "[]", []),
    "json empty in prose": (JSON_LIST, "No tool fits, so: []", []),
    "json empty and a call": (JSON_LIST, f"[] no, {F}", F1),
    "json more members": (JSON_LIST, '[{"id": 7, "name": "f", "arguments": {"a": 1}}]', F1),
    "json last key wins": (JSON_LIST, '{"name": "e", "name": "f", "arguments": {"a": 0, "a": 1}}', F1),
    "json values": (
        JSON_LIST,
        '{"name": "f", "arguments": {"a": [null, true, -2.5, 1e3, "\\u00e9\\n"], "b": {"c": {}}}}',
        [{"f": {"a": [None, True, -2.5, 1000.0, "é\n"], "b": {"c": {}}}}],
    ),
    "json after thinking": (JSON_LIST, f"<think>[{G}] or</think>\n[{F}]", F1),
    "openai message": (TOOL_CALLS, f'{{"role": "assistant", "content": null, "tool_calls": [{OPENAI_F}]}}', F1),
    "openai list": (TOOL_CALLS, f"[{OPENAI_F}, {OPENAI_F}]", F1 * 2),
    "openai one": (TOOL_CALLS, f"```json\n{OPENAI_F}\n```", F1),
    "openai arguments as object": (TOOL_CALLS, f'{{"tool_calls": [{{"function": {F}}}]}}', F1),
    "openai no arguments": (TOOL_CALLS, '{"function": {"name": "f", "arguments": ""}}', [{"f": {}}]),
    "block": (BLOCKS, f"<tool_call>\n{F}\n</tool_call>", F1),
    "blocks": (BLOCKS, f"I call:\n<tool_call>{F}</tool_call>\nand\n<tool_call>\n{G}\n</tool_call> now", F1_G2),
    "block not closed": (BLOCKS, f"<tool_call>\n{F}", F1),
    "block list": (BLOCKS, f"<tool_call>[{F}, {G}]</tool_call>", F1_G2),
    "block arguments as text": (BLOCKS, '<tool_call>{"name": "f", "arguments": "{\\"a\\": 1}"}</tool_call>', F1),
    "json arguments as text": (JSON_LIST, '{"name": "f", "arguments": "{\\"a\\": 1}"}', F1),
    "json arguments as text twice": (JSON_LIST, '{"name": "f", "arguments": "\\"{\\\\\\"a\\\\\\": 1}\\""}', F1),
    "json name in the space of tools": (JSON_LIST, '{"name": "functions.f", "arguments": {"a": 1}}', F1),
    "xlam": (TOOL_CALLS, f'{{"thought": "", "tool_calls": [{F}]}}', F1),
    "xlam two": (TOOL_CALLS, f'{{"tool_calls": [{F}, {G}], "thought": "both"}}', F1_G2),
    "openai before tool calls": (TOOL_CALLS, '{"function_call": {"name": "f", "arguments": "{\\"a\\": 1}"}}', F1),
    "block parameters": (BLOCKS, f"<tool_call>{F.replace('arguments', 'parameters')}</tool_call>", F1),
    "block after thinking": (BLOCKS, f"a <tool_call> is due</think><tool_call>{F}</tool_call>", F1),
    "params json": (PARAMS, BAGEL_F, F1),
    "params json list": (PARAMS, f"[{BAGEL_F}, {BAGEL_F}]", F1 * 2),
    "params json in prose": (PARAMS, f"Here it is:\n```json\n{BAGEL_F}\n```\nDone.", F1),
    "params null": (PARAMS, '{"function": "f", "params": null}', [{"f": {}}]),
    "params yaml": (PARAMS, "function: f\nparams:\n  a: 1", F1),
    "params yaml fence": (PARAMS, "So:\n\n```yaml\nfunction: f\nparams:\n  a: 1\n```\nfunctions: end", F1),
    "params yaml list": (PARAMS, "- function: f\n  params:\n    a: 1\n- function: g\n  params: {b: 2}\n", F1_G2),
    "params yaml one after the other": (
        PARAMS,
        "function: f\nparams:\n  a: 1\n\nfunction: g\nparams:\n  b: 2\n",
        F1_G2,
    ),
    "params yaml documents": (PARAMS, "---\nfunction: f\nparams: {a: 1}\n---\nparams: {b: 2}\nfunction: g\n", F1_G2),
    "params yaml quoted keys": (PARAMS, "\"function\": f\n'params':\n  'a': 1\n", F1),
    "params yaml none": (PARAMS, "function: f\nparams:\n", [{"f": {}}]),
    "params yaml scalars": (
        PARAMS,
        "function: f\nparams:\n  no: yes\n  on: 12:30\n  d: 2023-05-12\n  i: -7\n"
        "  h: 0x1F\n  x: 1.5e3\n  t: true\n  n: ~\n"
        "  q: '1'\n  1: one\n  l: [a, \"b\"]\n  e: []\n  text: |\n    two\n    lines\n",
        [
            {
                "f": {
                    "no": "yes",
                    "on": "12:30",
                    "d": "2023-05-12",
                    "i": -7,
                    "h": 31,
                    "x": 1500.0,
                    "t": True,
                    "n": None,
                    "q": "1",
                    "1": "one",
                    "l": ["a", "b"],
                    "e": [],
                    "text": "two\nlines\n",
                }
            }
        ],
    ),
    "params yaml last key wins": (PARAMS, "function: f\nparams:\n  a: 0\n  a: 1\n", F1),
    "params yaml merge key is a name": (PARAMS, "function: f\nparams:\n  <<: {a: 1}\n", [{"f": {"<<": {"a": 1}}}]),
    "plan": (
        REWOO,
        "Plan: Find out who won.\n:evidence0: = DuckDuckGo[Nobel Prize 2020, winner]\nPlan: Ask.\n"
        ":evidence1: = Model[Who won, given :evidence0:?]\nAnswer: :evidence1:",
        [{"DuckDuckGo": {"input": "Nobel Prize 2020, winner"}}, {"Model": {"input": "Who won, given :evidence0:?"}}],
    ),
    "plan with keywords": (REWOO, "#E1 = f[a=1]\n#E2 = g(b=2)", F1_G2),
    "plan on one line": (REWOO, "Plan: first #E1 = f(a=1) Plan: then (maybe) #E2 = g[b=2]", F1_G2),
    "plan with an object": (REWOO, '#E1 = f[{"a": 1}]', F1),
    "plan with quotes": (REWOO, "#E1 = f['x y']", [{"f": {"input": "x y"}}]),
    "plan without input": (REWOO, "#E1 = f[]\n#E2=g()", [{"f": {}}, {"g": {}}]),
    "plan with bare references": (
        REWOO,
        "#E2 = a.f(x=#E1, y=[:evidence1:], z='#E1')",
        [{"a.f": {"x": "#E1", "y": [":evidence1:"], "z": "#E1"}}],
    ),
}


@pytest.mark.parametrize(("syntax", "text", "expected"), READ.values(), ids=READ)
def test_reads(syntax: AnswerSyntax, text: str, expected: list[dict[str, Any]]) -> None:
    assert parse_calls(text, [syntax]) == expected


def thrice(value: object) -> str:
    return json.dumps(json.dumps(json.dumps(value)))


NOT_READ = {
    "no json": (JSON_LIST, "I cannot help."),
    "json of no calls": (JSON_LIST, '[{"name": "f"}, [1], {}]'),
    "json arguments as text of no object": (JSON_LIST, '{"name": "f", "arguments": "a=1"}'),
    "json arguments as text three times": (JSON_LIST, json.dumps({"name": "f", "arguments": thrice({"a": 1})})),
    "json arguments as list": (JSON_LIST, '{"name": "f", "arguments": [1]}'),
    "json name is not text": (JSON_LIST, '{"name": 1, "arguments": {}}'),
    "json empty name": (JSON_LIST, '{"name": "", "arguments": {}}'),
    "json list with another item": (JSON_LIST, f'[{F}, {{"a": 1}}]'),
    "json cut off": (JSON_LIST, f'[{F}, {{"name": "g", "argu'),
    "json cut off after a call": (JSON_LIST, f"[{F}, "),
    "json broken in the middle": (JSON_LIST, f"[{F}, oops, {G}]"),
    "json in single quotes": (JSON_LIST, "[{'name': 'f', 'arguments': {}}]"),
    "json line break in a string": (JSON_LIST, '{"name": "f", "arguments": {"a": "x\ny"}}'),
    "json NaN": (JSON_LIST, '{"name": "f", "arguments": {"a": NaN}}'),
    "json infinity": (JSON_LIST, '{"name": "f", "arguments": {"a": -Infinity}}'),
    "json too large a float": (JSON_LIST, '{"name": "f", "arguments": {"a": 1e999}}'),
    "json too many digits": (JSON_LIST, '{"name": "f", "arguments": {"a": 1' + "0" * 5000 + "}}"),
    "openai without calls": (TOOL_CALLS, '{"tool_calls": []}'),
    "openai unwrapped": (TOOL_CALLS, F),
    "openai arguments that are not json": (TOOL_CALLS, '{"function": {"name": "f", "arguments": "a=1"}}'),
    "openai tool calls of another kind": (TOOL_CALLS, '{"tool_calls": "f(a=1)"}'),
    "no block": (BLOCKS, F),
    "block empty": (BLOCKS, "<tool_call></tool_call>"),
    "block broken": (BLOCKS, f"<tool_call>{F}</tool_call><tool_call>{{</tool_call>"),
    "params missing": (PARAMS, '{"function": "f"}'),
    "params of prose": (PARAMS, "function: this one\nparams: none"),
    "params yaml tag": (PARAMS, "function: f\nparams: !!python/object/apply:os.system ['true']"),
    "params yaml number tag": (PARAMS, "function: f\nparams:\n  a: !!int 1"),
    "params yaml collection as key": (PARAMS, "function: f\nparams:\n  ? [a]\n  : 1"),
    "params yaml broken": (PARAMS, "function: f\nparams: {a: 1"),
    "params yaml control character": (PARAMS, "function: f\nparams:\n  a: \x00"),
    "params yaml half a character": (PARAMS, "function: f\nparams:\n  a: \ud800"),
    "params yaml too large a float": (PARAMS, "function: f\nparams:\n  a: 1e999"),
    "params yaml too many digits": (PARAMS, "function: f\nparams:\n  a: 1" + "0" * 5000),
    "params yaml too many hexadecimal digits": (PARAMS, "function: f\nparams:\n  a: 0x1" + "0" * 5000),
    "no plan": (REWOO, "Plan: think.\nAnswer: #E1"),
    "step without a call": (REWOO, "#E1 = the weather"),
    "step broken": (REWOO, "#E1 = f(a=1)\n#E2 = g(b="),
    "step with brackets that differ": (REWOO, "#E1 = f[a)"),
    "step of two calls": (REWOO, "#E1 = f(a=1), g(b=2)"),
    "step with broken keywords": (REWOO, "#E1 = f[a=b c]"),
    "nothing in any": (PYTHON, "I cannot help."),
}  # fmt: skip


@pytest.mark.parametrize(("syntax", "text"), NOT_READ.values(), ids=NOT_READ)
def test_fails_on_what_is_not_in_the_syntax(syntax: AnswerSyntax, text: str) -> None:
    with pytest.raises(AnswerError) as caught:
        parse_calls(text, [syntax])
    assert not caught.value.refused
    assert str(caught.value).startswith(syntax)


def deep(levels: int) -> str:
    return '{"name": "f", "arguments": {"a": ' + "[" * levels + "]" * levels + "}}"


BOMB = "function: f\nparams:\n  a: &a [x, x]\n  b: [*a, *a]"
REFUSED = {
    "json too deep": (JSON_LIST, deep(MAX_DEPTH)),
    "json far too deep": (JSON_LIST, deep(20_000)),
    "json brackets of prose": (JSON_LIST, "[x] " * (MAX_PROSE_BRACKETS + 1)),
    "block too deep": (BLOCKS, f"<tool_call>{deep(MAX_DEPTH)}</tool_call>"),
    "params yaml alias": (PARAMS, BOMB),
    "params yaml too deep": (PARAMS, "function: f\nparams:\n  a: " + "[" * MAX_DEPTH + "x" + "]" * MAX_DEPTH),
    "plan too long": (REWOO, "#E1 = f[]\n" * (MAX_STEPS + 1)),
    "step that would have to be executed": (REWOO, "#E1 = f[a=1 + len('x')]"),
    "too long": (JSON_LIST, F + " " * MAX_CHARACTERS),
}


@pytest.mark.parametrize(("syntax", "text"), REFUSED.values(), ids=REFUSED)
def test_refuses_what_exceeds_the_limits(syntax: AnswerSyntax, text: str) -> None:
    with pytest.raises(AnswerError) as caught:
        parse_calls(text, [syntax])
    assert caught.value.refused


def test_the_first_syntax_that_reads_wins() -> None:
    both = f"<tool_call>{G}</tool_call>"
    assert parse_calls(both, [BLOCKS, JSON_LIST]) == parse_calls(both, [JSON_LIST]) == [{"g": {"b": 2}}]
    assert parse_calls("[f(a=1)]", [PYTHON, JSON_LIST]) == F1
    with pytest.raises(AnswerError, match=str(JSON_LIST)) as caught:
        parse_calls('Sorry: {"a": 1', [REWOO, JSON_LIST])
    assert caught.value.position > len("Sorry: ")


def test_a_refusal_ends_the_search() -> None:
    with pytest.raises(AnswerError) as caught:
        parse_calls(f"f(a=len({F}) + 1)", [PYTHON, JSON_LIST])
    assert caught.value.refused


def test_every_syntax_has_a_parser() -> None:
    assert set(SYNTAXES) == set(AnswerSyntax)
    assert set(LANGUAGES) == set(Language)


def test_the_examples_of_the_docs_show_their_syntax_to_templates() -> None:
    """All but those without marks of their own."""
    without = {PYTHON, JSON_LIST, TOOL_CALLS, PARAMS, REWOO}
    found = {syntax: syntax_in_template(examples[0]) for syntax, examples in SYNTAX_EXAMPLES.items()}
    assert found == {syntax: None if syntax in without else syntax for syntax in AnswerSyntax}
    assert syntax_in_template("functools[") is JSON_LIST
