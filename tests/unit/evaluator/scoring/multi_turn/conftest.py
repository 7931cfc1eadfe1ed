"""A conversation with three systems, and responses to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bitagent_crds.results import Response
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Conversation, Task
from bitagent_evaluator.parsing import ParsedResponse, parse_response
from bitagent_evaluator.scoring.multi_turn.systems import Systems

CLASSES = ["GorillaFileSystem", "TicketAPI", "MathAPI"]
STATE = {"GorillaFileSystem": {"root": {"home": {"type": "directory", "contents": {}}}}}


@pytest.fixture(scope="session")
def state() -> dict[str, Any]:
    """The initial state of the systems."""
    return STATE


@pytest.fixture(scope="session")
def systems() -> Callable[[], Systems]:
    """Fresh systems."""
    return lambda: Systems(CLASSES, STATE, long_context=False)


@pytest.fixture(scope="session")
def conversation() -> Callable[..., Conversation]:
    """A conversation of two turns, with changes."""

    def make(**changes: Any) -> Conversation:
        content: dict[str, Any] = {
            "turns": [[], []],
            "ground_truth": [["mkdir(dir_name='a')", "cd(folder='a')"], ["mkdir('b')"]],
            "classes": CLASSES,
            "initial_state": STATE,
        }
        return Conversation.model_validate(content | changes)

    return make


@pytest.fixture(scope="session")
def task(conversation: Callable[..., Conversation]) -> Callable[..., Task]:
    """A task with that conversation."""

    def make(**changes: Any) -> Task:
        return Task(
            id="c",
            source="test",
            category="multi_turn_base",
            messages=[],
            functions=[],
            expects=Expects.STATE,
            conversation=conversation(**changes),
        )

    return make


@pytest.fixture(scope="session")
def response() -> Callable[[list[list[str]]], Response]:
    """A response with these steps of turns."""
    return lambda turns: Response(
        id="c", text="", finish_reason="stop", prompt_tokens=0, completion_tokens=0, turns=turns
    )


@pytest.fixture(scope="session")
def parsed(response: Callable[[list[list[str]]], Response]) -> Callable[[list[list[str]]], ParsedResponse]:
    """The same, parsed."""
    return lambda turns: parse_response(response(turns))
