"""The interface of prompt formats, the prompts that they build, and what several formats share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.parsing import AnswerSyntax


@dataclass(frozen=True)
class ChatPrompt:
    """Input of a chat template."""

    messages: list[dict[str, Any]]
    """`{"role", "content"}` in order."""
    tools: list[dict[str, Any]] | None
    """Functions for the template's `tools`, in OpenAI's form; None if the messages describe the functions."""


@dataclass(frozen=True)
class RawPrompt:
    """Ready text: the model's chat template is not used."""

    text: str
    """The whole prompt, up to where the answer begins. Special tokens written out in it count as such."""
    add_special_tokens: bool = True
    """Whether the tokenizer adds what it adds to any text, such as a beginning-of-sequence token."""


@runtime_checkable
class PromptFormat(Protocol):
    """Builds prompts of tasks. A class that implements it is created without arguments.

    The attributes may be class attributes or properties.
    """

    @property
    def syntaxes(self) -> Sequence[AnswerSyntax]:
        """Accepted answer syntaxes, in the order in which they are tried."""
        ...

    @property
    def uses_template(self) -> bool:
        """Whether it builds `ChatPrompt`s; otherwise it builds `RawPrompt`s, and a model needs no usable template."""
        ...

    @property
    def stop_tokens(self) -> Sequence[str]:
        """Tokens that end an answer besides those that the model names, as far as its tokenizer knows them."""
        ...

    def build_prompt(self, task: Task) -> ChatPrompt | RawPrompt:
        """Return the prompt of a task, without changing the task."""
        ...


def thinking_note(name: str, chosen: PromptFormat, thinking: bool | None) -> str:
    """Return why a wish for thinking changes no prompt of a format; empty if the model's template decides."""
    if thinking is None or chosen.uses_template:
        return ""
    return f"prompt format {name} uses no chat template: thinking On and Off make the same prompt"


def asks_for_calls(task: Task) -> bool:
    """Return whether the prompt needs instructions for calls: all tasks but texts to be continued without functions."""
    return bool(task.functions) or task.expects is not Expects.TEXT


def with_system_prompt(messages: list[dict[str, Any]], prompt: str) -> list[dict[str, Any]]:
    """Return the messages with `prompt` in front; a leading system message of the task is appended to it."""
    if messages and messages[0]["role"] == "system":
        return [{**messages[0], "content": f"{prompt}\n\n{messages[0]['content']}"}, *messages[1:]]
    return [{"role": "system", "content": prompt}, *messages]
