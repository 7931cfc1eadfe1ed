"""Properties of all formats: a fitting call becomes a task whose ground truth passes; any row is a task or skipped."""

from __future__ import annotations

import contextlib
import json
import keyword
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_crds.tasks import Columns
from bitagent_evaluator.parsing.render import render_calls
from bitagent_evaluator.scoring.bfcl import LEFT_OUT, check_text, first_allowed
from bitagent_evaluator.tasks.rows.base import Origin, RowReader, RowSkipped
from bitagent_evaluator.tasks.rows.bitagent import BitAgentRows
from bitagent_evaluator.tasks.rows.checks import check_task
from bitagent_evaluator.tasks.rows.columns import ColumnRows
from bitagent_evaluator.tasks.rows.glaive import GlaiveRows
from bitagent_evaluator.tasks.rows.openai import OpenAIRows
from bitagent_evaluator.tasks.rows.sharegpt import ShareGPTRows

ORIGIN = Origin("jsonl", "p")
COLUMNS = Columns(question="q", functions="tools", answers="answers")

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}(\.[a-z]{1,4})?", fullmatch=True).filter(
    lambda name: not any(keyword.iskeyword(part) for part in name.split("."))
)
ARGUMENTS = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: not keyword.iskeyword(name))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXT,
    "integer": st.integers(-(10**9), 10**9),
    "number": st.floats(-1e9, 1e9) | st.integers(-99, 99),
    "boolean": st.booleans(),
}


@st.composite
def typed_values(draw: st.DrawFn) -> tuple[dict[str, Any], Any]:
    """A JSON Schema and a value of it."""
    kind = draw(st.sampled_from([*SCALARS, "array", "object", "objects"]))
    if kind in SCALARS:
        return {"type": kind}, draw(SCALARS[kind])
    inner = draw(st.sampled_from(list(SCALARS)))
    if kind == "array":
        return {"type": "array", "items": {"type": inner}}, draw(st.lists(SCALARS[inner], max_size=3))
    members = st.dictionaries(ARGUMENTS, SCALARS[inner], min_size=1, max_size=3)
    if kind == "object":
        return {"type": "object"}, draw(members)
    return {"type": "array", "items": {"type": "object"}}, draw(st.lists(members, min_size=1, max_size=2))


@st.composite
def described_calls(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A function and a call of it with all required arguments."""
    arguments = draw(st.dictionaries(ARGUMENTS, typed_values(), max_size=4))
    required = draw(st.sets(st.sampled_from(list(arguments)))) if arguments else set()
    left_out = draw(st.sets(st.sampled_from(list(arguments)))) - required if arguments else set()
    name = draw(NAMES)
    properties = {argument: schema for argument, (schema, _) in arguments.items()}
    function = {
        "name": name,
        "description": draw(TEXT),
        "parameters": {"type": "object", "properties": properties, "required": sorted(required)},
    }
    values = {argument: value for argument, (_, value) in arguments.items() if argument not in left_out}
    return function, {"name": name, "arguments": values}


def as_glaive(functions: list[dict[str, Any]], calls: list[dict[str, Any]]) -> dict[str, Any]:
    said = " ".join(f"<functioncall> {json.dumps({**c, 'arguments': json.dumps(c['arguments'])})}" for c in calls)
    system = "SYSTEM: Use these.\n" + "\n\n".join(json.dumps(function, indent=2) for function in functions)
    return {"system": system, "chat": f"USER: Do it.\n\n\nASSISTANT: {said or 'No.'} <|endoftext|>\n\n\n"}


def as_bitagent(functions: list[dict[str, Any]], calls: list[dict[str, Any]]) -> dict[str, Any]:
    tools = [
        {
            "name": function["name"],
            "description": function["description"],
            "arguments": {
                name: {**schema, "required": name in function["parameters"]["required"], "description": ""}
                for name, schema in function["parameters"]["properties"].items()
            },
        }
        for function in functions
    ]
    said = [{"role": "user", "content": "Do it."}, *({"role": "tool call", "content": c} for c in calls)]
    return {"conversation": said if calls else [*said, {"role": "assistant", "content": "No."}], "tools": tools}


def as_openai(functions: list[dict[str, Any]], calls: list[dict[str, Any]]) -> dict[str, Any]:
    listed = [{"type": "function", "function": {**c, "arguments": json.dumps(c["arguments"])}} for c in calls]
    answer = {"role": "assistant", "content": None, "tool_calls": listed} if calls else ANSWER
    tools = [{"type": "function", "function": function} for function in functions]
    return {"messages": [{"role": "user", "content": "Do it."}, answer], "tools": tools}


def as_sharegpt(functions: list[dict[str, Any]], calls: list[dict[str, Any]]) -> dict[str, Any]:
    blocks = "\n".join(f"<tool_call>\n{json.dumps(c)}\n</tool_call>" for c in calls)
    said = [{"from": "human", "value": "Do it."}, {"from": "gpt", "value": blocks or "No."}]
    system = {"from": "system", "value": f"You have <tools>{json.dumps(functions)}</tools>"}
    return {"conversations": [system, *said]}


ANSWER = {"role": "assistant", "content": "No."}


def as_columns(functions: list[dict[str, Any]], calls: list[dict[str, Any]]) -> dict[str, Any]:
    return {"q": "Do it.", "tools": functions, "answers": json.dumps(calls)}


FORMATS: dict[str, tuple[Any, RowReader]] = {
    "Glaive": (as_glaive, GlaiveRows(ORIGIN)),
    "BitAgent": (as_bitagent, BitAgentRows(ORIGIN)),
    "OpenAI": (as_openai, OpenAIRows(ORIGIN)),
    "ShareGPT": (as_sharegpt, ShareGPTRows(ORIGIN)),
    "Columns": (as_columns, ColumnRows(ORIGIN, COLUMNS)),
}


def own_answer(task: Task) -> str:
    """The ground truth written back: the first allowed values, required arguments kept."""
    required = {function["name"]: function["parameters"]["required"] for function in task.functions}
    calls = []
    for expected in task.ground_truth or []:
        ((name, arguments),) = expected.items()
        values = {
            argument: first_allowed(allowed, keep=argument in required[name]) for argument, allowed in arguments.items()
        }
        calls.append({name: {argument: value for argument, value in values.items() if value != LEFT_OUT}})
    return render_calls(calls)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60)
@given(st.lists(described_calls(), min_size=1, max_size=3, unique_by=lambda pair: pair[0]["name"]), st.integers(0, 3))
def test_the_ground_truth_passes_the_official_checker(name: str, described: list[Any], called: int) -> None:
    write, reader = FORMATS[name]
    functions, calls = [function for function, _ in described], [call for _, call in described[:called]]
    task = reader.read(write(functions, calls), "1")
    check_task(task)
    if not calls:
        assert task.expects is Expects.NO_CALL
        return
    assert [list(expected) for expected in task.ground_truth or []] == [[call["name"]] for call in calls]
    assert check_text(task, own_answer(task)).passed


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "arguments",
                    "parameters",
                    "function",
                    "role",
                    "content",
                    "properties",
                    "required",
                    "type",
                    "items",
                    "f",
                ]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=30,
)
ROWS = st.dictionaries(st.sampled_from(["system", "chat", "conversation", "messages", "tools", "q", "answers"]), JSON)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=80)
@given(ROWS)
def test_any_row_is_a_task_or_left_out(name: str, row: dict[str, Any]) -> None:
    with contextlib.suppress(RowSkipped):
        check_task(FORMATS[name][1].read(row, "1"))
