"""Every syntax, whatever the text: calls or the documented error, nothing executed, in time that grows with it."""

from __future__ import annotations

import json
import keyword
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.schema_strategies import examples

from bitagent_evaluator.parsing import (
    MAX_CHARACTERS,
    AnswerError,
    AnswerSyntax,
    is_call_list,
    parse_answer,
    parse_bfcl,
    parse_bfcl_answer,
    parse_calls,
)
from bitagent_evaluator.parsing.render import in_python_terms, render_calls
from bitagent_evaluator.parsing.syntaxes import SYNTAXES

if TYPE_CHECKING:
    from tests.unit.evaluator.conftest import Watch

OURS = [syntax for syntax in AnswerSyntax if syntax is not AnswerSyntax.PYTHON]
ALL = list(AnswerSyntax)

Calls = list[tuple[str, dict[str, Any]]]

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)
CALLS = st.lists(
    st.tuples(st.lists(NAMES, min_size=1, max_size=3).map(".".join), st.dictionaries(NAMES, VALUES, max_size=4)),
    min_size=1,
    max_size=4,
)


def hammer(calls: Calls) -> str:
    return json.dumps([{"name": name, "arguments": arguments} for name, arguments in calls])


def openai(calls: Calls) -> str:
    functions = ({"name": name, "arguments": json.dumps(arguments)} for name, arguments in calls)
    return json.dumps({"tool_calls": [{"type": "function", "function": function} for function in functions]})


def blocks(calls: Calls) -> str:
    bodies = (json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False) for name, arguments in calls)
    return "\n".join(f"<tool_call>\n{body}\n</tool_call>" for body in bodies)


def params_json(calls: Calls) -> str:
    return json.dumps([{"function": name, "params": arguments} for name, arguments in calls], indent=2)


def params_yaml(calls: Calls) -> str:
    return yaml.safe_dump([{"function": name, "params": arguments} for name, arguments in calls], sort_keys=False)


def plan(calls: Calls) -> str:
    return "\n".join(
        f"Plan: step {i}\n#E{i} = {name}[{json.dumps(arguments)}]" for i, (name, arguments) in enumerate(calls)
    )


def plan_of_python(calls: Calls) -> str:
    return "\n".join(
        f":evidence{i}: = {name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"
        for i, (name, arguments) in enumerate(calls)
    )


def arguments_of(calls: Calls) -> list[tuple[str, str]]:
    return [(name, json.dumps(arguments)) for name, arguments in calls]


def deepseek(calls: Calls) -> str:
    marked = (
        f"<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{text}<｜tool▁call▁end｜>" for name, text in arguments_of(calls)
    )
    return f"<｜tool▁calls▁begin｜>{''.join(marked)}<｜tool▁calls▁end｜>"


def react(calls: Calls) -> str:
    return "\n".join(f"Action: {name}\nAction Input: {text}" for name, text in arguments_of(calls))


def invoke(calls: Calls) -> str:
    return "\n".join(f'<invoke name="{name}">{text}</invoke>' for name, text in arguments_of(calls))


def argument_tags(calls: Calls) -> str:
    tags = "<arg_key>{}</arg_key>\n<arg_value>{}</arg_value>"
    return "\n".join(
        "\n".join([f"<tool_call>{name}", *(tags.format(key, json.dumps(value)) for key, value in arguments.items())])
        + "</tool_call>"
        for name, arguments in calls
    )


def olmo(calls: Calls) -> str:
    lines = (
        f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})" for name, arguments in calls
    )
    return "<function_calls>\n{}\n</function_calls>".format("\n".join(lines))


WRITERS: dict[str, tuple[AnswerSyntax, Callable[[Calls], str]]] = {
    "hammer": (AnswerSyntax.JSON_LIST, hammer),
    "openai": (AnswerSyntax.TOOL_CALLS, openai),
    "blocks": (AnswerSyntax.TOOL_CALL_BLOCKS, blocks),
    "params in json": (AnswerSyntax.FUNCTION_PARAMS, params_json),
    "params in yaml": (AnswerSyntax.FUNCTION_PARAMS, params_yaml),
    "plan": (AnswerSyntax.REWOO, plan),
    "plan of python": (AnswerSyntax.REWOO, plan_of_python),
    "deepseek": (AnswerSyntax.NAMED_CALLS, deepseek),
    "react": (AnswerSyntax.REACT, react),
    "invoke": (AnswerSyntax.INVOKE_TAGS, invoke),
    "argument tags": (AnswerSyntax.ARGUMENT_TAGS, argument_tags),
    "olmo": (AnswerSyntax.PYTHON_BLOCKS, olmo),
}
AROUND = st.sampled_from(
    [("", ""), ("Sure, [1]:\n\n", "\n\nThat is {all}."), ("```json\n", "\n```"), ("<think>f?</think>\n", "")]
)


