"""Linear weights of a checkpoint as float32 matrices, outputs by inputs, whether they are stored plain or packed.

Packed layouts are those of the methods in `validation.quantization`: GPTQ packs eight or four inputs of an output into
one int32, AWQ eight outputs of an input in the order of its GEMM kernel, compressed-tensors eight inputs of an output.
A part of a matrix is unpacked when it is asked for.
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

    words: npt.NDArray[Any]
    """Of shape (outputs, words)."""
    scales: Floats
    """Of shape (outputs, groups)."""
    bits: int
    inputs: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.words.shape[0], self.inputs

    def rows(self, start: int, stop: int) -> Floats:
        return self._part(slice(start, stop), 0, self.inputs)

    def columns(self, start: int, stop: int) -> Floats:
        return self._part(slice(None), start, stop)

    def _part(self, outputs: slice, start: int, stop: int) -> Floats:
        per_word, group = _WORD_BITS // self.bits, self.inputs // self.scales.shape[1]
        first = start // per_word
        numbers = _unpack(self.words[outputs, first : -(-stop // per_word)], self.bits)
        numbers = numbers[:, start - first * per_word : stop - first * per_word]
        scales: Floats = self.scales[outputs][:, np.arange(start, stop) // group]
        part: Floats = (numbers - np.float32(1 << (self.bits - 1))) * scales
        return part


@dataclass(frozen=True)
class _Awq:
    """Words that hold eight outputs of one input, with a zero point and a scale for each group of inputs and output."""

    words: npt.NDArray[Any]
    """Of shape (inputs, outputs / 8)."""
    zeros: npt.NDArray[Any]
    """Of shape (groups, outputs / 8)."""
    scales: Floats
    """Of shape (groups, outputs)."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.scales.shape[1], self.words.shape[0]

    def rows(self, start: int, stop: int) -> Floats:
        return self._part(start, stop, slice(None)).T

    def columns(self, start: int, stop: int) -> Floats:
        return self._part(0, self.shape[0], slice(start, stop)).T

    def _part(self, start: int, stop: int, inputs: slice) -> Floats:
        first, last = start // 8, -(-stop // 8)
        order = [8 * word + place for word in range(last - first) for place in _AWQ_ORDER]
        chosen = order[start - 8 * first : stop - 8 * first]
        groups = np.arange(self.words.shape[0])[inputs] // (self.words.shape[0] // self.scales.shape[0])
        numbers = _unpack(self.words[inputs, first:last])[:, chosen].astype(np.float32)
        zeros = _unpack(self.zeros[:, first:last])[:, chosen][groups]
        scales: Floats = self.scales[groups, start:stop]
        part: Floats = (numbers - zeros) * scales
        return part


def linear_weight(
    tensors: Mapping[str, StoredTensor], prefix: str, *, bits: int = 4, method: str = ""
) -> Matrix | None:
    """Return the weight of the linear layer whose tensors begin with `prefix`; None if it is not stored as known.

    `bits` and `method` are those of the configuration's quantisation.
    """

    def whole(suffix: str) -> npt.NDArray[Any]:
        stored = tensors[prefix + suffix]
        return stored.rows(0, stored.shape[0])

    if prefix + "weight" in tensors:
        weight = tensors[prefix + "weight"]
        if weight.dtype != "I8":
            return _Plain(weight)
        return _Channel(weight, tensors[prefix + "weight_scale"].vector())
    if prefix + "weight_packed" in tensors:
        words = whole("weight_packed")
        return _PackedInputs(words, to_floats(whole("weight_scale")), 4, words.shape[1] * 8)
    if prefix + "qweight" not in tensors:
        return None
    words, scales = whole("qweight"), to_floats(whole("scales"))
    if method == "awq":
        return _Awq(words, whole("qzeros"), scales)
    words = np.ascontiguousarray(words.T)
    return _PackedInputs(words, np.ascontiguousarray(scales.T), bits, words.shape[1] * (_WORD_BITS // bits))


def _unpack(words: npt.NDArray[Any], bits: int = 4) -> npt.NDArray[np.uint8]:
    """Return the unsigned integers in each row of int32 words, lowest bits first."""
    shifts = np.arange(0, _WORD_BITS, bits, dtype=np.uint32)
    found = (words.astype(np.uint32)[:, :, None] >> shifts) & np.uint32((1 << bits) - 1)
    return found.astype(np.uint8).reshape(words.shape[0], -1)
