"""Files of task sets: what a task must have for the answer that it expects."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task

TASK: dict[str, Any] = {"id": "t", "source": "jsonl", "category": "c", "messages": [], "functions": []}
TURN: list[dict[str, Any]] = [{"role": "user", "content": "q"}]
CONVERSATION: dict[str, Any] = {"turns": [TURN], "ground_truth": [["f()"]], "classes": ["Files"], "initial_state": {}}


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"expects": "Calls", "ground_truth": [{"f": {"a": [1, ""]}}]}, id="calls"),
        pytest.param({"expects": "NoCall"}, id="no call"),
        pytest.param({"expects": "AnyCall"}, id="any call"),
        pytest.param({"expects": "State", "conversation": CONVERSATION}, id="a state"),
        pytest.param({"expects": "Text", "reference": "an answer"}, id="a text"),
        pytest.param({"variation": {"return_format": "json", "tool_call_tag": True}}, id="a variation"),
    ],
)
def test_a_task_with_what_it_needs(more: dict[str, Any]) -> None:
    task = Task.model_validate(TASK | more)
    assert Task.model_validate_json(task.model_dump_json()) == task


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"expects": "State"}, id="a state without conversation"),
        pytest.param({"conversation": CONVERSATION}, id="a conversation without state"),
        pytest.param({"expects": "Text"}, id="a text without reference"),
        pytest.param({"expects": "State", "conversation": CONVERSATION | {"ground_truth": []}}, id="too few calls"),
        pytest.param(
            {"expects": "State", "conversation": CONVERSATION | {"turns": [], "ground_truth": []}}, id="no turn"
        ),
        pytest.param({"id": ""}, id="no id"),
        pytest.param({"variation": {"return_format": "yaml"}}, id="an unknown variation"),
        pytest.param({"variation": {}, "language": "Java"}, id="a variation in Java"),
        pytest.param({"variation": {}, "expects": "State", "conversation": CONVERSATION}, id="a varied conversation"),
        pytest.param({"variation": {}, "expects": "Text", "reference": "a"}, id="a varied text"),
    ],
)
def test_a_task_without_what_it_needs(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Task.model_validate(TASK | more)


def test_later_fields_are_written_only_when_set() -> None:
    plain = json.loads(Task.model_validate(TASK).model_dump_json())
    assert not {"conversation", "reference"} & set(plain)
    texted = Task.model_validate(TASK | {"expects": Expects.TEXT, "reference": "r"})
    assert json.loads(texted.model_dump_json())["reference"] == "r"


def test_fields_of_a_newer_version_are_ignored() -> None:
    assert Task.model_validate(TASK | {"later": 1}) == Task.model_validate(TASK)
