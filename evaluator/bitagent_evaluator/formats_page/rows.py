"""Example rows of every format, which columns they need, and a row for each reason to skip one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bitagent_crds.task_set import Task
from bitagent_crds.tasks import Columns, RowFormat
from bitagent_evaluator.tasks.rows.base import Origin, RowError, RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.checks import MAX_CALLS
from bitagent_evaluator.tasks.rows.convert import ROW_READERS

Row = dict[str, Any]

_QUESTION = "How warm is it in Oslo?"
_PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_FUNCTION = {"name": "weather", "description": "The weather of a city.", "parameters": _PARAMETERS}
_CALL = {"name": "weather", "arguments": {"city": "Oslo"}}
_MESSAGES = [{"role": "user", "content": _QUESTION}]
_COLUMNS = Columns(question="query", functions="tools", answers="answers")
_SYSTEM_TEXT = (
    'SYSTEM: You may call {"name": "weather", "description": "", "parameters": {"type": "object", "properties": '
    '{"city": {"type": "string"}}, "required": ["city"]}}'
)


@dataclass(frozen=True)
class RowExample:
    """A row of one format."""

    rows: RowFormat
    row: Row
    columns: Columns | None = None


EXAMPLES = (
    RowExample(
        RowFormat.TASK,
        {
            "id": "oslo-1",
            "messages": _MESSAGES,
            "functions": [{**_FUNCTION, "parameters": {**_PARAMETERS, "type": "dict"}}],
            "ground_truth": [{"weather": {"city": ["Oslo", "Oslo, Norway"]}}],
        },
    ),
    RowExample(
        RowFormat.GLAIVE,
        {
            "system": _SYSTEM_TEXT,
            "chat": f"USER: {_QUESTION}\n\n\nASSISTANT: <functioncall> "
            '{"name": "weather", "arguments": \'{"city": "Oslo"}\'} <|endoftext|>',
        },
    ),
    RowExample(
        RowFormat.BITAGENT,
        {
            "conversation": [*_MESSAGES, {"role": "tool call", "content": _CALL}],
            "tools": [
                {
                    "name": "weather",
                    "description": "The weather of a city.",
                    "arguments": {"city": {"required": True, "type": "string", "description": "Its name."}},
                }
            ],
        },
    ),
    RowExample(
        RowFormat.OPENAI,
        {
            "messages": [
                *_MESSAGES,
                {
                    "role": "assistant",
                    "tool_calls": [
                        {"type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
                    ],
                },
            ],
            "tools": [{"type": "function", "function": _FUNCTION}],
        },
    ),
    RowExample(
        RowFormat.SHARE_GPT,
        {
            "conversations": [
                {"from": "human", "value": _QUESTION},
                {"from": "gpt", "value": '<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>'},
            ],
            "tools": [_FUNCTION],
        },
    ),
    RowExample(RowFormat.COLUMNS, {"query": _QUESTION, "tools": [_FUNCTION], "answers": [_CALL]}, _COLUMNS),
    RowExample(
        RowFormat.COLUMNS,
        {"prompt": {"text": _QUESTION}, "response": "About 7 degrees."},
        Columns(question="prompt.text", reference="response"),
    ),
)
"""Rows that are tasks. They are as short as a row of their format can be."""

_INTEGER = {**_PARAMETERS, "properties": {"city": {"type": "integer"}}}
_IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]}]
_WITH_CALLS, _WITH_TEXT = EXAMPLES[-2:]
_OPENAI = next(example for example in EXAMPLES if example.rows is RowFormat.OPENAI)
_DOUBLING = {
    f"D{n}": {"type": "object", "properties": {part: {"$ref": f"#/$defs/D{n + 1}"} for part in "ab"}} for n in range(20)
}
_REFERRING = {"type": "object", "properties": {"city": {"$ref": "#/$defs/D0"}}, "$defs": _DOUBLING | {"D20": {}}}
_CHANGES: Mapping[RowSkipReason, tuple[RowExample, Row]] = {
    RowSkipReason.NO_FUNCTIONS: (_WITH_CALLS, {"tools": []}),
    RowSkipReason.BAD_FUNCTIONS: (_WITH_CALLS, {"tools": "see the manual"}),
    RowSkipReason.TOO_MANY_REFERENCES: (_WITH_CALLS, {"tools": [{"name": "weather", "parameters": _REFERRING}]}),
    RowSkipReason.NO_QUESTION: (_WITH_CALLS, {"query": ""}),
    RowSkipReason.NOT_TEXT: (_OPENAI, {"messages": _IMAGE}),
    RowSkipReason.UNKNOWN_ROLE: (_OPENAI, {"messages": [{"role": "context", "content": ""}, *_OPENAI.row["messages"]]}),
    RowSkipReason.NO_ANSWER: (_WITH_CALLS, {"answers": None}),
    RowSkipReason.BAD_CALL: (_WITH_CALLS, {"answers": '[{"name": "weather", "arg'}),
    RowSkipReason.TOO_MANY_CALLS: (_WITH_CALLS, {"answers": [_CALL] * (MAX_CALLS + 1)}),
    RowSkipReason.UNKNOWN_FUNCTION: (_WITH_CALLS, {"answers": [{"name": "forecast", "arguments": {}}]}),
    RowSkipReason.UNKNOWN_ARGUMENT: (
        _WITH_CALLS,
        {"answers": [{"name": "weather", "arguments": {"city": "Oslo", "unit": "C"}}]},
    ),
    RowSkipReason.WRONG_TYPE: (_WITH_CALLS, {"tools": [{"name": "weather", "parameters": _INTEGER}]}),
    RowSkipReason.NO_ARGUMENT: (_WITH_CALLS, {"answers": [{"name": "weather", "arguments": {}}]}),
    RowSkipReason.INVALID_IDENTIFIER: (
        _WITH_CALLS,
        {"tools": [{"name": "get-weather"}], "answers": [{"name": "get-weather", "arguments": {}}]},
    ),
    RowSkipReason.NO_REFERENCE: (_WITH_TEXT, {"response": ""}),
}


@dataclass(frozen=True)
class SkippedRow:
    """A row that is skipped: the example of a format with other values in some columns."""

    example: RowExample
    changes: Row


SKIPPED: Mapping[RowSkipReason, SkippedRow] = {
    reason: SkippedRow(RowExample(base.rows, {**base.row, **changes}, base.columns), changes)
    for reason, (base, changes) in _CHANGES.items()
}
"""Rows that are skipped, by the reason. The others need a file of another kind: NaN, a stream, an odd ground truth."""


def read(example: RowExample) -> Task:
    """Return the task that the reader of the format makes. Raises RowError or RowSkipped."""
    reader = ROW_READERS[example.rows](Origin(source="hub", prefix="rows"), example.columns)
    return reader.read(example.row, "1")


def needed_columns(example: RowExample) -> list[str]:
    """Return the columns without which a row cannot be read as a task, found by leaving each out."""
    needed = []
    for column in example.row:
        rest = {name: value for name, value in example.row.items() if name != column}
        try:
            read(RowExample(example.rows, rest, example.columns))
        except (RowError, RowSkipped):
            needed.append(column)
    return needed


def reason_of(example: RowExample) -> str:
    """Return why the reader skips the row; empty if it does not."""
    try:
        read(example)
    except RowSkipped as skipped:
        return skipped.reason
    return ""
