"""The public benchmark: the committed file, and tasks that their values answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from bitagent_local.cluster.host import SOURCES
from bitagent_local.models.training import benchmark

MODELS = SOURCES / "models"
Find = Callable[[str], tuple[str, dict[str, str]]]
ReadCall = Callable[[str], tuple[str, dict[str, Any]]]


def test_the_file_is_what_the_generator_writes() -> None:
    assert (MODELS / "benchmark.jsonl").read_text(encoding="utf-8") == benchmark.lines()


def test_public_tasks_offer_enough_and_are_answered_by_their_values(find: Find) -> None:
    tasks = [json.loads(line) for line in benchmark.lines().splitlines()]
    assert len({task["id"] for task in tasks}) == len(tasks) == benchmark.COUNT
    assert len({task["messages"][0]["content"] for task in tasks}) == len(tasks)
    for task in tasks:
        assert 3 <= len({function["name"] for function in task["functions"]}) == len(task["functions"]) <= 5
        assert task["expects"] == "Calls"
        name, values = find(task["messages"][0]["content"])
        assert task["ground_truth"] == [{name: {key: [int(v) if v.isdigit() else v] for key, v in values.items()}}]
        (function,) = [function for function in task["functions"] if function["name"] == name]
        for parameter, schema in function["parameters"]["properties"].items():
            assert schema["description"]
            assert schema["type"] == ("integer" if values[parameter].isdigit() else "string")


def test_a_memoriser_sees_the_public_tasks_as_they_are(read_call: ReadCall) -> None:
    tasks = [json.loads(line) for line in benchmark.lines().splitlines()]
    lessons = benchmark.lessons()
    assert [list(each.tools) for each in lessons] == [task["functions"] for task in tasks]
    for each, task in zip(lessons, tasks, strict=True):
        (exchange,) = each.exchanges
        assert exchange.question == task["messages"][0]["content"]
        name, arguments = read_call(exchange.answer)
        assert task["ground_truth"] == [{name: {key: [value] for key, value in arguments.items()}}]
