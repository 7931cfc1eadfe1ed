"""From tasks to prompts that fit: which format, which token ids, which tasks the model cannot be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitagent_crds.conditions import Reason
from bitagent_crds.fields import PromptFormat
from bitagent_crds.results import Task
from bitagent_evaluator.engine.interface import Prompt
from bitagent_evaluator.faults import ModelFault
from bitagent_evaluator.formats import prompt_format
from bitagent_evaluator.rendering.prompts import PromptWriter, Tokenization


@dataclass(frozen=True)
class Prompts:
    """A task set as one model is asked it."""

    format: PromptFormat
    fitting: list[Prompt]
    """In the order of the tasks; the key is the task's id."""
    too_long: list[str]
    """Ids of tasks whose prompt leaves no room for an answer."""
    stop_ids: tuple[int, ...]
    syntaxes: tuple[str, ...]
    """In which the format accepts answers."""


def choose_format(wanted: PromptFormat, tokenization: Tokenization) -> PromptFormat:
    """The format to use: Auto becomes ChatTemplate for a model whose template takes tools, else Bfcl."""
    if wanted is not PromptFormat.AUTO:
        return wanted
    return PromptFormat.CHAT_TEMPLATE if tokenization.uses_tools else PromptFormat.BFCL


def write_prompts(
    writer: PromptWriter,
    tasks: Sequence[Task],
    wanted: PromptFormat,
    *,
    max_tokens: int,
    token_limit: int,
    vocab_size: int,
) -> Prompts:
    """Render and tokenize all tasks. An answer's limit is `max_tokens`, or what the prompt leaves of `token_limit`.

    Raises ModelFault for a tokenizer that makes ids outside the vocabulary: they would break the engine for every task.
    """
    tokenization = _load(writer, wanted)
    chosen = choose_format(wanted, tokenization)
    maker = prompt_format(chosen)
    written = writer.write([maker.chat(task) for task in tasks])
    fitting, too_long = [], []
    for task, token_ids in zip(tasks, written, strict=True):
        if max(token_ids, default=0) >= vocab_size:
            message = f"the tokenizer makes token {max(token_ids)}, the vocabulary has {vocab_size}"
            raise ModelFault(Reason.BAD_TOKENIZER, message)
        room = token_limit - len(token_ids)
        if token_ids and room > 0:
            fitting.append(Prompt(task.id, token_ids, min(max_tokens, room)))
        else:
            too_long.append(task.id)
    return Prompts(chosen, fitting, too_long, tokenization.stop_ids, tuple(maker.syntaxes))


def _load(writer: PromptWriter, wanted: PromptFormat) -> Tokenization:
    """Read no template for a format that does without: a broken one is no fault there."""
    if wanted is PromptFormat.AUTO:
        return writer.load()
    maker = prompt_format(wanted)
    return writer.load(template=maker.uses_template, stop_tokens=maker.stop_tokens)
