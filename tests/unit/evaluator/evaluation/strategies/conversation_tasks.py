"""Conversations with a file system, for the tests of conversations."""

from __future__ import annotations

from typing import Any

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Conversation, Task


def function(name: str, *parameters: str) -> dict[str, Any]:
    properties = {parameter: {"type": "string"} for parameter in parameters}
    described = {"type": "dict", "properties": properties, "required": list(parameters)}
    return {"name": name, "description": "Does it.", "parameters": described}


def said(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def task(name: str = "c", **changes: Any) -> Task:
    content: dict[str, Any] = {
        "turns": [[said("Make a and go there.")], [said("Make b.")]],
        "ground_truth": [["mkdir(dir_name='a')", "cd(folder='a')"], ["mkdir('b')"]],
        "classes": ["GorillaFileSystem", "MathAPI"],
        "initial_state": {"GorillaFileSystem": {"root": {"home": {"type": "directory", "contents": {}}}}},
    }
    conversation = Conversation.model_validate(content | changes)
    return Task(
        id=name,
        source="test",
        category="multi_turn_base",
        messages=conversation.turns[0],
        functions=[function("mkdir", "dir_name"), function("cd", "folder")],
        expects=Expects.STATE,
        conversation=conversation,
    )


LATE = {"turns": [[said("Look.")], []], "ground_truth": [[], ["ls()"]], "held_back": {"1": [function("ls")]}}
"""A conversation whose one useful function comes late."""
