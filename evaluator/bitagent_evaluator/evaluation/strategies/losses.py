"""Losses: nothing is generated; each task's reference text is measured after its prompt.

With normalization Byte, a loss is the negative log-likelihood of the reference in nats per UTF-8 byte. The text is
fixed before any of the model's files is looked at: it is brought to the composed form (NFC) and cut at
`reference_bytes` bytes, at a character. Its token ids, from the first to the last, are measured after those of the
prompt, and the sum is divided by the bytes of the text. So a tokenizer decides how a text is spelled, but not how much
of it counts:

- Prompt and reference are tokenized apart and their ids joined. No token spans both, and which tokens are measured does
  not depend on what the reference is.
- Nothing but the reference is measured: no token that ends an answer, which each tokenizer could choose for itself. A
  blank that a tokenizer writes before every text costs its model some nats, and adds nothing to what they are divided
  by.
- The ids must decode to the text, character by character and also up to points in between. Then texts have ids of their
  own, none of which begin with all ids of another text unless that text is its beginning, and probabilities of ids add
  up to at most 1 over all texts of a length: a lower loss for one text is a higher one for others, by whatever tokens.

A tokenizer that cannot represent a reference is at fault (BadTokenizer). Two things may be lost, at a price for each
byte that is not distinguished, FOLDED_BYTE_NATS, as much as if all 256 bytes were equally likely: compatible forms of
characters (NFKC: ligatures, full-width letters), and whether one blank stands before the text.

With normalization Token, losses are those of the Nous finetuning subnet: prompt and reference together are at most
`sequence_length` tokens, what is beyond is cut from the end, the end token that the tokenizer names belongs to the
reference, and the loss is the mean over the tokens that are left of it. It compares models that share a tokenizer.

Tasks whose prompt leaves no room for the reference, and sequences that are longer than the model allows, are not
measured.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import LossParameters
from bitagent_crds.results import Response
from bitagent_crds.task_set import Task
from bitagent_evaluator.engines.base import Engine
from bitagent_evaluator.engines.losses import LossEngine, MeasuredText
from bitagent_evaluator.evaluation.strategies.base import (
    GenerationStrategy,
    PromptEncoder,
    ScoringOptions,
    partition_prompts,
)
from bitagent_evaluator.prompts import ChatPrompt, RawPrompt
from bitagent_evaluator.scoring.loss import reference_text
from bitagent_evaluator.support.faults import InfrastructureFault, ModelFault

MEASURED = "measured"
"""Finish reason of a response that was not generated."""
FOLDED_BYTE_NATS = math.log(256)
"""Price of a byte that a tokenizer does not tell from another: that of 256 equally likely bytes."""
_CHECKED_PARTS = 8
"""Number of beginnings of a reference's ids whose text is compared with the reference's, besides the whole."""
_CHARACTERS_PER_TOKEN = 16
"""Maximum number of characters of a reference that are tokenized with normalization Token, per token of the sequence.

