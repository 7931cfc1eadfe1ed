"""One model seen through its tokenizer: which format, which tokens end an answer, how long a sequence may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitagent_crds.conditions import Reason
from bitagent_crds.fields import PromptFormat
from bitagent_crds.results import Task
from bitagent_evaluator.faults import ModelFault
from bitagent_evaluator.formats import Chat, RawPrompt, prompt_format
from bitagent_evaluator.formats.chat import Format
from bitagent_evaluator.rendering.prompts import PromptWriter, Refusal, Tokenization, Written


@dataclass(frozen=True)
class Wording:
    """What all ways of asking share."""

    writer: PromptWriter
    name: PromptFormat
    """The format in use; never Auto."""
    format: Format
    stop_ids: tuple[int, ...]
    max_tokens: int
    """Limit of one answer."""
    token_limit: int
    """Most tokens of prompt and answer together."""
    vocab_size: int
    end_id: int | None = None
    """The token that a chat writes after an answer; None when the tokenizer has none."""

    def write(self, prompts: Sequence[Chat | RawPrompt]) -> list[Written]:
        """Token ids of prompts. Raises ModelFault for a tokenizer that makes ids outside the vocabulary: they would break the engine for
        every task.
        """
        written = self.writer.write(prompts)
        self.check([prompt for prompt in written if not isinstance(prompt, Refusal)])
        return written

    def check(self, sequences: Sequence[Sequence[int]]) -> None:
        """Raises ModelFault for a token id outside the vocabulary."""
        largest = max((max(ids, default=0) for ids in sequences), default=0)
        if largest >= self.vocab_size:
            message = f"the tokenizer makes token {largest}, the vocabulary has {self.vocab_size}"
            raise ModelFault(Reason.BAD_TOKENIZER, message)

    def room(self, prompt: Sequence[int]) -> int:
        """Most tokens that an answer to this prompt may have; 0 when the prompt cannot be asked."""
        return max(0, min(self.max_tokens, self.token_limit - len(prompt))) if prompt else 0


def by_task(tasks: Sequence[Task], written: Sequence[Written]) -> tuple[dict[str, list[int]], dict[str, str]]:
    """The prompts of tasks, and what the template said about those that have none; both by the task's id, in order."""
    pairs = list(zip(tasks, written, strict=True))
    return (
        {task.id: prompt for task, prompt in pairs if not isinstance(prompt, Refusal)},
        {task.id: prompt.message for task, prompt in pairs if isinstance(prompt, Refusal)},
    )


def choose_format(wanted: PromptFormat, tokenization: Tokenization) -> PromptFormat:
    """The format to use: Auto becomes ChatTemplate for a model whose template takes tools, else Bfcl."""
    if wanted is not PromptFormat.AUTO:
        return wanted
    return PromptFormat.CHAT_TEMPLATE if tokenization.uses_tools else PromptFormat.BFCL


def open_wording(
    writer: PromptWriter, wanted: PromptFormat, *, max_tokens: int, token_limit: int, vocab_size: int
) -> Wording:
    """Read the model's tokenizer, and its template if the format needs one: a broken one is no fault for a format that does without.

    Raises ModelFault.
    """
    if wanted is PromptFormat.AUTO:
        tokenization = writer.load()
    else:
        maker = prompt_format(wanted)
        tokenization = writer.load(template=maker.uses_template, stop_tokens=maker.stop_tokens)
    chosen = choose_format(wanted, tokenization)
    return Wording(
        writer,
        chosen,
        prompt_format(chosen),
        tokenization.stop_ids,
        max_tokens,
        token_limit,
        vocab_size,
        tokenization.end_id,
    )
