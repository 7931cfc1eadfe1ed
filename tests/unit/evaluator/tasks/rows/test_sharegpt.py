"""ShareGPT rows, as ToolACE, Hermes and LLaMA-Factory write them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.tasks.rows.base import Origin, RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.sharegpt import ShareGPTRows

WEATHER = {
    "name": "get_weather",
    "description": "Forecast.",
    "parameters": {"type": "dict", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TOOL = {"type": "function", "function": WEATHER}
CALL = '{"name": "get_weather", "arguments": {"city": "Oslo"}}'
ASK = {"from": "human", "value": "Weather in Oslo?"}
TRUTH = [{"get_weather": {"city": ["Oslo"]}}]
FORMS: dict[str, dict[str, Any]] = {
    "llama factory": {
        "conversations": [ASK, {"from": "function_call", "value": CALL}, {"from": "observation", "value": "Rain"}],
        "tools": json.dumps([WEATHER]),
    },
    "hermes": {
        "conversations": [
            {"from": "system", "value": f"You may call: <tools>{json.dumps([TOOL])}</tools>"},
            ASK,
            {"from": "gpt", "value": f"<tool_call>\n{CALL}\n</tool_call>"},
        ]
    },
    "toolace": {
        "system": f"Functions in JSON format that you can invoke:\n{json.dumps([WEATHER])}. Point it out.",
        "conversations": [
            {"from": "user", "value": "Weather in Oslo?"},
            {"from": "assistant", "value": '[get_weather(city="Oslo")]'},
        ],
    },
    "glaive's system text": {
        "conversations": [
            {"from": "system", "value": f"SYSTEM: You have these functions -\n{json.dumps(WEATHER)}"},
            ASK,
            {"from": "gpt", "value": f"<functioncall> {CALL}"},
        ]
    },
}  # fmt: skip


def read(row: dict[str, Any]) -> Task:
    return ShareGPTRows(Origin("jsonl", "p")).read(row, "1")


@pytest.mark.parametrize("row", FORMS.values(), ids=FORMS)
def test_a_row(row: dict[str, Any]) -> None:
    task = read(row)
    assert task.ground_truth == TRUTH
    assert task.messages == [{"role": "user", "content": "Weather in Oslo?"}]
    assert [function["name"] for function in task.functions] == ["get_weather"]


def test_a_system_text_without_functions_belongs_to_the_task() -> None:
    row = FORMS["llama factory"] | {"system": "Be brief [1]."}
    assert read(row).messages[0] == {"role": "system", "content": "Be brief [1]."}


def test_an_answer_in_prose_means_no_call() -> None:
    row = FORMS["llama factory"] | {"conversations": [ASK, {"from": "gpt", "value": "I cannot tell."}]}
    assert read(row).expects is Expects.NO_CALL


LEFT_OUT: dict[str, tuple[dict[str, Any], str]] = {
    "no conversations": ({"messages": []}, "without column 'conversations'"),
    "no functions": ({"conversations": [ASK, {"from": "gpt", "value": "Hi"}]}, RowSkipReason.NO_FUNCTIONS),
    "no answer": ({"conversations": [ASK], "tools": [WEATHER]}, RowSkipReason.NO_ANSWER),
    "a broken call": (
        {"conversations": [ASK, {"from": "gpt", "value": "<tool_call>{"}], "tools": [WEATHER]},
        RowSkipReason.BAD_CALL,
    ),
}


@pytest.mark.parametrize(("row", "reason"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_left_out(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(RowSkipped) as caught:
        read(row)
    assert caught.value.reason == reason
