"""The interface of prompt formats and their registry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bitagent_crds.fields import PromptFormat
from bitagent_crds.results import Expects, Task
from bitagent_evaluator.registry import Registry

FORMATS = Registry(
    what="prompt format",
    group="bitagent.prompt_formats",
    builtin={
        PromptFormat.BFCL.value: "bitagent_evaluator.formats.bfcl:Bfcl",
        PromptFormat.BITAGENT.value: "bitagent_evaluator.formats.bitagent:BitAgent",
        PromptFormat.CHAT_TEMPLATE.value: "bitagent_evaluator.formats.chat_template:ChatTemplate",
        PromptFormat.HAMMER.value: "bitagent_evaluator.formats.hammer:Hammer",
        PromptFormat.ALPACA.value: "bitagent_evaluator.formats.alpaca:Alpaca",
        PromptFormat.VICUNA.value: "bitagent_evaluator.formats.vicuna:Vicuna",
        PromptFormat.CHATML.value: "bitagent_evaluator.formats.chatml:ChatML",
        PromptFormat.LLAMA2.value: "bitagent_evaluator.formats.llama2:Llama2",
    },
)


@dataclass(frozen=True)
class Chat:
    """What a chat template is rendered with."""

    messages: list[dict[str, Any]]
    """`{"role", "content"}` in order."""
    tools: list[dict[str, Any]] | None
    """Functions for the template's `tools`, in OpenAI's form; None when the messages describe the functions."""


@dataclass(frozen=True)
class RawPrompt:
    """A prompt that is ready: no template of the model has a say in it."""

    text: str
    """All of it, up to where the answer begins. Special tokens written out in it count as such, as they do for a rendered template."""
    add_special_tokens: bool = True
    """Whether the tokenizer puts around the text what it always does, such as a beginning-of-sequence token."""


class Format(Protocol):
    """Makes prompts of tasks. Made without arguments."""

    @property
    def syntaxes(self) -> Sequence[str]:
        """Registry names of the answer syntaxes that it accepts, in the order in which they are tried."""
        ...

    @property
    def uses_template(self) -> bool:
        """Whether it makes `Chat`s; if not, `RawPrompt`s, and a model needs no usable template."""
        ...

    @property
    def stop_tokens(self) -> Sequence[str]:
        """Tokens that end an answer besides those that the model names, where its tokenizer knows them."""
        ...

    def chat(self, task: Task) -> Chat | RawPrompt:
        """The prompt for a task, which is left unchanged."""
        ...


def prompt_format(name: PromptFormat | str) -> Format:
    """A format by name. Raises ValueError for Auto, which the caller resolves by looking at the model, and UnknownName."""
    if name == PromptFormat.AUTO:
        raise ValueError(f"promptFormat Auto is a choice still to be made: name one of {', '.join(FORMATS.names())}")
    made: Format = FORMATS.load(str(name))()
    return made


def asks_for_calls(task: Task) -> bool:
    """Whether instructions for calls belong into the prompt: not for a text to be continued by a text, without functions."""
    return bool(task.functions) or task.expects is not Expects.TEXT


def with_system_prompt(messages: list[dict[str, Any]], prompt: str) -> list[dict[str, Any]]:
    """The messages with `prompt` at their head; a system message of the question follows it in the same message."""
    if messages and messages[0]["role"] == "system":
        return [{**messages[0], "content": f"{prompt}\n\n{messages[0]['content']}"}, *messages[1:]]
    return [{"role": "system", "content": prompt}, *messages]
