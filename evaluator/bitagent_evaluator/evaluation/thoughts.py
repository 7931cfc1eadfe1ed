"""How many tokens of an answer count, if the thought before it has a limit of its own.

An answer thinks if its prompt ends with the opening mark of a thought, or if it begins with one itself. Its thought
goes up to and with the closing mark, and may have `ThoughtLimits.thought` tokens; what follows may have
`ThoughtLimits.answer`. A thought that is longer is cut off there, and has no answer. An answer that does not think may
have `ThoughtLimits.answer` tokens.

Where an answer is cut is a function of its prompt and tokens alone, so it is the same in every batch and for every
engine. The closing mark is a token if the tokenizer has it as one, else it is found in the text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bitagent_evaluator.parsing.thinking import ENDS_OF_THINKING, START_OF_THINKING, STARTS_OF_THINKING

Tokens = Sequence[int]
Decode = Callable[[Sequence[Tokens]], list[str]]
"""Returns the text of sequences of token ids, with special tokens written out."""

OPENING_TOKENS = 16
"""Number of tokens at the end of a prompt, or at the beginning of an answer, in which an opening mark is looked for."""
_STEP, _WIDTH = 32, 64
"""Distance and width of the pieces in whose text a closing mark is looked for; they overlap by more than a mark."""


@dataclass(frozen=True)
class ThoughtLimits:
    """Bounds of one answer, in tokens."""

    thought: int
    answer: int


@dataclass(frozen=True)
class Extent:
    """What is known of the number of tokens that count, when some are generated."""

    cut: int | None
    """Where the answer is cut, if it is longer; None while that depends on further tokens."""
    at_least: int
    """Number of tokens that are never cut."""
    look_at: int
    """Number of generated tokens at which there is more to know, or something to cut."""


def extent(limits: ThoughtLimits, *, thinks: bool | None, generated: int, end: int | None) -> Extent:
    """Return what is known of an answer of which so many tokens are generated.

    `thinks` is None while the answer has not begun with a thought, and still may. `end` is the number of tokens of the
    thought with its closing mark; None without one among the tokens so far.
    """
    if thinks is False:
        return _cut_at(limits.answer)
    if thinks is None:
        at_least = min(limits.answer, limits.thought)
        return Extent(None, at_least, max(at_least, OPENING_TOKENS))
    if end is not None and end <= limits.thought:
        return _cut_at(end + limits.answer)
    if end is not None or generated >= limits.thought:
        return _cut_at(limits.thought)
    at_least = min(limits.thought, generated + limits.answer)
    return Extent(None, at_least, at_least)


def _cut_at(tokens: int) -> Extent:
    return Extent(tokens, tokens, tokens)


class ThoughtFinder:
    """Finds the marks of thoughts in the tokens of one model."""

    def __init__(self, decode: Decode, end_id: int | None) -> None:
        """`end_id` is the token that is `</think>`; None if there is none, so that the marks of all families count."""
        self._decode, self._end_id = decode, end_id
        self._starts = STARTS_OF_THINKING if end_id is None else (START_OF_THINKING,)

    def opened_by(self, prompts: Sequence[Tokens]) -> list[bool]:
        """Return for each prompt whether it ends with an opening mark, as those of some templates do."""
        texts = self._decode([prompt[-OPENING_TOKENS:] for prompt in prompts])
        return [text.rstrip().endswith(self._starts) for text in texts]

    def opened_in(self, answers: Sequence[Tokens]) -> list[bool]:
        """Return for each answer whether it begins with an opening mark."""
        texts = self._decode([answer[:OPENING_TOKENS] for answer in answers])
        return [text.lstrip().startswith(self._starts) for text in texts]

    def ends(self, answers: Sequence[Tokens], searched: Sequence[int]) -> list[int | None]:
        """Return for each answer the number of tokens up to and with the first closing mark; None without one.

        The first `searched` tokens of an answer are known to have none.
        """
        if self._end_id is not None:
            return [_place(ids, self._end_id, start) for ids, start in zip(answers, searched, strict=True)]
        found: list[int | None] = []
        pieces = [_pieces(ids, start) for ids, start in zip(answers, searched, strict=True)]
        texts = iter(
            self._decode([ids[start : start + _WIDTH] for ids, of in zip(answers, pieces, strict=True) for start in of])
        )
        for ids, starts in zip(answers, pieces, strict=True):
            marked = [start for start in starts if _closes(next(texts))]
            found.append(self._end_in(ids, marked[0]) if marked else None)
        return found

    def _end_in(self, ids: Tokens, start: int) -> int:
        """Return the number of tokens up to and with the closing mark in the piece that begins at `start`."""
        ends = range(start + 1, min(start + _WIDTH, len(ids)) + 1)
        texts = self._decode([ids[start:end] for end in ends])
        return next((end for end, text in zip(ends, texts, strict=True) if _closes(text)), ends[-1])


def _closes(text: str) -> bool:
    return any(end in text for end in ENDS_OF_THINKING)


def _place(ids: Tokens, mark: int, start: int) -> int | None:
    return next((place + 1 for place in range(start, len(ids)) if ids[place] == mark), None)


def _pieces(ids: Tokens, searched: int) -> range:
    """Return where the pieces begin that have tokens beyond the searched ones; equal for any division into searches."""
    first = max(0, searched - _WIDTH + 1 + _STEP - 1) // _STEP * _STEP
    return range(first, max(len(ids), 1), _STEP)
