"""Prompt formats by name: the built-in table, and entry points of installed packages.

A package adds a format by an entry point of the group `bitagent.prompt_formats` (`bitagent_crds.plugins`), whose name
is the one that `promptFormat` gives and whose value is a class that implements `PromptFormat`. A built-in name cannot
be replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bitagent_crds.fields import PromptFormatName
from bitagent_crds.plugins import BrokenPlugin, PluginGroup, check_known, known_names, load
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_crds.task_set import Task
from bitagent_evaluator.parsing import AnswerSyntax
from bitagent_evaluator.prompts.base import ChatPrompt, PromptFormat, RawPrompt
from bitagent_evaluator.prompts.chat_formats import Bfcl, BitAgent, ChatTemplate, Hammer
from bitagent_evaluator.prompts.text_formats import Alpaca, ChatML, Llama2, Vicuna

BUILT_IN: Mapping[str, Callable[[], PromptFormat]] = {
    BuiltinPromptFormat.BFCL: Bfcl,
    BuiltinPromptFormat.BITAGENT: BitAgent,
    BuiltinPromptFormat.CHAT_TEMPLATE: ChatTemplate,
    BuiltinPromptFormat.HAMMER: Hammer,
    BuiltinPromptFormat.ALPACA: Alpaca,
    BuiltinPromptFormat.VICUNA: Vicuna,
    BuiltinPromptFormat.CHATML: ChatML,
    BuiltinPromptFormat.LLAMA2: Llama2,
}
"""Formats that every evaluator has. Auto is a choice between them, not a format."""


def known_formats() -> list[str]:
    """Return the names of all formats, sorted; Auto is not one. No package's format is imported."""
    return [name for name in known_names(PluginGroup.PROMPT_FORMATS, BUILT_IN) if name != BuiltinPromptFormat.AUTO]


def check_format(name: PromptFormatName) -> None:
    """Raise UnknownName for a name that is neither Auto nor in `known_formats`. No package's format is imported."""
    if name != BuiltinPromptFormat.AUTO:
        check_known(PluginGroup.PROMPT_FORMATS, name, BUILT_IN)


def prompt_format(name: PromptFormatName) -> PromptFormat:
    """Return the format of this name.

    Raises ValueError for Auto, which the caller resolves first, UnknownName with the list of formats, and BrokenPlugin.
    """
    if name == BuiltinPromptFormat.AUTO:
        raise ValueError(f"promptFormat Auto is a choice still to be made: name one of {', '.join(known_formats())}")
    create = load(PluginGroup.PROMPT_FORMATS, name, BUILT_IN)
    return create() if name in BUILT_IN else _PluginFormat(name, create)


class _PluginFormat:
    """A package's format, checked at every step, so that a mistake in it is not held against a model."""

    def __init__(self, name: str, create: Callable[[], PromptFormat]) -> None:
        self._name = name
        try:
            self._format = create()
            if not isinstance(self._format, PromptFormat):
                raise TypeError("it lacks syntaxes, uses_template, stop_tokens or build_prompt")
            self.syntaxes: Sequence[AnswerSyntax] = tuple(AnswerSyntax(syntax) for syntax in self._format.syntaxes)
            self.uses_template = bool(self._format.uses_template)
            self.stop_tokens: Sequence[str] = tuple(self._format.stop_tokens)
        except Exception as error:  # A package's code may raise anything.
            raise BrokenPlugin(f"prompt format {name} cannot be used: {type(error).__name__}: {error}") from error
        if not self.syntaxes:
            raise BrokenPlugin(f"prompt format {name} cannot be used: it accepts no answer syntax")

    def build_prompt(self, task: Task) -> ChatPrompt | RawPrompt:
        """Return the prompt of a task. Raises BrokenPlugin if the format fails or returns something else.

        A variation has its own instructions, which a format of messages has no part in.
        """
        if task.variation is not None and self.uses_template:
            return Bfcl().build_prompt(task)
        try:
            prompt = self._format.build_prompt(task.model_copy(deep=True))
            _check_prompt(prompt, ChatPrompt if self.uses_template else RawPrompt)
        except Exception as error:  # A package's code may raise anything.
            message = f"prompt format {self._name} failed on task {task.id}: {type(error).__name__}: {error}"
            raise BrokenPlugin(message) from error
        return prompt


def _check_prompt(prompt: ChatPrompt | RawPrompt, kind: type[ChatPrompt] | type[RawPrompt]) -> None:
    """Raises TypeError or KeyError for a prompt that no tokenizer could encode."""
    if not isinstance(prompt, kind):
        raise TypeError(f"it returned a {type(prompt).__name__}, not a {kind.__name__}")
    if isinstance(prompt, RawPrompt):
        texts = [prompt.text]
    else:
        texts = [message[field] for message in prompt.messages for field in ("role", "content")]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("it returned a prompt in which a role, a content or the text is not a string")
