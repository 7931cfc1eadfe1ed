"""Values of a checkpoint's tensors, read in parts: as bfloat16 words, as float32 matrices, as raw bytes.

Files are mapped into memory and parts are copied out, because tensors need not be aligned in a file. Whatever the size
of a model, a caller holds only the parts that it asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bitagent_evaluator.models.checkpoint import file_tensors, weight_paths
from bitagent_evaluator.models.validation.weights import ITEM_BYTES, Tensor

Floats = npt.NDArray[np.float32]
Words = npt.NDArray[np.uint16]

FLOATS = frozenset({"BF16", "F16", "F32", "F64"})
"""Dtypes whose values are numbers as they are stored."""
PART_BYTES = 4 << 20

_TYPES: dict[str, Any] = {"F16": np.float16, "F32": np.float32, "F64": np.float64, "BF16": np.uint16, "I8": np.int8}
_TYPES |= {"U8": np.uint8, "I32": np.int32, "I64": np.int64}
_SMALLEST_NORMAL = 0x3700
"""Smallest bfloat16 whose spacing is not finer than float16's: 2**-17."""
_FINEST = np.float32(2.0**24)
"""Inverse of the smallest positive float16."""


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a file."""

    tensor: Tensor
    content: npt.NDArray[np.uint8]
    """The whole file, mapped into memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return self.tensor.shape

    @property
    def dtype(self) -> str:
        """Dtype as the header names it."""
        return self.tensor.dtype

    def parts(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the tensor's bytes, at most PART_BYTES at a time, cut between values."""
        for start in range(self.tensor.start, self.tensor.end, PART_BYTES):
            yield np.array(self.content[start : min(self.tensor.end, start + PART_BYTES)])

    def rows(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Return these rows of a matrix in the stored type (bfloat16 as uint16 words)."""
        width = self.shape[1] * ITEM_BYTES[self.dtype]
        piece = self.content[self.tensor.start + start * width : self.tensor.start + stop * width]
        rows: npt.NDArray[Any] = np.array(piece).view(_TYPES[self.dtype]).reshape(stop - start, self.shape[1])
        return rows

    def columns(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Return these columns of a matrix in the stored type (bfloat16 as uint16 words)."""
        height, size = self.shape[0], ITEM_BYTES[self.dtype]
        table = self.content[self.tensor.start : self.tensor.end].reshape(height, self.shape[1] * size)
        piece = np.ascontiguousarray(table[:, start * size : stop * size])
        columns: npt.NDArray[Any] = piece.view(_TYPES[self.dtype]).reshape(height, stop - start)
        return columns

    def vector(self) -> Floats:
        """Return all values as float32, in one dimension."""
        return to_floats(np.array(self.content[self.tensor.start : self.tensor.end]).view(_TYPES[self.dtype]))


def stored_tensors(model_dir: Path) -> dict[str, StoredTensor]:
    """Return the tensors of a model's weight files by name. Raises Refused if a header is malformed, and OSError."""
    found: dict[str, StoredTensor] = {}
    for path in weight_paths(model_dir):
        tensors = file_tensors(path)
        content = np.memmap(path, np.uint8, "r")
        found |= {name: StoredTensor(tensor, content) for name, tensor in tensors.items()}
    return found


def to_floats(values: npt.NDArray[Any]) -> Floats:
    """Return values of a stored type as float32; words of 16 bits are bfloat16."""
    if values.dtype == np.uint16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    floats: Floats = values.astype(np.float32)
    return floats


def to_bfloat16(content: npt.NDArray[np.uint8], dtype: str) -> Words:
    """Return stored numbers as canonical bfloat16 words.

    Values are rounded to the nearest word, below 2**-17 to the nearest multiple of 2**-24, and -0 to 0: a copy of
    bfloat16 weights in float16 or float32 gives the words of the original.
    """
    values = content.view(_TYPES[dtype])
    words: Words
    if dtype == "BF16":
        words = values
    else:
        bits = values.astype(np.float32).view(np.uint32)
        words = ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)
    small = np.flatnonzero((words & np.uint16(0x7FFF)) < np.uint16(_SMALLEST_NORMAL))
    if small.size:
        words = words.copy()
        rounded = np.rint(to_floats(words[small]) * _FINEST) / _FINEST + np.float32(0)
        words[small] = (rounded.view(np.uint32) >> 16).astype(np.uint16)
    return words
