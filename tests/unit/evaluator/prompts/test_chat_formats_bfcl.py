"""Formats Bfcl and BitAgent."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from bitagent_crds.task_set import Task
from bitagent_evaluator.prompts.chat_formats import Bfcl, BitAgent

MakeTask = Callable[..., Task]
QUESTION = {"role": "user", "content": "Add 1 and 2, {please}."}

SYSTEM = {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize("format_class", [Bfcl, BitAgent])
def test_functions_are_in_the_system_message(format_class: type[Bfcl | BitAgent], task: MakeTask) -> None:
    made = format_class().build_prompt(task())
    assert made.tools is None
    assert [message["role"] for message in made.messages] == ["system", "user"]
    assert made.messages[1] == QUESTION
    assert '"name": "calc.add"' in made.messages[0]["content"]


@pytest.mark.parametrize("format_class", [Bfcl, BitAgent])
def test_a_system_message_of_the_question_follows_ours(format_class: type[Bfcl | BitAgent], task: MakeTask) -> None:
    made = format_class().build_prompt(task(messages=[SYSTEM, QUESTION]))
    alone = format_class().build_prompt(task())
    assert made.messages == [{"role": "system", "content": alone.messages[0]["content"] + "\n\nBe brief."}, QUESTION]


def test_bitagent_asks_in_the_subnets_words(task: MakeTask) -> None:
    system = BitAgent().build_prompt(task()).messages[0]["content"]
    assert system.startswith("You are an expert in composing functions. You are given a question")
    assert (
        "MUST put it in the format of [func_name(params_name1=params_value1, params_name2=params_value2...)]" in system
    )
    assert json.loads(system.splitlines()[-1]) == task().functions