Texts have about four characters a token, and a text without end must not be tokenized.
"""
_INCOMPLETE = "\ufffd"
"""What decoders write for a character whose last bytes are missing."""


@dataclass(frozen=True)
class Reference:
    """A reference text as it is measured."""

    token_ids: list[int]
    byte_count: int | None = None
    """UTF-8 bytes of the text, by which the nats are divided; None: by the tokens."""
    extra_nats: float = 0.0
    """What is added to the nats of the tokens."""


class LossStrategy(GenerationStrategy):
    """Tasks with a reference text."""

    def __init__(self, tasks: Sequence[Task], encoder: PromptEncoder, options: ScoringOptions) -> None:
        """Encode all prompts and references. Tasks without a reference are left out."""
        tasks = [task for task in tasks if task.reference]
        parameters = options.loss.settled()
        encoded = encoder.encode([_without_empty_tools(encoder.format.build_prompt(task)) for task in tasks])
        prompts, self.refused = partition_prompts(tasks, encoded)
        # A run that bounds tokens cuts a long prompt; one that bounds the reference does not measure it.
        self.over_limit = encoder.over_limit(prompts) if parameters.sequence_length is None else {}
        tasks = [task for task in tasks if task.id in prompts and task.id not in self.over_limit]
        references = _encode_references([task.reference or "" for task in tasks], encoder, parameters)
        length = parameters.sequence_length
        passages = [
            MeasuredText(task.id, (prompts[task.id] + reference.token_ids)[:length], len(prompts[task.id]))
            for task, reference in zip(tasks, references, strict=True)
        ]
        limit = encoder.token_limit
        self.passages = [p for p in passages if 0 < p.start < len(p.token_ids) <= limit]
        self.task_ids = [passage.key for passage in self.passages]
        measured = frozenset(self.task_ids)
        self.too_long = [passage.key for passage in passages if passage.key not in measured]
        self.sequence_lengths = [len(passage.token_ids) for passage in self.passages]
        self._references = {task.id: reference for task, reference in zip(tasks, references, strict=True)}

    def fingerprint(self) -> Iterator[Sequence[int]]:
        """Yield prompts and references as they are measured, after the cut, and the bytes of each reference."""
        for passage in self.passages:
            yield passage.token_ids[: passage.start]
            yield passage.token_ids[passage.start :]
            byte_count = self._references[passage.key].byte_count
            if byte_count is not None:
                yield [byte_count]

    def run(self, engine: Engine, answered: frozenset[str], record: Callable[[list[Response]], None]) -> None:
        """Measure every reference that has no loss yet."""
        if not isinstance(engine, LossEngine):
            message = (
                f"{type(engine).__name__} measures no losses: scorer Loss needs an engine that shows the probabilities "
                "of given text"
            )
            raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, message)
        missing = {passage.key: passage for passage in self.passages if passage.key not in answered}
        for losses in engine.losses(list(missing.values())):
            record([self._response(missing[measured.key], measured.nats) for measured in losses])

    def _response(self, passage: MeasuredText, nats: float) -> Response:
        reference = self._references[passage.key]
        tokens = len(passage.token_ids) - passage.start
        return Response(
            id=passage.key,
            text="",
            finish_reason=MEASURED,
            prompt_tokens=passage.start,
            completion_tokens=0,
            loss=(nats + reference.extra_nats) / (reference.byte_count or tokens),
            loss_tokens=tokens,
            loss_bytes=reference.byte_count,
        )


def _encode_references(texts: Sequence[str], encoder: PromptEncoder, parameters: LossParameters) -> list[Reference]:
    """Return the references as they are measured. Raises ModelFault for a tokenizer that loses text."""
    if parameters.reference_bytes is not None:
        return _encode_whole([reference_text(text, parameters) for text in texts], encoder)
    return _encode_with_end(texts, encoder, parameters.sequence_length or 0)


def _encode_whole(texts: Sequence[str], encoder: PromptEncoder) -> list[Reference]:
    """Return each text as its tokens, to be divided by its bytes. Raises ModelFault."""
    encoded = encoder.tokenizer.encode_texts(texts)
    encoder.check_ids(encoded)
    decoded = encoder.tokenizer.decode(encoded, special_tokens=True)
    references: list[Reference] = []
    for text, ids, whole in zip(texts, encoded, decoded, strict=True):
        folded = _folded_bytes(text, whole)
        if folded is None:
            raise _loses_text(text)
        references.append(Reference(ids, len(text.encode()), folded * FOLDED_BYTE_NATS))
    _check_beginnings(encoded, decoded, encoder)
    return references


def _folded_bytes(text: str, decoded: str) -> int | None:
    """Return the UTF-8 bytes of the text that are not distinguished; None if another text came back.

    `text` is in NFC. Its decomposition says the same, so a tokenizer may return that.
    """
    composed = unicodedata.normalize("NFC", decoded)
    if composed == text:
        return 0
    if text in (f" {composed}", composed.removeprefix(" ")):
        return 1
    if unicodedata.normalize("NFKC", decoded) != unicodedata.normalize("NFKC", text):
        return None
    return sum(len(character.encode()) for character in text if unicodedata.normalize("NFKC", character) != character)


def _check_beginnings(encoded: Sequence[list[int]], decoded: Sequence[str], encoder: PromptEncoder) -> None:
    """Raise ModelFault unless beginnings of ids decode to beginnings of the text.

    A decoder that looks at all ids at once could return any text for a mere number of equal tokens.
    """
    parts = [
        (whole, ids[:end])
        for ids, whole in zip(encoded, decoded, strict=True)
        for end in sorted({len(ids) * part // (_CHECKED_PARTS + 1) for part in range(1, _CHECKED_PARTS + 1)})
        if end
    ]
    texts = encoder.tokenizer.decode([ids for _, ids in parts], special_tokens=True)
    for (whole, _), text in zip(parts, texts, strict=True):
        if not whole.startswith(text.rstrip(_INCOMPLETE)):
            message = (
                f"the tokenizer decodes the first tokens of a text to something else than its beginning, {whole[:60]!r}"
            )
            raise ModelFault(Reason.BAD_TOKENIZER, message)


def _encode_with_end(texts: Sequence[str], encoder: PromptEncoder, length: int) -> list[Reference]:
    """Return each text as its tokens and the one that ends an answer, to be divided by them. Raises ModelFault."""
    cut = [text[: length * _CHARACTERS_PER_TOKEN] for text in texts]
    encoded = encoder.tokenizer.encode_texts(cut)
    encoder.check_ids(encoded)
    for text, decoded in zip(cut, encoder.tokenizer.decode(encoded, special_tokens=True), strict=True):
        if _comparable(text) != _comparable(decoded):
            raise _loses_text(text)
    end = [] if encoder.end_id is None else [encoder.end_id]
    encoder.check_ids([end])
    return [
        Reference(ids + end if text == whole else ids) for ids, text, whole in zip(encoded, cut, texts, strict=True)
    ]


def _loses_text(text: str) -> ModelFault:
    message = (
        f"the tokenizer does not keep all of a reference text, which begins {text[:60]!r}: "
        "a loss over its tokens says nothing"
    )
    return ModelFault(Reason.BAD_TOKENIZER, message)


def _comparable(text: str) -> str:
    """Return what a tokenizer must keep: not the composition of characters, nor white space, which some add."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def _without_empty_tools(prompt: ChatPrompt | RawPrompt) -> ChatPrompt | RawPrompt:
    """Return a chat without functions as one without tools: some templates announce even an empty list."""
    return replace(prompt, tools=prompt.tools or None) if isinstance(prompt, ChatPrompt) else prompt
