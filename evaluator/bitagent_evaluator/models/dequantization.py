"""Linear weights of a checkpoint as float32 matrices, outputs by inputs, whether they are stored plain or packed.

Packed layouts are those of the methods in `validation.quantization`: GPTQ packs eight or four inputs of an output into
one int32, AWQ eight outputs of an input in the order of its GEMM kernel, compressed-tensors eight inputs of an output.
A part of a matrix is read and unpacked when it is asked for: the experts of one layer may fill gigabytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bitagent_evaluator.models.values import Floats, StoredTensor, to_floats

_AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)
"""Position in a word of each of its eight outputs."""
_WORD_BITS = 32


class Matrix(Protocol):
    """A weight of shape (outputs, inputs)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Outputs and inputs."""
        ...

    def rows(self, start: int, stop: int) -> Floats:
        """Return these outputs, of shape (stop - start, inputs)."""
        ...

    def columns(self, start: int, stop: int) -> Floats:
        """Return these inputs, of shape (outputs, stop - start)."""
        ...


@dataclass(frozen=True)
class _Plain:
    weight: StoredTensor

    @property
    def shape(self) -> tuple[int, ...]:
        return self.weight.shape

    def rows(self, start: int, stop: int) -> Floats:
        return to_floats(self.weight.rows(start, stop))

    def columns(self, start: int, stop: int) -> Floats:
        return to_floats(self.weight.columns(start, stop))


@dataclass(frozen=True)
class _Channel:
    """8-bit integers with a scale for each output."""

    weight: StoredTensor
    scales: Floats

    @property
    def shape(self) -> tuple[int, ...]:
        return self.weight.shape

    def rows(self, start: int, stop: int) -> Floats:
        return to_floats(self.weight.rows(start, stop)) * self.scales[start:stop, None]

    def columns(self, start: int, stop: int) -> Floats:
        return to_floats(self.weight.columns(start, stop)) * self.scales[:, None]


@dataclass(frozen=True)
class _PackedInputs:
    """Words that hold several inputs of one output, with a scale for each output and group of inputs."""

    words: StoredTensor
    scales: StoredTensor
    bits: int
    by_output: bool
    """Whether a row is that of an output; otherwise one of words or scales of all outputs."""

    @property
    def shape(self) -> tuple[int, ...]:
        outputs, words = self.words.shape if self.by_output else reversed(self.words.shape)
        return outputs, words * self._per_word

    @property
    def _per_word(self) -> int:
        return _WORD_BITS // self.bits

    @property
    def _group(self) -> int:
        return self.shape[1] // self.scales.shape[1 if self.by_output else 0]

    def rows(self, start: int, stop: int) -> Floats:
        words, scales = (_lines(stored, start, stop, by_row=self.by_output) for stored in (self.words, self.scales))
        return self._values(_unpack(words, self.bits), to_floats(scales), np.arange(self.shape[1]) // self._group)

    def columns(self, start: int, stop: int) -> Floats:
        first, last = start // self._per_word, -(-stop // self._per_word)
        words = _lines(self.words, first, last, by_row=not self.by_output).T
        numbers = _unpack(words, self.bits)[:, start - first * self._per_word : stop - first * self._per_word]
        groups = np.arange(start, stop) // self._group
        scales = _lines(self.scales, groups[0], groups[-1] + 1, by_row=not self.by_output).T
        return self._values(numbers, to_floats(scales), groups - groups[0])

    def _values(self, numbers: npt.NDArray[np.uint8], scales: Floats, groups: npt.NDArray[np.intp]) -> Floats:
        part: Floats = (numbers - np.float32(1 << (self.bits - 1))) * scales[:, groups]
        return part


@dataclass(frozen=True)
class _Awq:
    """Words that hold eight outputs of one input, with a zero point and a scale for each group of inputs and output."""

    words: StoredTensor
    """Of shape (inputs, outputs / 8)."""
    zeros: StoredTensor
    """Of shape (groups, outputs / 8)."""
    scales: StoredTensor
    """Of shape (groups, outputs)."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.scales.shape[1], self.words.shape[0]

    @property
    def _group(self) -> int:
        return self.words.shape[0] // self.scales.shape[0]

    def rows(self, start: int, stop: int) -> Floats:
        first, last = start // 8, -(-stop // 8)
        words, zeros = (stored.columns(first, last) for stored in (self.words, self.zeros))
        groups = np.arange(self.shape[1]) // self._group
        return self._values(words, zeros, self.scales.columns(start, stop), groups, start - 8 * first)

    def columns(self, start: int, stop: int) -> Floats:
        groups = np.arange(start, stop) // self._group
        zeros, scales = (stored.rows(groups[0], groups[-1] + 1) for stored in (self.zeros, self.scales))
        return self._values(self.words.rows(start, stop), zeros, scales, groups - groups[0], 0)

    @staticmethod
    def _values(
        words: npt.NDArray[Any],
        zeros: npt.NDArray[Any],
        scales: npt.NDArray[Any],
        groups: npt.NDArray[np.intp],
        skipped: int,
    ) -> Floats:
        """Return the weights of some inputs, whose groups are given; `skipped` outputs of the words are before."""
        order = [8 * word + place for word in range(words.shape[1]) for place in _AWQ_ORDER]
        chosen = order[skipped : skipped + scales.shape[1]]
        numbers = _unpack(words)[:, chosen].astype(np.float32)
        part: Floats = (numbers - _unpack(zeros)[:, chosen][groups]) * to_floats(scales)[groups]
        return part.T


def _lines(stored: StoredTensor, start: int, stop: int, *, by_row: bool) -> npt.NDArray[Any]:
    """Return these rows of a matrix, or these columns as rows."""
    return stored.rows(start, stop) if by_row else stored.columns(start, stop).T


def linear_weight(
    tensors: Mapping[str, StoredTensor], prefix: str, *, bits: int = 4, method: str = ""
) -> Matrix | None:
    """Return the weight of the linear layer whose tensors begin with `prefix`; None if it is not stored as known.

    `bits` and `method` are those of the configuration's quantisation.
    """
    if prefix + "weight" in tensors:
        weight = tensors[prefix + "weight"]
        if weight.dtype != "I8":
            return _Plain(weight)
        return _Channel(weight, tensors[prefix + "weight_scale"].vector())
    if prefix + "weight_packed" in tensors:
        words, scales = (tensors[prefix + suffix] for suffix in ("weight_packed", "weight_scale"))
        return _PackedInputs(words, scales, 4, by_output=True)
    if prefix + "qweight" not in tensors:
        return None
    words, scales = (tensors[prefix + suffix] for suffix in ("qweight", "scales"))
    if method == "awq":
        return _Awq(words, tensors[prefix + "qzeros"], scales)
    return _PackedInputs(words, scales, bits, by_output=False)


def _unpack(words: npt.NDArray[Any], bits: int = 4) -> npt.NDArray[np.uint8]:
    """Return the unsigned integers in each row of int32 words, lowest bits first."""
    shifts = np.arange(0, _WORD_BITS, bits, dtype=np.uint32)
    found = (words.astype(np.uint32)[:, :, None] >> shifts) & np.uint32((1 << bits) - 1)
    return found.astype(np.uint8).reshape(words.shape[0], -1)
