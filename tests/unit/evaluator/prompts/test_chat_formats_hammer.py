"""Format Hammer."""

from __future__ import annotations

import json
from collections.abc import Callable

from bitagent_crds.task_set import Task
from bitagent_evaluator.parsing import parse_calls
from bitagent_evaluator.prompts.chat_formats import Hammer

MakeTask = Callable[..., Task]
QUESTION = {"role": "user", "content": "Add 1 and 2, {please}."}

SYSTEM = {"role": "system", "content": "Be brief."}


def test_hammer_asks_in_marked_sections(task: MakeTask) -> None:
    function_task = task(
        messages=[SYSTEM, QUESTION, {"role": "assistant", "content": "3?"}, QUESTION],
        a={"type": "float", "description": "It."},
        b={"type": "integer", "description": "Base.", "default": 10},
        c={"type": "boolean", "default": None},
    )
    made = Hammer().build_prompt(function_task)
    assert made.tools is None
    assert [made.messages[0], *made.messages[2:]] == [SYSTEM, *function_task.messages[2:]]
    content = made.messages[1]["content"]
    names = ["TASK INSTRUCTION", "AVAILABLE TOOLS", "FORMAT INSTRUCTION", "QUERY"]
    sections = [content.partition(f"[BEGIN OF {name}]\n")[2].partition(f"\n[END OF {name}]\n\n")[0] for name in names]
    assert content == "".join(f"[BEGIN OF {n}]\n{s}\n[END OF {n}]\n\n" for n, s in zip(names, sections, strict=True))
    assert "empty list: []" in sections[2]
    assert parse_calls(sections[2].splitlines()[1], ["JsonList"]) == [{"tool_name": {"argument_name": "value"}}]
    assert sections[3] == QUESTION["content"]
    assert json.loads(sections[1]) == [
        {
            "name": "calc.add",
            "description": "Adds. Note that the provided function is in Python 3 syntax.",
            "parameters": {
                "a": {"type": "float", "description": "It.", "required": True},
                "b": {"type": "integer", "description": "Base. The default is 10.", "default": 10},
                "c": {"type": "boolean", "description": "The default is null.", "default": None},
            },
        }
    ]


def test_hammer_without_a_question_shows_the_tools_in_the_system_message(task: MakeTask) -> None:
    made = Hammer().build_prompt(task(messages=[SYSTEM]))
    (message,) = made.messages
    assert message["role"] == "system"
    assert "[BEGIN OF AVAILABLE TOOLS]" in message["content"] and message["content"].endswith("Be brief.")
