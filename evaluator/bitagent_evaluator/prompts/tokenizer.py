"""A model's chat template and tokenizer, run in a sandboxed child process: prompts to token ids, answers to text.

Both are untrusted: a template may never end, a tokenizer may be huge. `models.tokenizer_worker` runs in the child.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeAlias, TypeVar

from bitagent_crds.conditions import Reason
from bitagent_crds.results import NoteKind
from bitagent_evaluator.models.validation.files import directory_files, small_files
from bitagent_evaluator.parsing import MAX_CHARACTERS
from bitagent_evaluator.prompts.base import ChatPrompt, RawPrompt
from bitagent_evaluator.prompts.reference_length import ALLOWANCE, maximum_length
from bitagent_evaluator.sandbox.process import InputFault, Sandbox
from bitagent_evaluator.sandbox.protocol import Limits
from bitagent_evaluator.support.faults import ModelFault

_WORKER = "bitagent_evaluator.models.tokenizer_worker:TokenizerWorker"
LIMITS = Limits(memory_bytes=768 << 20, cpu_seconds=5.0)
"""A tokenizer of 250,000 tokens takes 340 MB and a second."""
_BATCH = 256
"""Maximum number of prompts or texts in one request; each request has its own limits of time and characters."""
_CPU_SECONDS_PER_ITEM = 0.02
_BATCH_CHARACTERS = 1 << 20
"""Maximum number of characters of the texts in one request: one or two seconds of work."""
_BATCH_TOKENS = 1 << 18
"""Maximum number of token ids to decode in one request."""
MAX_ANSWER_CHARACTERS = MAX_CHARACTERS + 1
"""Maximum length of one decoded answer: one more than parsing accepts, so that a longer one is recognised.

A token may stand for a megabyte of text, and all answers are kept.
"""
_Sized = TypeVar("_Sized", bound=Sized)


@dataclass(frozen=True)
class TokenizerInfo:
    """Facts from a model's tokenizer and chat template."""

    uses_tools: bool
    """Whether the chat template renders tools; False if no template was read."""
    stop_ids: tuple[int, ...]
    """Token ids that end an answer."""
    end_id: int | None = None
    """Token id that a chat writes after an answer; None if the tokenizer has none."""
    end_of_thinking_id: int | None = None
    """Token id of the mark after a thought; None if the tokenizer writes it in pieces."""
    notes: Mapping[NoteKind, Sequence[str]] = field(default_factory=dict)
    """What in the chat template is likely to cost a score; empty if no template was read."""


@dataclass(frozen=True)
class TemplateError:
    """The model's chat template raised on this conversation, or made too long a prompt of it."""

    message: str
    """The template's error, in a form to show."""


EncodedPrompt: TypeAlias = list[int] | TemplateError
"""Token ids of a prompt, or why it has none."""


