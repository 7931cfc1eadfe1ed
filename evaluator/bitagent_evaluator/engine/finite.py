"""Weights that are NaN or infinite. An engine loads them without a word, answers token 0 for ever, and with other requests spoils its cache.

A value is not finite when all bits of its exponent are set, so the files are compared as integers, mapped into memory, with numpy alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from bitagent_evaluator.engine.tensors import file_tensors, weight_paths
from bitagent_evaluator.safety.headers import Tensor

_EXPONENTS: Mapping[str, tuple[Any, int]] = {
    "BF16": (np.uint16, 0x7F80),
    "F16": (np.uint16, 0x7C00),
    "F32": (np.uint32, 0x7F800000),
}
_CHUNK_ELEMENTS = 1 << 21
_THREADS = 4


def non_finite_tensors(model_dir: Path) -> list[str]:
    """Names of the tensors that hold a NaN or an infinity, sorted. Raises bounded.worker.Refused on a broken header."""
    found: list[str] = []
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="finite") as pool:
        for path in weight_paths(model_dir):
            tensors = [(key, tensor) for key, tensor in file_tensors(path).items() if tensor.dtype in _EXPONENTS]
            content = np.memmap(path, np.uint8, "r")
            bad = pool.map(lambda item, content=content: _has_non_finite(content, item[1]), tensors)
            found += [key for (key, _), is_bad in zip(tensors, bad, strict=True) if is_bad]
    return sorted(found)


def _has_non_finite(content: Any, tensor: Tensor) -> bool:
    kind, exponent = _EXPONENTS[tensor.dtype]
    step = _CHUNK_ELEMENTS * np.dtype(kind).itemsize
    for start in range(tensor.start, tensor.end, step):
        # The start of the data need not be aligned in the file, so the chunk is copied.
        chunk = np.frombuffer(content[start : min(tensor.end, start + step)].tobytes(), kind)
        if (np.bitwise_and(chunk, exponent) == exponent).any():
            return True
    return False
