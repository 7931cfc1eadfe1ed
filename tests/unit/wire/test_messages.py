from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_wire.messages import (
    MESSAGES,
    TEXT_MAX,
    GetHFModelName,
    IsAlive,
    Message,
    Misread,
    QueryResult,
    QueryTask,
    Role,
    answered,
    read,
    write,
    write_answer,
)


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_names_are_those_of_the_reference() -> None:
    expected = {"QueryTask", "QueryResult", "IsAlive", "GetHFModelName", "GetHFRunModelName", "SetHFModelName"}
    assert set(MESSAGES) == expected


@pytest.mark.parametrize(
    ("role", "found"),
    [("user", Role.USER), ("tool call", Role.TOOL_CALL), ("Tool_Call", Role.TOOL_CALL), ("tool", Role.TOOL_RESPONSE)],
)
def test_roles_are_read_under_other_names_and_written_under_one(role: str, found: Role) -> None:
    task = read(QueryTask, body({"messages": [{"role": role, "content": {"a": [1]}, "x": 1}]}))
    assert isinstance(task, QueryTask)
    assert task.messages[0].role is found
    assert json.loads(write(task))["messages"] == [{"role": found.value, "content": {"a": [1]}}]


def test_missing_and_null_members_are_read() -> None:
    task = read(QueryTask, body({"tools": [{"name": "f", "arguments": None}], "messages": None, "response": None}))
    assert isinstance(task, QueryTask)
    assert (task.messages, task.response, task.tools[0].arguments) == ([], "", {})


def test_more_members_of_an_argument_are_kept() -> None:
    argument = {"required": True, "type": "string", "description": "d", "enum": ["a"]}
    task = read(QueryTask, body({"tools": [{"name": "f", "description": "", "arguments": {"x": argument}}]}))
    assert json.loads(write(task))["tools"][0]["arguments"]["x"] == argument


@pytest.mark.parametrize(
    ("kind", "value", "too_long"),
    [
        pytest.param(QueryTask, {"messages": [{"role": "pirate"}]}, False, id="role"),
        pytest.param(QueryTask, {"tools": "f"}, False, id="tools"),
        pytest.param(QueryTask, {"response": 5}, False, id="response"),
        pytest.param(QueryTask, {"response": "x" * (TEXT_MAX + 1)}, True, id="long"),
        pytest.param(QueryTask, {"messages": [{"role": "user", "content": ""}] * 1025}, True, id="many"),
        pytest.param(QueryResult, {}, False, id="required"),
        pytest.param(QueryTask, [], False, id="a list"),
        pytest.param(GetHFModelName, {"hf_model_name": "x" * 513}, True, id="name"),
    ],
)
def test_what_is_misread(kind: type[Message], value: Any, too_long: bool) -> None:
    with pytest.raises(Misread) as caught:
        read(kind, body(value))
    assert caught.value.too_long is too_long
    assert len(str(caught.value)) <= 200


@pytest.mark.parametrize(
    ("message", "answer", "found"),
    [
        pytest.param(QueryTask(), {"response": "f()"}, {"response": "f()", "hf_run_model_name": "N/A"}, id="task"),
        pytest.param(IsAlive(), {"response": True}, {"response": True}, id="alive"),
        pytest.param(QueryResult(results="r"), {"results": "other"}, {"results": "r"}, id="result"),
        pytest.param(GetHFModelName(), {"hf_model_name": None}, {"hf_model_name": None}, id="no model"),
    ],
)
def test_answers(message: Message, answer: Any, found: dict[str, Any]) -> None:
    assert answered(message, body(answer)).fields() == message.fields() | found


@pytest.mark.parametrize("message", [QueryTask(), IsAlive(), GetHFModelName()])
def test_an_answer_without_its_field_is_misread(message: Message) -> None:
    with pytest.raises(Misread):
        answered(message, b"{}")


def test_only_the_answer_is_written() -> None:
    assert json.loads(write_answer(QueryTask(response="f()"))) == {"response": "f()", "hf_run_model_name": "N/A"}
    assert json.loads(write_answer(QueryResult(results="r"))) == {}
