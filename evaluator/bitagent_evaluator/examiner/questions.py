"""A task as the BitAgent subnet's messages hold it, and the form of a right answer. Pure.

A tool has `{"name", "description", "arguments": {argument: {required, type, description}}}`. What else a function of
BFCL's form says of an argument, such as allowed values, a default or members, has no place of its own there and is
added to the argument's description; otherwise some right answers could not be found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from bitagent_crds.examiner import ExaminerTask
from bitagent_crds.task_forms import SEVERAL_STEPS, Expects, Language
from bitagent_crds.task_set import Task
from bitagent_evaluator.prompts.chat_formats import describe_functions

TOOL_RESPONSE = "tool response"
"""The subnet's role of a message with the result of a call."""
_ROLES: Mapping[str, str] = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool call": "tool call",
    "tool": TOOL_RESPONSE,
    TOOL_RESPONSE: TOOL_RESPONSE,
}
"""Roles of the subnet's messages by those of tasks."""
_SHAPES: Mapping[Language, str] = {
    Language.PYTHON: "function(argument=value)",
    Language.JAVA: "function(argument=value), with each value as Java source",
    Language.JAVASCRIPT: "function(argument=value), with each value as JavaScript source",
}


def question(task: Task) -> ExaminerTask | None:
    """Return the task as miners are asked it, without its truth; None if one message cannot ask it.

    Conversations, memories, texts to be continued and format variations cannot be asked, nor can a task with a message
    without text, with another role, or beyond the bounds of `ExaminerTask`.
    """
    if task.expects in SEVERAL_STEPS or task.expects is Expects.TEXT or task.variation is not None:
        return None
    functions = task.functions
    if task.language is not Language.PYTHON:
        functions = describe_functions(functions, task.language)
    try:
        return ExaminerTask.model_validate(
            {
                "id": task.id,
                "messages": [_message(message) for message in task.messages],
                "tools": [_tool(function) for function in functions],
            }
        )
    except (ValidationError, LookupError, TypeError, AttributeError):
        return None


def expected_shape(task: Task) -> str:
    """Return the form of a right answer in words, without its function and values."""
    if task.expects is Expects.NO_CALL:
        return "no call: none of the tools fits; a text without any call"
    call = _SHAPES[task.language]
    if task.expects is Expects.ANY_CALL:
        return f"a list with at least one call of one of the tools: [{call}]"
    number = len(task.ground_truth or [])
    if number == 1:
        return f"a list of one call: [{call}]"
    return f"a list of {number} calls: [{call}, {call}, ...]"


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    return {"role": _ROLES[message["role"]], "content": message["content"]}


def _tool(function: Mapping[str, Any]) -> dict[str, Any]:
    parameters = function.get("parameters") or {}
    required = parameters.get("required") or []
    return {
        "name": function["name"],
        "description": function.get("description") or "",
        "arguments": {
            name: {
                "required": name in required,
                "type": str(schema.get("type", "any")),
                "description": _described(schema),
            }
            for name, schema in (parameters.get("properties") or {}).items()
        },
    }


_SHOWN = {"type", "description", "optional"}
_WORDS = {
    "enum": "One of",
    "default": "Default",
    "items": "Items",
    "properties": "Members",
    "required": "Required members",
}


def _described(schema: Mapping[str, Any]) -> str:
    """Return the description of an argument with what its three members have no place for."""
    text = str(schema.get("description") or "").strip()
    more = [
        f"{_WORDS.get(name, name.capitalize())}: {json.dumps(value, ensure_ascii=False)}."
        for name, value in schema.items()
        if name not in _SHOWN
    ]
    return " ".join([text, *more]).strip()