def plain(calls: Calls) -> list[dict[str, Any]]:
    return [{name: arguments} for name, arguments in calls]


@pytest.mark.parametrize(("syntax", "write"), WRITERS.values(), ids=WRITERS)
@given(calls=CALLS, around=AROUND)
@examples(30)
def test_calls_survive_writing_and_reading(
    syntax: AnswerSyntax, write: Callable[[Calls], str], calls: Calls, around: tuple[str, str]
) -> None:
    before, after = around
    assert parse_calls(before + write(calls) + after, [syntax]) == plain(calls)


@given(CALLS)
@examples(60)
def test_calls_survive_rendering(calls: Calls) -> None:
    answer = parse_answer(hammer(calls), ALL)
    for found in (answer.calls, parse_bfcl(answer.bfcl_text()), parse_answer(answer.bfcl_text(), ALL).calls):
        assert found == plain(calls)
        assert repr(found) == repr(plain(calls))


ANY_NAMES = (
    NAMES | st.text(max_size=6) | st.sampled_from(["get-weather", "a.b", "from", "a..b", "\ufb01nd", "größe", ""])
)
ANY_CALLS = st.lists(
    st.dictionaries(ANY_NAMES, st.dictionaries(st.none() | ANY_NAMES, VALUES, max_size=3), min_size=1, max_size=1),
    max_size=3,
)


@given(ANY_CALLS)
@examples(40)
def test_python_terms_need_no_detour_through_text(calls: list[dict[str, dict[str | None, Any]]]) -> None:
    found = in_python_terms(calls)
    assert found == parse_bfcl(render_calls(calls))
    assert repr(found) == repr(parse_bfcl(render_calls(calls)))
    assert render_calls(found) == render_calls(calls)


def read(text: str, nothing_executed: Watch, *syntaxes: AnswerSyntax) -> None:
    try:
        with nothing_executed():
            calls = parse_calls(text, syntaxes or ALL)
    except AnswerError:
        return
    assert is_call_list(calls)


for _write in WRITERS.values():  # imports what decoding needs, before execution is watched
    parse_calls(_write[1]([("f", {"a": 1})]), [_write[0]])

JSON_PARTS = (
    '[ ] { } " , : \\ - 1 e9 null true NaN \\u00e9 \\ud800 "name" "arguments" "function" "params" "tool_calls" f a'
)
OTHER_PARTS = (
    "``` ```json <tool_call> </tool_call> </think> --- &a *a !!python/name:os.system <<: | > ? # #E1 :evidence1: = ) ("
)
PHRASES = [
    '"name":"f"', '"arguments":{', '"a":1}', "function: f", "params:", "\n  a: 1", "- function: g", "\n", " ", "\t",
    "\x00", "\ud800", "é", "Plan: ", "f[x]", "f(a=1)", "f(a=__import__('os').getpid() + 1)", "'",
]  # fmt: skip
FRAGMENTS = st.sampled_from([*JSON_PARTS.split(), *OTHER_PARTS.split(), *PHRASES])
WRITTEN = st.lists(FRAGMENTS, max_size=40).map("".join)


@given(st.text(max_size=60) | WRITTEN)
@examples(180)
def test_any_text_is_calls_or_the_documented_error(nothing_executed: Watch, text: str) -> None:
    read(text, nothing_executed)
    for syntax in OURS:
        read(text, nothing_executed, syntax)


@given(st.text(max_size=60) | WRITTEN | CALLS.map(hammer))
@examples(90)
def test_parsing_never_fails_and_agrees_with_the_text_in_bfcl_syntax(text: str) -> None:
    answer = parse_answer(text, ALL)
    official = parse_bfcl_answer(text)
    if official.calls is not None:
        assert answer == official
    assert repr(parse_bfcl_answer(answer.bfcl_text()).calls) == repr(answer.calls)


