"""OpenAI's fine-tuning rows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.tasks.rows.base import Origin, RowSkipped
from bitagent_evaluator.tasks.rows.bitagent import BitAgentRows
from bitagent_evaluator.tasks.rows.openai import OpenAIRows

WEATHER = {
    "name": "get_weather",
    "description": "Forecast.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CALL = {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": json.dumps({"city": "Oslo"})}}
ROW: dict[str, Any] = {
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "Weather in Oslo?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
    ],
    "tools": [{"type": "function", "function": WEATHER}],
    "parallel_tool_calls": False,
}


def read(row: dict[str, Any]) -> Task:
    return OpenAIRows(Origin("jsonl", "p")).read(row, "1")


@pytest.mark.parametrize(
    "row",
    [
        ROW,
        ROW | {"messages": json.dumps(ROW["messages"]), "tools": json.dumps(ROW["tools"])},
        {"messages": ROW["messages"], "functions": [WEATHER]},
    ],
    ids=["tools", "JSON text", "functions"],
)
def test_a_row(row: dict[str, Any]) -> None:
    task = read(row)
    assert task.ground_truth == [{"get_weather": {"city": ["Oslo"]}}]
    assert [message["role"] for message in task.messages] == ["system", "user"]
    assert (task.id, task.category) == ("p:1", "openai")


def test_an_answer_in_prose_means_no_call() -> None:
    row = ROW | {"messages": [*ROW["messages"][:2], {"role": "assistant", "content": "I cannot tell."}]}
    assert read(row).expects is Expects.NO_CALL


def test_the_same_calls_are_read_as_rows_of_bitagent() -> None:
    task = BitAgentRows(Origin("jsonl", "p")).read(ROW, "1")
    assert task.ground_truth == read(ROW).ground_truth


def test_a_row_without_messages_says_so() -> None:
    with pytest.raises(RowSkipped, match="messages"):
        read({"conversations": []})


def with_system(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "system", "content": text}, *ROW["messages"][1:]], "tools": None}


@pytest.mark.parametrize(
    "text",
    [
        f"<tools>{json.dumps(ROW['tools'])}</tools>",
        "You may call:\n" + "\n".join(["[note]"] * 60 + [json.dumps(WEATHER)]),
    ],
    ids=["in tags", "an object"],
)
def test_functions_are_also_read_in_the_system_text(text: str) -> None:
    task = read(with_system(text))
    assert [function["name"] for function in task.functions] == ["get_weather"]
    assert task.messages == [{"role": "user", "content": "Weather in Oslo?"}]


def test_an_object_with_a_name_in_the_system_text_is_not_a_function() -> None:
    with pytest.raises(RowSkipped, match="without functions"):
        read(with_system('The user is {"name": "Ada", "age": 36}.'))


@pytest.mark.parametrize("item", [json.dumps(WEATHER), json.dumps(ROW["tools"][0])], ids=["a function", "OpenAI's"])
def test_descriptions_may_be_texts(item: str) -> None:
    assert read(ROW | {"tools": [item]}).ground_truth == [{"get_weather": {"city": ["Oslo"]}}]
