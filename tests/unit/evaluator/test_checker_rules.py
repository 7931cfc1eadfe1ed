"""By which of the official checker's rules a task is judged, after alterations changed its shape."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_crds.results import Task
from bitagent_evaluator.scoring.judgement import checker_category, judge


def function(name: str) -> dict[str, Any]:
    properties = {"a": {"type": "integer", "description": ""}}
    return {
        "name": name,
        "description": "",
        "parameters": {"type": "dict", "properties": properties, "required": ["a"]},
    }


def task(category: str, *names: str, calls: int = 1) -> Task:
    return Task(
        id="t", source="bfcl", category=category, messages=[{"role": "user", "content": "?"}],
        functions=[function(name) for name in names], ground_truth=[{"f": {"a": [i]}} for i in range(calls)],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given_task", "rule"),
    [
        pytest.param(task("simple_python", "f"), "simple_python", id="simple as published"),
        pytest.param(task("simple_python", "f", "g"), "multiple", id="simple with a function more"),
        pytest.param(task("live_simple", "g", "f"), "multiple", id="live simple with a function more"),
        pytest.param(task("simple_python", "f", calls=2), "parallel", id="simple merged with another"),
        pytest.param(task("multiple", "f"), "multiple", id="multiple of which one is left"),
        pytest.param(task("multiple", "f", "g", calls=2), "parallel", id="multiple merged with another"),
        pytest.param(
            task("parallel_multiple", "f", "g", calls=3), "parallel_multiple", id="parallel merged with another"
        ),
        pytest.param(task("live_irrelevance", "g", "f"), "multiple", id="a call in a category without calls"),
        pytest.param(task("multi_turn_base", "f"), "simple_python", id="a call in a category of conversations"),
        pytest.param(task("my parallel sums", "f", calls=2), "parallel", id="of someone's own, several calls"),
    ],
)
def test_rule(given_task: Task, rule: str) -> None:
    assert checker_category(given_task) == rule


@pytest.mark.parametrize("names", [("f", "g"), ("g", "f")], ids=["first", "second"])
def test_the_place_of_the_expected_function_does_not_matter(names: tuple[str, str]) -> None:
    given_task = task("simple_python", *names)
    assert judge(given_task, "f(a=0)").passed
    assert not judge(given_task, "g(a=0)").passed


def test_both_calls_of_a_merged_task_must_be_made() -> None:
    merged = task("simple_python", "f", calls=2)
    assert judge(merged, "[f(a=1), f(a=0)]").passed
    assert not judge(merged, "[f(a=0)]").passed
    assert not judge(merged, "[f(a=0), f(a=0)]").passed