class SandboxedTokenizer:
    """One model's chat template and tokenizer. A context manager.

    Every method raises ModelFault for a template or tokenizer that must not be used or exceeds its limits, and
    SandboxUnavailable.
    """

    def __init__(self, model_dir: Path, limits: Limits = LIMITS) -> None:
        """Start the child process without waiting for it."""
        self._model_dir = model_dir
        self._child = Sandbox(_WORKER, limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.close()

    def load(
        self, *, template: bool = True, stop_tokens: Sequence[str] = (), thinking: bool | None = None
    ) -> TokenizerInfo:
        """Load the tokenizer, and the chat template if prompts need one. Must be called first.

        `stop_tokens` are further tokens that end an answer, as far as the tokenizer knows them; `thinking` is the value
        of the variables by which templates switch thinking, which are undefined for None.
        """
        names = small_files(directory_files(self._model_dir))
        small = {name: (self._model_dir / name).read_bytes() for name in names}
        request: dict[str, Any] = {"do": "tokenizer", "stop_tokens": list(stop_tokens)}
        found = self._call(request, Reason.BAD_TOKENIZER, "the tokenizer", small)
        used: dict[str, Any] = {"uses_tools": False, "template_notes": [], "turn_end_notes": []}
        if template:
            request = {"do": "template", "thinking": thinking}
            used = self._call(request, Reason.TEMPLATE_REFUSED, "the chat template", small)
        return TokenizerInfo(
            uses_tools=used["uses_tools"],
            stop_ids=tuple(found["stop_ids"]),
            end_id=found["end_id"],
            end_of_thinking_id=found["end_of_thinking_id"],
            notes=_notes(used),
        )

    def encode_prompts(self, prompts: Sequence[ChatPrompt | RawPrompt]) -> list[EncodedPrompt]:
        """Return the token ids of each prompt, in order.

        The template writes the special tokens of a chat; a ready text says whether the tokenizer adds some. A prompt
        that is too long for its conversation (`reference_length`) is refused, as one that the template raises on.
        """
        encoded: list[EncodedPrompt] = []
        for batch in _batches(prompts):
            rendered = iter(self._render([prompt for prompt in batch if isinstance(prompt, ChatPrompt)]))
            texts = [prompt if isinstance(prompt, RawPrompt) else next(rendered) for prompt in batch]
            ready = [text for text in texts if isinstance(text, RawPrompt)]
            ids = iter(self._encode([text.text for text in ready], [text.add_special_tokens for text in ready]))
            encoded += [
                text if isinstance(text, TemplateError) else _bounded(next(ids), prompt)
                for text, prompt in zip(texts, batch, strict=True)
            ]
        return encoded

    def encode_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, in order, without special tokens."""
        return self._encode(texts, [False] * len(texts))

    def _encode(self, texts: Sequence[str], add_special_tokens: Sequence[bool]) -> list[list[int]]:
        ids: list[list[int]] = []
        for batch in _sized_batches(texts, _BATCH_CHARACTERS):
            special = add_special_tokens[len(ids) : len(ids) + len(batch)]
            request = {"do": "encode", "texts": batch, "add_special_tokens": special}
            ids += self._call(request, Reason.BAD_TOKENIZER, "the tokenizer", items=len(batch))["ids"]
        return ids

    def _render(self, chats: Sequence[ChatPrompt]) -> list[RawPrompt | TemplateError]:
        if not chats:
            return []
        request = {"do": "render", "chats": [{"messages": chat.messages, "tools": chat.tools} for chat in chats]}
        reply = self._call(request, Reason.TEMPLATE_REFUSED, "the chat template", items=len(chats))
        return [
            TemplateError(prompt["refused"])
            if "refused" in prompt
            else RawPrompt(prompt["text"], add_special_tokens=False)
            for prompt in reply["prompts"]
        ]

    def decode(self, sequences: Sequence[Sequence[int]], *, special_tokens: bool = False) -> list[str]:
        """Return the text of each sequence of token ids, cut to MAX_ANSWER_CHARACTERS.

        With `special_tokens`, special tokens are written out and nothing is cut.
        """
        texts: list[str] = []
        for batch in _sized_batches(sequences, _BATCH_TOKENS):
            request = {
                "do": "decode",
                "ids": [list(ids) for ids in batch],
                "skip_special_tokens": not special_tokens,
                "max_characters": None if special_tokens else MAX_ANSWER_CHARACTERS,
            }
            texts += self._call(request, Reason.BAD_TOKENIZER, "the tokenizer", items=len(batch))["texts"]
        return texts

    def _call(
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


def _notes(reply: Mapping[str, Any]) -> dict[NoteKind, Sequence[str]]:
    found = {NoteKind.TEMPLATE: reply["template_notes"], NoteKind.TURN_END: reply["turn_end_notes"]}
    return {kind: tuple(notes) for kind, notes in found.items() if notes}


def _bounded(ids: list[int], prompt: ChatPrompt | RawPrompt) -> EncodedPrompt:
    """Return the token ids of a prompt, or why they are too many for its conversation."""
    if len(ids) <= ALLOWANCE:
        return ids
    limit = maximum_length(prompt)
    if len(ids) <= limit:
        return ids
    return TemplateError(f"the prompt has {len(ids):,} tokens, allowed {limit:,} for this conversation")


def _batches(prompts: Sequence[ChatPrompt | RawPrompt]) -> Iterator[Sequence[ChatPrompt | RawPrompt]]:
    for start in range(0, len(prompts), _BATCH):
        yield prompts[start : start + _BATCH]


def _sized_batches(items: Sequence[_Sized], total: int) -> Iterator[Sequence[_Sized]]:
    """Yield batches within the limits of number and total length; each has at least one item."""
    start = length = 0
    for index, item in enumerate(items):
        if index > start and (index - start == _BATCH or length + len(item) > total):
            yield items[start:index]
            start, length = index, 0
        length += len(item)
    if items:
        yield items[start:]
