"""The prompt of one task as a model gets it: text with special tokens, as template and tokenizer make it, without an
engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from bitagent_crds.fields import PromptFormatName
from bitagent_crds.task_set import Task
from bitagent_evaluator.evaluation.strategies import PromptEncoder, open_encoder
from bitagent_evaluator.evaluation.strategies.dialogue import Dialogue, detect_capabilities
from bitagent_evaluator.prompts.tokenizer import SandboxedTokenizer, TemplateError

_NO_LIMIT = 1 << 31
_MEMORY_NOTE = "in a run the prompt begins with the memory that the model has written"


@dataclass(frozen=True)
class PromptPreview:
    """One prompt."""

    format_name: PromptFormatName
    """The format in use; never Auto."""
    text: str
    """What the token ids of the prompt decode to, special tokens written out; empty if it was refused."""
    token_ids: tuple[int, ...]
    end_tokens: tuple[tuple[int, str], ...]
    """Tokens that end an answer, by id and as text."""
    refused: str = ""
    """The template's error, if it rejects the conversation."""
    notes: tuple[str, ...] = ()
    """What in the model's files is likely to cost a score, and what the prompt lacks."""

    def to_json(self) -> dict[str, object]:
        """Return the prompt for JSON."""
        return {
            "promptFormat": self.format_name,
            "text": self.text,
            "tokens": len(self.token_ids),
            "tokenIds": list(self.token_ids),
            "endTokens": {text: token for token, text in self.end_tokens},
            **({"refused": self.refused} if self.refused else {}),
            **({"notes": list(self.notes)} if self.notes else {}),
        }


def preview_prompt(
    model_dir: Path, task: Task, name: PromptFormatName, *, thinking: bool | None = None
) -> PromptPreview:
    """Return the prompt of a task for a model, of a conversation the first one; limits of length do not apply.

    `thinking` is the value of its switch in the template; None: not set. Raises ModelFault, SandboxUnavailable,
    UnknownName and BrokenPlugin.
    """
    (preview,) = preview_prompts(model_dir, [task], name, thinking=thinking)
    return preview


def preview_prompts(
    model_dir: Path, tasks: Sequence[Task], name: PromptFormatName, *, thinking: bool | None = None
) -> list[PromptPreview]:
    """Return the prompts of several tasks, in order, as `preview_prompt`."""
    with SandboxedTokenizer(model_dir) as tokenizer:
        encoder = open_encoder(
            tokenizer, name, max_tokens=1, token_limit=_NO_LIMIT, vocab_size=_NO_LIMIT, thinking=thinking
        )
        prompts = encoder.encode([encoder.format.build_prompt(_first_turn(task, encoder)) for task in tasks])
        ids = [[] if isinstance(prompt, TemplateError) else prompt for prompt in prompts]
        texts = tokenizer.decode(ids, special_tokens=True)
        ends = tokenizer.decode([[token] for token in encoder.stop_ids], special_tokens=True)
    return [
        PromptPreview(
            format_name=encoder.format_name,
            text=text,
            token_ids=tuple(own),
            end_tokens=tuple(zip(encoder.stop_ids, ends, strict=True)),
            refused=prompt.message if isinstance(prompt, TemplateError) else "",
            notes=(*chain.from_iterable(encoder.notes.values()), *((_MEMORY_NOTE,) if task.memory is not None else ())),
        )
        for task, prompt, own, text in zip(tasks, prompts, ids, texts, strict=True)
    ]


def _first_turn(task: Task, encoder: PromptEncoder) -> Task:
    """Return the task with the messages of its first prompt."""
    if task.conversation is None:
        return task
    return Dialogue(task, detect_capabilities(task, encoder)).task
