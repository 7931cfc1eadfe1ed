"""What all generation strategies share: their interface, and the tokenizer-side view of a model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import BuiltinScorer, LossParameters, ScorerName
from bitagent_crds.fields import PromptFormatName
from bitagent_crds.results import NoteKind, Response
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_crds.task_set import Task
from bitagent_evaluator.engines.base import Engine
from bitagent_evaluator.prompts import ChatPrompt, PromptFormat, RawPrompt, prompt_format
from bitagent_evaluator.prompts.base import thinking_note
from bitagent_evaluator.prompts.tokenizer import EncodedPrompt, SandboxedTokenizer, TemplateError, TokenizerInfo
from bitagent_evaluator.support.faults import ModelFault

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PromptEncoder:
    """Encodes prompts for one model."""

    tokenizer: SandboxedTokenizer
    format_name: PromptFormatName
    """The format in use; never Auto."""
    format: PromptFormat
    stop_ids: tuple[int, ...]
    """Token ids that end an answer."""
    max_tokens: int
    """Maximum number of tokens of one answer, with a thought before it."""
    token_limit: int
    """Maximum number of tokens of prompt and answer together."""
    vocab_size: int
    end_id: int | None = None
    """Token id that a chat writes after an answer; None if the tokenizer has none."""
    end_of_thinking_id: int | None = None
    """Token id of the mark after a thought; None if the tokenizer writes it in pieces."""
    max_prompt_tokens: int | None = None
    """Maximum number of tokens of one prompt; None: only `token_limit` bounds it."""
    notes: Mapping[NoteKind, Sequence[str]] = field(default_factory=dict)
    """What in the model's chat template is likely to cost a score."""

    def encode(self, prompts: Sequence[ChatPrompt | RawPrompt]) -> list[EncodedPrompt]:
        """Return the token ids of prompts, in order. Raises ModelFault, also for ids outside the vocabulary."""
        encoded = self.tokenizer.encode_prompts(prompts)
        self.check_ids([prompt for prompt in encoded if not isinstance(prompt, TemplateError)])
        return encoded

    def check_ids(self, sequences: Sequence[Sequence[int]]) -> None:
        """Raise ModelFault for a token id outside the vocabulary, which would break the engine for every task."""
        largest = max((max(ids, default=0) for ids in sequences), default=0)
        if largest >= self.vocab_size:
            message = f"the tokenizer makes token {largest}, the vocabulary has {self.vocab_size}"
            raise ModelFault(Reason.BAD_TOKENIZER, message)

    def answer_limit(self, prompt: Sequence[int]) -> int:
        """Return the maximum number of tokens of an answer to this prompt; 0 if the prompt is empty or does not fit."""
        if not prompt or self.is_over_limit(prompt):
            return 0
        return max(0, min(self.max_tokens, self.token_limit - len(prompt)))

    def is_over_limit(self, prompt: Sequence[int]) -> bool:
        """Return whether a prompt is longer than the run allows."""
        return self.max_prompt_tokens is not None and len(prompt) > self.max_prompt_tokens

    def over_limit(self, prompts: Mapping[str, Sequence[int]]) -> dict[str, str]:
        """Return the prompts that are longer than the run allows, with their length in words."""
        return {
            task_id: f"the prompt has {len(prompt):,} tokens, allowed {self.max_prompt_tokens:,}"
            for task_id, prompt in prompts.items()
            if self.is_over_limit(prompt)
        }


def partition_prompts(
    tasks: Sequence[Task], encoded: Sequence[EncodedPrompt]
) -> tuple[dict[str, list[int]], dict[str, str]]:
    """Return the token ids of the prompts, and the errors of the template; both by task id, in order."""
    pairs = list(zip(tasks, encoded, strict=True))
    return (
        {task.id: prompt for task, prompt in pairs if not isinstance(prompt, TemplateError)},
        {task.id: prompt.message for task, prompt in pairs if isinstance(prompt, TemplateError)},
    )


def resolve_format(name: PromptFormatName, info: TokenizerInfo) -> PromptFormatName:
    """Return the format to use: Auto becomes ChatTemplate for a model whose template takes tools, else Bfcl."""
    if name != BuiltinPromptFormat.AUTO:
        return name
    return BuiltinPromptFormat.CHAT_TEMPLATE if info.uses_tools else BuiltinPromptFormat.BFCL


def open_encoder(
    tokenizer: SandboxedTokenizer,
    name: PromptFormatName,
    *,
    max_tokens: int,
    token_limit: int,
    vocab_size: int,
    max_prompt_tokens: int | None = None,
    thinking: bool | None = None,
) -> PromptEncoder:
    """Load the model's tokenizer, and its template if the format needs one: other formats accept a broken template.

    `thinking` is the value of the template's switch; None: not set. Raises ModelFault, UnknownName and BrokenPlugin.
    """
    if name == BuiltinPromptFormat.AUTO:
        info = tokenizer.load(thinking=thinking)
    else:
        chosen = prompt_format(name)
        info = tokenizer.load(template=chosen.uses_template, stop_tokens=chosen.stop_tokens, thinking=thinking)
        if note := thinking_note(name, chosen, thinking):
            _log.warning("%s", note)
    resolved = resolve_format(name, info)
    for note in chain.from_iterable(info.notes.values()):
        _log.warning("the model: %s", note)
    return PromptEncoder(
        tokenizer=tokenizer,
        format_name=resolved,
        format=prompt_format(resolved),
        stop_ids=info.stop_ids,
        max_tokens=max_tokens,
        token_limit=token_limit,
        vocab_size=vocab_size,
        end_id=info.end_id,
        end_of_thinking_id=info.end_of_thinking_id,
        max_prompt_tokens=max_prompt_tokens,
        notes=info.notes,
    )


TEMPLATE_REFUSED = "template_refused"
"""Finish reason of a conversation that the model's template raised on at a later turn."""


@dataclass(frozen=True)
class ScoringOptions:
    """The parts of a run's specification that decide how tasks are put to an engine."""

    scorer: ScorerName = BuiltinScorer.BFCL
    loss: LossParameters = field(default_factory=LossParameters)


class GenerationStrategy(Protocol):
    """Tasks prepared for one model."""

    task_ids: Sequence[str]
    """Tasks that get a response, in order."""
    too_long: Sequence[str]
    """Tasks whose prompt does not fit into the model; they have no response."""
    over_limit: Mapping[str, str]
    """Tasks whose prompt is longer than the run allows, and how long it is; they have no response either."""
    refused: Mapping[str, str]
    """Errors of the model's template by task; these tasks have no response either."""
    sequence_lengths: Sequence[int]
    """Maximum number of tokens of each sequence, prompt and answer together: what the engine needs room for."""

    def __init__(self, tasks: Sequence[Task], encoder: PromptEncoder, options: ScoringOptions) -> None:
        """Encode the prompts. Raises ModelFault."""

    def fingerprint(self) -> Iterator[Sequence[int]]:
        """Yield the token ids that the responses depend on, in order."""
        ...

    def run(self, engine: Engine, answered: frozenset[str], record: Callable[[list[Response]], None]) -> None:
        """Generate responses for the tasks that are not `answered`; pass them to `record` as they are completed.

        Raises InfrastructureFault and ModelFault.
        """
        ...
