"""Conversations are led as by the leaderboard's own prompting handler: same messages in each step, same turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.task_set import Task
from bitagent_crds.tasks import MULTI_TURN, BfclCategory, BfclSource
from bitagent_evaluator.evaluation.strategies.dialogue import ChatCapabilities, Dialogue
from bitagent_evaluator.parsing import AnswerError, parse_bfcl
from bitagent_evaluator.parsing.render import executable_calls
from bitagent_evaluator.prompts import prompt_format
from bitagent_evaluator.scoring.multi_turn.systems import Systems
from bitagent_evaluator.tasks.sources.bfcl import BfclTasks

OFFICIAL = """
import contextlib, copy, io, json, sys, types

def stand_in(name, **members):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(members)

same = lambda function: function
stand_in("overrides", final=same, override=same, EnforceOverrides=object)
stand_in("openai", OpenAI=object)
from bfcl_eval.model_handler.local_inference.base_oss_handler import OSSHandler
from bfcl_eval.utils import load_dataset_entry

class Scripted(OSSHandler):
    def __init__(self, answers):
        self.answers, self.prompts, self.model_name_underline_replaced = iter(answers), [], "scripted"
    def _query_prompting(self, inference_data):
        self.prompts.append(copy.deepcopy(inference_data["message"]))
        return next(self.answers), 0.0
    def _parse_query_response_prompting(self, api_response):
        return {"model_responses": api_response, "input_token": 1, "output_token": 1}

scripts = json.load(sys.stdin)
led = {}
with contextlib.redirect_stdout(io.StringIO()):
    for case in load_dataset_entry(sys.argv[1]):
        if case["id"] in scripts:
            handler = Scripted(scripts[case["id"]])
            turns, _ = handler.inference_multi_turn_prompting(case, False, True)
            led[case["id"]] = {"prompts": handler.prompts, "turns": turns}
json.dump(led, sys.stdout)
"""
"""Source for a separate process: these modules create folders in BFCL_PROJECT_ROOT, and import clients that are not
installed."""
CASES = 40


def script(number: int, ground_truth: list[list[str]]) -> list[str]:
    """What a model says, in one of several manners, until the conversation is over."""
    said: list[str] = []
    for calls in ground_truth:
        match number % 5:
            case 0:
                said += [f"[{', '.join(calls)}]", "Done."]
            case 1:
                said += [*(f"```{call}```" for call in calls), "[]"]
            case 2:
                said += [*MISTAKES, *calls, "I think that is all (there is)."]
            case 3:
                said += [f"[{', '.join([*calls, 'nothing(at=1)', *calls])}]"] * 2 + ["edit_ticket(updates={})"]
            case _:
                said += [(calls or ["pwd()"])[0]] * 21 + ["Done."]
    return said


MISTAKES = [
    "[nothing(at=1), _load_scenario(scenario='x'), GorillaFileSystem.pwd(), exit(), os.remove(path='a')]",
    "[cd('positional'), cd(), cd(folder='gone', more=1), cd(folder=cd(folder='gone'))]",
    "[edit_ticket(ticket_id=1, updates={'title': 'a', 'n': 1}), mean(numbers=[1, 2.5, -3]), mean(numbers=[1e999])]",
    "[sum_values(numbers=(1, 2)), power(base=2, exponent=0.5), logarithm(value=10, base=2, precision=5)]",
    "[echo(content='it\\'s \\n \\u00fc', file_name='new.txt'), edit_ticket(updates={'a': {'b': 1}})]",
]


def led_by_us(task: Task, answers: list[str]) -> dict[str, Any]:
    assert task.conversation is not None
    dialogue = Dialogue(task, ChatCapabilities(functions_as_tools=False, tool_role=True))
    systems = Systems(
        task.conversation.classes, task.conversation.initial_state, long_context=task.conversation.long_context
    )
    prompts, script_left = [], iter(answers)
    while not dialogue.finished:
        prompts.append(prompt_format("Bfcl").build_prompt(dialogue.task).messages)  # type: ignore[union-attr]
        text = next(script_left)
        try:
            calls = executable_calls(parse_bfcl(text))
        except AnswerError:
            calls = []
        dialogue.add_answer(text, calls)
        if calls:
            dialogue.add_tool_results([systems.run(call) for call in calls])
    return {"prompts": prompts, "turns": dialogue.turns}


@pytest.mark.parametrize("category", sorted(MULTI_TURN))
def test_conversations_go_as_the_official_handler_leads_them(category: BfclCategory, tmp_path: Path) -> None:
    tasks = BfclTasks(BfclSource(categories=[category])).tasks()[:: 200 // CASES]
    scripts = {
        task.id: script(number, task.conversation.ground_truth)
        for number, task in enumerate(tasks)
        if task.conversation is not None
    }
    done = subprocess.run(
        [sys.executable, "-c", OFFICIAL, category],
        input=json.dumps(scripts).encode(),
        env={**os.environ, "BFCL_PROJECT_ROOT": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    official = json.loads(done.stdout)
    assert official.keys() == {task.id for task in tasks}
    for task in tasks:
        ours, theirs = led_by_us(task, scripts[task.id]), official[task.id]
        assert ours["turns"] == theirs["turns"], task.id
        for step, (our, their) in enumerate(zip(ours["prompts"], theirs["prompts"], strict=True)):
            assert our == their, (task.id, step)