ATTACKS = {
    "yaml object": "function: f\nparams: !!python/object/apply:os.system ['true']",
    "yaml module": "function: f\nparams:\n  a: !!python/module:antigravity",
    "yaml name": "function: !!python/name:os.system\nparams: {}",
    "json class": '{"name": "f", "arguments": {"__class__": "os.system", "py/object": "os.system"}}',
    "plan arithmetic": "#E1 = f[a=1 + __import__('os').system('true')]",
    "plan call": "#E1 = f(a=__import__('os').system('true'))",
    "plan positional": "#E1 = f(__import__('os').system('true'))",
    "block of python": "<tool_call>__import__('os').system('true')</tool_call>",
}


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_nothing_is_executed(nothing_executed: Watch, text: str) -> None:
    read(text, nothing_executed)
    for syntax in OURS:
        read(text, nothing_executed, syntax)


SIZE, SECONDS = 100_000, 1.25
"""Bytes with which a reader that takes a square of the time would not end in these seconds; others take a tenth."""
PIECES = [
    "[",
    "{",
    "]",
    "}",
    '"',
    "[{",
    "<tool_call>f<arg_key>a</arg_key><arg_value>",
    "<arg_value>",
    '<invoke name="f">',
    '<a:invoke name="',
    "<aaaa",
    "<｜tool▁call▁begin｜>f<｜tool▁sep｜>{}",
    "<｜tool▁call▁begin｜>",
    "<|channel|>a to=f<|message|>",
    "to=",
    ">>>f\n{}\n",
    "f\n",
    "<start_function_call>call:f{a:",
    "<start_function_call>call:f{}",
    "call:",
    "<function_calls>",
    "<function_calls>f(a=1)\n",
    "```python\n",
    "print(",
    "Action: f\n",
    "Action: f\nAction Input:",
    "Action: f\nAction Input: {}\n",
    "Observation:\n",
    "**Action:** ",
    '{"a":',
    '[{"',
    '["',
    "[1",
    "[1,",
    "[a ",
    "[[[a",
    '{"a',
    "\\",
    '"\\',
    "[] ",
    "{} ",
    "[1] ",
    "1",
    "\n",
    " ",
    "é",
    "<tool_call>",
    "</tool_call>",
    "<tool_call>{",
    "<tool_call>[1]</tool_call>",
    "</think>",
    "`",
    "```\n",
    "function: f\n",
    "params:\n",
    "function: f\nparams:\n",
    "function: f\nparams: {}\n",
    "- function: f\n",
    "- function: f\n  params: {}\n",
    "function:\n  - ",
    "#E1 = ",
    "#E1 =",
    "#E1",
    ":evidence1: = f[x]\n",
    "#E1 = f(",
    "#E1 = f[a=1] ",
    "Plan: ",
    "f[",
    "&a ",
    "*a ",
    "? ",
    "- ",
    ": ",
]
JSON_HEAD, YAML_HEAD = '{"name": "f", "arguments": {"a": ', "function: f\nparams:\n  a:\n    "


HOSTILE = {
    f"{piece!r} {where}": (head, piece)
    for piece in PIECES
    for where, head in (("alone", ""), ("in json", JSON_HEAD), ("in yaml", YAML_HEAD))
}
"""A beginning, and the piece that is repeated after it."""


def seconds(text: str, syntaxes: Sequence[AnswerSyntax]) -> float:
    """Processor time of the readers themselves, without the bound on the length of an answer."""
    start = time.process_time()
    for syntax in syntaxes:
        try:
            SYNTAXES[syntax](text)
        except AnswerError:
            continue
    return time.process_time() - start


@pytest.mark.parametrize(("head", "piece"), HOSTILE.values(), ids=HOSTILE)
def test_time_is_in_proportion_to_the_size(head: str, piece: str) -> None:
    assert seconds(head + piece * (SIZE // len(piece)), OURS) < SECONDS


@pytest.mark.parametrize(("head", "piece"), HOSTILE.values(), ids=HOSTILE)
def test_a_longest_answer_takes_little_time(head: str, piece: str) -> None:
    text = head + piece * ((MAX_CHARACTERS - len(head)) // len(piece))
    start = time.process_time()
    parse_answer(text, ALL)
    assert time.process_time() - start < 30


def test_a_longer_answer_is_not_looked_at() -> None:
    with pytest.raises(AnswerError) as caught:
        parse_calls("[" * SIZE, ALL)
    assert caught.value.refused and f"more than {MAX_CHARACTERS}" in str(caught.value)
