"""Questions of the graded models: the committed files, and samples that answer their question."""

from __future__ import annotations

import json
import random

from hypothesis import given
from hypothesis import strategies as st

from bitagent_local.cluster.host import SOURCES
from bitagent_local.models.training import samples

MODELS = SOURCES / "models"


def test_held_out_file_is_what_the_generator_draws() -> None:
    lines = (MODELS / "heldout.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines == [json.dumps(sample.record()) for sample in samples.held_out()]


def test_task_file_is_what_the_converter_writes() -> None:
    assert (MODELS / "tasks.jsonl").read_text(encoding="utf-8") == samples.lines()


def test_every_task_can_be_answered_from_its_functions() -> None:
    found = [json.loads(line) for line in samples.lines().splitlines()]
    assert len({task["id"] for task in found}) == len(found) == samples.HELD_OUT_COUNT
    assert {task["category"] for task in found} == {"tiny-fc-simple", "tiny-fc-multiple"}
    for task in found:
        (call,) = task["ground_truth"]
        ((name, arguments),) = call.items()
        (function,) = [function for function in task["functions"] if function["name"] == name]
        assert set(arguments) == set(function["parameters"]["required"])
        kinds = {"integer": int, "string": str}
        for argument, (value,) in arguments.items():
            assert type(value) is kinds[function["parameters"]["properties"][argument]["type"]]


@given(seed=st.integers())
def test_samples_answer_their_question(seed: int) -> None:
    sample = samples.draw(random.Random(seed))
    assert sample.function in {tool.name for tool in sample.tools}
    assert 1 <= len(sample.tools) <= 2
    for value in sample.arguments.values():
        assert str(value) in sample.question
    words = [value for value in sample.arguments.values() if isinstance(value, str)]
    assert len(set(words)) == len(words)
