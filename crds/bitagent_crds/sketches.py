"""Sketches of weights and of answers: short texts that are compared to tell how much two models are alike.

A sketch of weights has one row of numbers for each layer. A number is a property of the layer that permutations of
neurons and heads, scaling, rotation of the hidden state and a change of dtype leave as it is, in steps of STEP on a
circle of 65,536. Another form of the same function is a few steps away, a copy with noise some hundred, and an
unrelated model is anywhere on the circle.

A sketch of answers has two parts. One bit for each of ANSWER_BITS tasks says how far all answers agree; one byte for
each of MISTAKE_HASHES hash functions, a MinHash (Broder 1997), says how far the wrong answers are the same. Two good
models agree in what is right, so only their mistakes tell copies apart from models of equal skill.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import eq
from statistics import median

_VERSION = 1
_HEAD = 3
_NUMBER_BYTES = 2
_CIRCLE = 1 << 16
_FAR = _CIRCLE // 8
"""Distance in steps from which two numbers count as unrelated."""
STEP = 1 / _CIRCLE
"""Width of a step of a weights sketch, in units of the property (most are logarithms)."""
MAX_NUMBERS = 94
"""Numbers of all rows together: with the head they fill 256 characters."""

SAME_FUNCTION = 1.8e-4
"""Largest distance of the weights in another form of the same function: at most 1.2e-4 with all of it rounded again to
bfloat16, where the lightest fine-tunes (20 steps) had 3.4e-4 and 8.8e-4."""
SAME_BASE = 0.7
"""Similarity of weights that models of one base have: fine-tunes of one base had 0.9 and more, unrelated models at most
0.55."""

ANSWER_BITS = 384
MISTAKE_HASHES = 48
_ANSWER_BYTES = ANSWER_BITS // 8
_BYTES = 256
"""Values of a byte: one in so many is equal by chance."""


class SketchError(ValueError):
    """Raised for a text that is not a sketch, or one of another version."""


Row = tuple[int, ...]


@dataclass(frozen=True)
class WeightsSketch:
    """Properties of a model's layers, in the order of the layers."""

    rows: tuple[Row, ...]
    """One row for each layer, all of one length, the most telling property first."""

    def encode(self) -> str:
        """Return the sketch as text, at most 256 characters."""
        width = len(self.rows[0]) if self.rows else 0
        numbers = [number for row in self.rows for number in row]
        return _to_text(struct.pack(f">BBB{len(numbers)}H", _VERSION, len(self.rows), width, *numbers))

    @classmethod
    def decode(cls, text: str) -> WeightsSketch:
        """Return the sketch that `encode` wrote. Raises SketchError."""
        content = _to_bytes(text)
        if len(content) < _HEAD or content[0] != _VERSION:
            raise SketchError("not a sketch of weights of this version")
        count, width = content[1], content[2]
        if len(content) != _HEAD + _NUMBER_BYTES * count * width:
            raise SketchError(f"not a sketch of {count} layers")
        numbers = struct.unpack_from(f">{count * width}H", content, _HEAD)
        return cls(tuple(numbers[i * width : (i + 1) * width] for i in range(count)))

    def similarity(self, other: WeightsSketch) -> float:
        """Return how much the weights are alike, from 0 to 1: 1 less the median distance, over the layers that match.

        Layers are matched in their order, so that layers which one of the models lacks do not count. Every model
        shares its layers with itself: 1.
        """
        distances = self._distances(other)
        return max(0.0, 1.0 - median(distances) / _FAR) if distances else 0.0

    def distance(self, other: WeightsSketch) -> float:
        """Return the difference that three quarters of the properties do not exceed; infinite without any.

        It is near 0 only if all parts of the layers are the same. Half of them may be in a model whose attention alone
        was trained.
        """
        distances = sorted(self._distances(other))
        return distances[3 * len(distances) // 4] * STEP if distances else float("inf")

    def _distances(self, other: WeightsSketch) -> list[int]:
        width = min(len(row) for row in (*self.rows, *other.rows)) if self.rows and other.rows else 0
        if width == 0:
            return []
        return [d for a, b in _matched(self.rows, other.rows, width) for d in _distances(a, b, width)]


def _distances(a: Row, b: Row, width: int) -> list[int]:
    return [min((x - y) % _CIRCLE, (y - x) % _CIRCLE) for x, y in zip(a[:width], b[:width], strict=True)]


def _matched(first: Sequence[Row], second: Sequence[Row], width: int) -> list[tuple[Row, Row]]:
    """Return the pairs of layers whose distances are smallest in sum; the shorter model's layers all have a partner."""
    if len(first) > len(second):
        return [(a, b) for b, a in _matched(second, first, width)]
    spare = len(second) - len(first)

    def cost(i: int, j: int) -> int:
        return sum(min(_FAR, d) for d in _distances(first[i], second[j], width))

    # best[s]: the smallest cost so far with s layers of the longer model left out; trace: the choices that led there.
    best: list[tuple[int, tuple[int, ...]]] = [(0, ())] * (spare + 1)
    for i in range(len(first)):
        row: list[tuple[int, tuple[int, ...]]] = []
        for skipped in range(spare + 1):
            here = (best[skipped][0] + cost(i, i + skipped), (*best[skipped][1], i + skipped))
            row.append(here if not row else min(row[-1], here, key=lambda found: found[0]))
        best = row
    return [(first[i], second[j]) for i, j in enumerate(best[-1][1])]


@dataclass(frozen=True)
class AnswerSketch:
    """A fingerprint of the answers to one task set."""

    answers: bytes
    """One bit for each of ANSWER_BITS tasks."""
    mistakes: bytes
    """One byte for each of MISTAKE_HASHES hash functions; empty if there is no wrong answer to compare."""

    def encode(self) -> str:
        """Return the sketch as text, at most 128 characters."""
        return _to_text(self.answers + self.mistakes)

    @classmethod
    def decode(cls, text: str) -> AnswerSketch:
        """Return the sketch that `encode` wrote. Raises SketchError."""
        content = _to_bytes(text)
        if len(content) not in (_ANSWER_BYTES, _ANSWER_BYTES + MISTAKE_HASHES):
            raise SketchError("not a sketch of answers of this version")
        return cls(content[:_ANSWER_BYTES], content[_ANSWER_BYTES:])

    @cached_property
    def _bits(self) -> int:
        return int.from_bytes(self.answers)

    def agreement(self, other: AnswerSketch) -> float:
        """Return the estimated share of tasks with the same answer: unequal answers share half of their bits."""
        different = (self._bits ^ other._bits).bit_count()
        return max(0.0, 1.0 - 2.0 * different / ANSWER_BITS)

    def shared_mistakes(self, other: AnswerSketch) -> float | None:
        """Return the estimated share of the wrong answers of either model that both gave; None without any."""
        if not self.mistakes or not other.mistakes:
            return None
        same: float = sum(map(eq, self.mistakes, other.mistakes)) / MISTAKE_HASHES
        return max(0.0, (same * _BYTES - 1) / (_BYTES - 1))


def _to_text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _to_bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise SketchError("not a sketch") from error
