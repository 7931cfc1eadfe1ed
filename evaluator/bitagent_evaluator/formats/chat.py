"""The interface of prompt formats and their registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from bitagent_crds.fields import PromptFormat
from bitagent_crds.results import Task
from bitagent_evaluator.registry import Registry

FORMATS = Registry(
    what="prompt format",
    group="bitagent.prompt_formats",
    builtin={
        PromptFormat.BFCL.value: "bitagent_evaluator.formats.bfcl:Bfcl",
        PromptFormat.BITAGENT.value: "bitagent_evaluator.formats.bitagent:BitAgent",
        PromptFormat.CHAT_TEMPLATE.value: "bitagent_evaluator.formats.chat_template:ChatTemplate",
    },
)


@dataclass(frozen=True)
class Chat:
    """What a chat template is rendered with."""

    messages: list[dict[str, Any]]
    """`{"role", "content"}` in order."""
    tools: list[dict[str, Any]] | None
    """Functions for the template's `tools`, in OpenAI's form; None when the messages describe the functions."""


class Format(Protocol):
    """Makes chats of tasks. Made without arguments."""

    def chat(self, task: Task) -> Chat:
        """The chat for a task, which is left unchanged."""
        ...


def prompt_format(name: PromptFormat | str) -> Format:
    """A format by name. Raises ValueError for Auto, which the caller resolves by looking at the model, and UnknownName."""
    if name == PromptFormat.AUTO:
        raise ValueError("promptFormat Auto is a choice still to be made: name Bfcl, BitAgent or ChatTemplate")
    made: Format = FORMATS.load(str(name))()
    return made


def with_system_prompt(messages: list[dict[str, Any]], prompt: str) -> list[dict[str, Any]]:
    """The messages with `prompt` at their head; a system message of the question follows it in the same message."""
    if messages and messages[0]["role"] == "system":
        return [{**messages[0], "content": f"{prompt}\n\n{messages[0]['content']}"}, *messages[1:]]
    return [{"role": "system", "content": prompt}, *messages]
