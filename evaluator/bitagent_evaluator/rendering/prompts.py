"""The near side: a model directory's prompts and answers, through the bounded child."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from bitagent_crds.conditions import Reason
from bitagent_evaluator.bounded.process import BoundedProcess, InputFault, Limits
from bitagent_evaluator.faults import ModelFault
from bitagent_evaluator.safety.selection import SMALL_FILES

_WORKER = "bitagent_evaluator.rendering.worker:RenderingWorker"
LIMITS = Limits(memory_bytes=768 << 20, cpu_seconds=5.0)
"""A tokenizer of 250,000 tokens takes 340 MB and a second."""
_BATCH = 256
"""Chats per request; each request has its own allowance of time and characters."""
_CPU_SECONDS_PER_ITEM = 0.02


class ChatLike(Protocol):
    """What a prompt is made of."""

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Chat messages."""
        ...

    @property
    def tools(self) -> list[dict[str, Any]] | None:
        """Functions for the template's `tools`."""
        ...


@dataclass(frozen=True)
class Tokenization:
    """What the model's small files say."""

    uses_tools: bool
    """Whether the model's template takes tools."""
    stop_ids: tuple[int, ...]
    """Token ids that end an answer."""


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

    def load(self) -> Tokenization:
        """Read template and tokenizer; first of all calls."""
        small = {name: path.read_bytes() for name in SMALL_FILES if (path := self._model_dir / name).exists()}
        tokenizer = self._ask({"do": "tokenizer"}, Reason.BAD_TOKENIZER, "the tokenizer", small)
        template = self._ask({"do": "template"}, Reason.TEMPLATE_REFUSED, "the chat template", small)
        return Tokenization(template["uses_tools"], tuple(tokenizer["stop_ids"]))

    def write(self, chats: Sequence[ChatLike]) -> list[list[int]]:
        """The token ids of each chat's prompt, in order."""
        prompts: list[list[int]] = []
        for batch in _batches(chats):
            plain = [{"messages": chat.messages, "tools": chat.tools} for chat in batch]
            texts = self._ask(
                {"do": "render", "chats": plain}, Reason.TEMPLATE_REFUSED, "the chat template", items=len(batch)
            )["texts"]
            request = {"do": "encode", "texts": texts}
            prompts += self._ask(request, Reason.BAD_TOKENIZER, "the tokenizer", items=len(batch))["ids"]
        return prompts

    def read(self, answers: Sequence[Sequence[int]]) -> list[str]:
        """The text of each answer's token ids, special tokens left out."""
        if not answers:
            return []
        request = {"do": "decode", "ids": [list(ids) for ids in answers]}
        texts: list[str] = self._ask(request, Reason.BAD_TOKENIZER, "the tokenizer", items=len(answers))["texts"]
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


def _batches(chats: Sequence[ChatLike]) -> Iterator[Sequence[ChatLike]]:
    for start in range(0, len(chats), _BATCH):
        yield chats[start : start + _BATCH]
