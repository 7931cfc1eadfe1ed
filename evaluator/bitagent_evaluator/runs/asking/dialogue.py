"""The course of one conversation, by the rules of the leaderboard. No I/O: it is told what the model wrote and what the systems gave back.

A turn begins with the user's messages and goes on, step by step, until an answer holds no call. Functions that were held back are announced
in their turn in the leaderboard's words: in a message that lists them, or, to a model that gets its functions as `tools`, among the tools. A turn that
does not end after `MAXIMUM_STEP_LIMIT` executed steps and one more ends the conversation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bfcl_eval.constants.default_prompts import (
    DEFAULT_USER_PROMPT_FOR_ADDITIONAL_FUNCTION_FC,
    DEFAULT_USER_PROMPT_FOR_ADDITIONAL_FUNCTION_PROMPTING,
    MAXIMUM_STEP_LIMIT,
)

from bitagent_crds.results import Conversation, Task


@dataclass(frozen=True)
class Manner:
    """How a model is spoken to."""

    functions_as_tools: bool
    """Whether its prompts carry functions as the template's `tools`."""
    tool_role: bool
    """Whether its prompts show messages of the role `tool`; if not, the user says what the tools gave back."""


class Dialogue:
    """One conversation while it is going on."""

    def __init__(self, task: Task, manner: Manner) -> None:
        if task.conversation is None:
            raise ValueError(f"task {task.id} is no conversation")
        self.conversation: Conversation = task.conversation
        self.finished = False
        self.turns: list[list[str]] = []
        """The text of each step of each turn."""
        self.executed: list[list[str]] = []
        """The calls of every step that held some, over all turns."""
        self._task, self._manner = task, manner
        self._messages: list[dict[str, Any]] = []
        self._functions = list(task.functions)
        self._steps = 0
        self._begin_turn()

    @property
    def task(self) -> Task:
        """What a format makes the next prompt of: the task with all messages so far."""
        return self._task.model_copy(update={"messages": list(self._messages), "functions": list(self._functions)})

    @property
    def characters(self) -> int:
        """The size of what the next prompt has to show."""
        return sum(len(str(message["content"])) for message in self._messages) + len(json.dumps(self._functions))

    def answer(self, text: str, calls: Sequence[str]) -> None:
        """The model wrote this, and these calls were read in it. Without calls the turn is over; with calls, their results are to be `heard`."""
        self._messages.append({"role": "assistant", "content": text})
        self.turns[-1].append(text)
        if calls:
            self.executed.append(list(calls))
        elif len(self.turns) == len(self.conversation.turns):
            self.finished = True
        else:
            self._begin_turn()

    def hear(self, results: Sequence[str]) -> None:
        """The results of the last calls."""
        heard = [
            {"role": "tool", "name": call, "content": result}
            for call, result in zip(self.executed[-1], results, strict=True)
        ]
        self._messages += heard if self._manner.tool_role else [{"role": "user", "content": repr(heard)}]
        self._steps += 1
        self.finished = self._steps > MAXIMUM_STEP_LIMIT

    def _begin_turn(self) -> None:
        turn = len(self.turns)
        if late := self.conversation.held_back.get(str(turn)):
            self._messages.append({"role": "user", "content": self._announcement(late)})
        self._messages += self.conversation.turns[turn]
        self.turns.append([])
        self._steps = 0

    def _announcement(self, functions: list[dict[str, Any]]) -> str:
        if self._manner.functions_as_tools:
            self._functions += functions
            return str(DEFAULT_USER_PROMPT_FOR_ADDITIONAL_FUNCTION_FC)
        return str(DEFAULT_USER_PROMPT_FOR_ADDITIONAL_FUNCTION_PROMPTING.format(functions=functions))
