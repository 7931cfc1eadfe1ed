"""The near side: a model directory's prompts and answers, through the bounded child."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias, TypeVar

from bitagent_crds.conditions import Reason
from bitagent_evaluator.answers import MAX_CHARACTERS
from bitagent_evaluator.bounded.process import BoundedProcess, InputFault, Limits
from bitagent_evaluator.faults import ModelFault
from bitagent_evaluator.formats import Chat, RawPrompt
from bitagent_evaluator.safety.selection import SMALL_FILES

_WORKER = "bitagent_evaluator.rendering.worker:RenderingWorker"
LIMITS = Limits(memory_bytes=768 << 20, cpu_seconds=5.0)
"""A tokenizer of 250,000 tokens takes 340 MB and a second."""
_BATCH = 256
"""Prompts per request; each request has its own allowance of time and characters."""
_CPU_SECONDS_PER_ITEM = 0.02
_BATCH_CHARACTERS = 1 << 20
"""Characters of plain texts per request, which may be long: a second's work."""
_BATCH_TOKENS = 1 << 18
MAX_ANSWER_CHARACTERS = MAX_CHARACTERS + 1
"""Of one answer: one more than is ever read as calls, so that it is still seen to be too long. A token may stand for a megabyte of text, and all
answers are kept.
"""
_Sized = TypeVar("_Sized", bound=Sized)


@dataclass(frozen=True)
class Tokenization:
    """What the model's small files say."""

    uses_tools: bool
    """Whether the model's template takes tools; False when no template was read."""
    stop_ids: tuple[int, ...]
    """Token ids that end an answer."""
    end_id: int | None = None
    """The token that a chat writes after an answer; None when the tokenizer has none."""


@dataclass(frozen=True)
class Refusal:
    """What stands in a prompt's place when the model's own template raises on it: on this conversation, not on every one."""

    message: str
    """What the template said, for people."""


Written: TypeAlias = list[int] | Refusal
"""A prompt's token ids, or why it has none."""


class PromptWriter:
    """One model's template and tokenizer. A context manager; every method may raise ModelFault or bounded.ChildLost."""

    def __init__(self, model_dir: Path, limits: Limits = LIMITS) -> None:
        """Start the child; it becomes ready while the caller goes on."""
        self._model_dir = model_dir
        self._child = BoundedProcess(_WORKER, limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.close()

    def load(self, *, template: bool = True, stop_tokens: Sequence[str] = ()) -> Tokenization:
        """Read the tokenizer, and the template where prompts need one; first of all calls.

        `stop_tokens` end answers too, as far as the tokenizer knows them.
        """
        small = {name: path.read_bytes() for name in SMALL_FILES if (path := self._model_dir / name).exists()}
        request = {"do": "tokenizer", "stop_tokens": list(stop_tokens)}
        ends = self._ask(request, Reason.BAD_TOKENIZER, "the tokenizer", small)
        uses_tools = (
            template
            and self._ask({"do": "template"}, Reason.TEMPLATE_REFUSED, "the chat template", small)["uses_tools"]
        )
        return Tokenization(uses_tools, tuple(ends["stop_ids"]), ends["end_id"])

    def write(self, prompts: Sequence[Chat | RawPrompt]) -> list[Written]:
        """The token ids of each prompt, in order: chats through the template, which writes special tokens itself, ready text as it says."""
        written: list[Written] = []
        for batch in _batches(prompts):
            rendered = iter(self._render([prompt for prompt in batch if isinstance(prompt, Chat)]))
            texts = [prompt if isinstance(prompt, RawPrompt) else next(rendered) for prompt in batch]
            ready = [text for text in texts if isinstance(text, RawPrompt)]
            encoded = iter(self._encode([text.text for text in ready], [text.add_special_tokens for text in ready]))
            written += [text if isinstance(text, Refusal) else next(encoded) for text in texts]
        return written

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text alone, in order: nothing is put around it."""
        encoded: list[list[int]] = []
        for batch in _sized_batches(texts, _BATCH_CHARACTERS):
            encoded += self._encode(batch, [False] * len(batch))
        return encoded

    def _encode(self, texts: Sequence[str], add_special_tokens: Sequence[bool]) -> list[list[int]]:
        request = {"do": "encode", "texts": texts, "add_special_tokens": add_special_tokens}
        ids: list[list[int]] = self._ask(request, Reason.BAD_TOKENIZER, "the tokenizer", items=len(texts))["ids"]
        return ids

    def _render(self, chats: Sequence[Chat]) -> list[RawPrompt | Refusal]:
        if not chats:
            return []
        request = {"do": "render", "chats": [{"messages": chat.messages, "tools": chat.tools} for chat in chats]}
        answer = self._ask(request, Reason.TEMPLATE_REFUSED, "the chat template", items=len(chats))
        return [
            Refusal(prompt["refused"]) if "refused" in prompt else RawPrompt(prompt["text"], add_special_tokens=False)
            for prompt in answer["prompts"]
        ]

    def read(self, answers: Sequence[Sequence[int]], *, special_tokens: bool = False) -> list[str]:
        """The text of each answer's token ids, at most MAX_ANSWER_CHARACTERS of it; with special tokens written out, all of it."""
        texts: list[str] = []
        for batch in _sized_batches(answers, _BATCH_TOKENS):
            request = {
                "do": "decode",
                "ids": [list(ids) for ids in batch],
                "skip_special_tokens": not special_tokens,
                "longest": None if special_tokens else MAX_ANSWER_CHARACTERS,
            }
            texts += self._ask(request, Reason.BAD_TOKENIZER, "the tokenizer", items=len(batch))["texts"]
        return texts

    def _ask(
        self,
        request: dict[str, Any],
        reason: Reason,
        what: str,
        blobs: dict[str, bytes] | None = None,
        *,
        items: int = 0,
    ) -> dict[str, Any]:
        try:
            return self._child.call(request, blobs, extra_cpu_seconds=items * _CPU_SECONDS_PER_ITEM)
        except InputFault as fault:
            if fault.reason is not None:
                raise ModelFault(Reason(fault.reason), fault.message) from None
            raise ModelFault(reason, f"{what} {fault.message}") from None


def _batches(prompts: Sequence[Chat | RawPrompt]) -> Iterator[Sequence[Chat | RawPrompt]]:
    for start in range(0, len(prompts), _BATCH):
        yield prompts[start : start + _BATCH]


def _sized_batches(items: Sequence[_Sized], total: int) -> Iterator[Sequence[_Sized]]:
    """As many items as a request may hold in number, and in length together, but at least one."""
    start = length = 0
    for place, item in enumerate(items):
        if place > start and (place - start == _BATCH or length + len(item) > total):
            yield items[start:place]
            start, length = place, 0
        length += len(item)
    if items:
        yield items[start:]
