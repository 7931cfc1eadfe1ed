"""One conversation of several turns, by the rules of the leaderboard, and what a model's chat template supports.

A turn begins with the user's messages and continues, step by step, until an answer holds no call. A turn that does not
end after `MAXIMUM_STEP_LIMIT` executed steps and one more ends the conversation. Functions that were held back are
announced in their turn in the leaderboard's words: in a message that lists them or, for a model that gets its functions
as `tools`, among the tools. `Dialogue` does no I/O: its caller reports the model's answers and the results of the
calls.
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

from bitagent_crds.task_set import Conversation, Task
from bitagent_evaluator.evaluation.strategies.base import PromptEncoder
from bitagent_evaluator.prompts import ChatPrompt
from bitagent_evaluator.prompts.tokenizer import TemplateError


@dataclass(frozen=True)
class ChatCapabilities:
    """Roles and tool messages that the chat template supports."""

    functions_as_tools: bool
    """Whether prompts have functions as the template's `tools`."""
    tool_role: bool
    """Whether prompts show messages of the role `tool`; if not, results are in a message of the user."""


class Dialogue:
    """The state of one conversation."""

    def __init__(self, task: Task, capabilities: ChatCapabilities) -> None:
        """Begin the first turn. Raises ValueError if the task is not a conversation."""
        if task.conversation is None:
            raise ValueError(f"task {task.id} is not a conversation")
        self.conversation: Conversation = task.conversation
        self.finished = False
        self.turns: list[list[str]] = []
        """Answers so far, by turn and step."""
        self.executed: list[list[str]] = []
        """Calls of every step that had some, over all turns."""
        self._task, self._capabilities = task, capabilities
        self._messages: list[dict[str, Any]] = []
        self._functions = list(task.functions)
        self._steps = 0
        self._begin_turn()

    @property
    def task(self) -> Task:
        """Task with all messages so far, for the next prompt."""
        return self._task.model_copy(update={"messages": list(self._messages), "functions": list(self._functions)})

    @property
    def characters(self) -> int:
        """Number of characters of all messages and functions."""
        return sum(len(str(message["content"])) for message in self._messages) + len(json.dumps(self._functions))

    def add_answer(self, text: str, calls: Sequence[str]) -> None:
        """Add the model's answer and the calls in it.

        Without calls the turn is over; with calls, their results must be added next.
        """
        self._messages.append({"role": "assistant", "content": text})
        self.turns[-1].append(text)
        if calls:
            self.executed.append(list(calls))
        elif len(self.turns) == len(self.conversation.turns):
            self.finished = True
        else:
            self._begin_turn()

    def add_tool_results(self, results: Sequence[str]) -> None:
        """Add the results of the last calls, one for each."""
        messages = [
            {"role": "tool", "name": call, "content": result}
            for call, result in zip(self.executed[-1], results, strict=True)
        ]
        self._messages += messages if self._capabilities.tool_role else [{"role": "user", "content": repr(messages)}]
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
        if self._capabilities.functions_as_tools:
            self._functions += functions
            return str(DEFAULT_USER_PROMPT_FOR_ADDITIONAL_FUNCTION_FC)
        return str(DEFAULT_USER_PROMPT_FOR_ADDITIONAL_FUNCTION_PROMPTING.format(functions=functions))


_QUESTION: list[dict[str, Any]] = [{"role": "user", "content": "0"}]
_CALL: dict[str, Any] = {"role": "assistant", "content": "[f()]"}


def detect_capabilities(task: Task, encoder: PromptEncoder) -> ChatCapabilities:
    """Return what a model supports in the encoder's format; `task` is any task of the run. Raises ModelFault.

    A template supports the role `tool` if it accepts such a message and two prompts with different results differ: some
    templates raise on roles that they do not know, others leave their messages out.
    """
    prompt = encoder.format.build_prompt(task)
    if not isinstance(prompt, ChatPrompt):
        return ChatCapabilities(functions_as_tools=False, tool_role=False)
    return ChatCapabilities(functions_as_tools=prompt.tools is not None, tool_role=_shows_results(task, encoder))


def _shows_results(task: Task, encoder: PromptEncoder) -> bool:
    histories = [[*_QUESTION, _CALL, {"role": "tool", "name": "f()", "content": result}] for result in ("0", "0 0 0 0")]
    prompts = [encoder.format.build_prompt(task.model_copy(update={"messages": history})) for history in histories]
    first, second = encoder.encode(prompts)
    return not isinstance(first, TemplateError) and first != second
