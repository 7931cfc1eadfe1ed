"""A checkpoint on disk: its tensors by header, weights that are NaN or infinite, the directory that an engine loads.

An engine loads non-finite weights without an error, answers token 0 for ever, and with other requests spoils its cache.
A value is not finite if all bits of its exponent are set, so the files are compared as integers, mapped into memory.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bitagent_evaluator.models.validation.files import CONFIG, INDEX, weight_files
from bitagent_evaluator.models.validation.weights import LENGTH_BYTES, Tensor, header_bytes, parse_header

_EXPONENTS: Mapping[str, tuple[type[np.unsignedinteger[Any]], int]] = {
    "BF16": (np.uint16, 0x7F80),
    "F16": (np.uint16, 0x7C00),
    "F32": (np.uint32, 0x7F800000),
}
"""By dtype: the integer type of its size, and the bits of its exponent."""
_CHUNK_ELEMENTS = 1 << 21
_THREADS = 4


def weight_paths(model_dir: Path) -> list[Path]:
    """Return the weight files of a model's directory, sorted by name."""
    return [model_dir / name for name in weight_files(entry.name for entry in model_dir.iterdir())]


def file_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of one weight file. Raises Refused if the header is malformed."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(LENGTH_BYTES)
        data = first + file.read(header_bytes(path.name, first, size) - LENGTH_BYTES)
    return parse_header(path.name, data, size)


def model_tensors(model_dir: Path) -> dict[str, Tensor]:
    """Return the tensors of all weight files. Raises Refused if a header is malformed."""
    return {name: tensor for path in weight_paths(model_dir) for name, tensor in file_tensors(path).items()}


def non_finite_tensors(model_dir: Path) -> list[str]:
    """Return the sorted names of tensors that hold a NaN or an infinity. Raises Refused if a header is malformed."""
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
        # Tensors need not be aligned in the file, so the chunk is copied.
        chunk = np.frombuffer(content[start : min(tensor.end, start + step)].tobytes(), kind)
        if (np.bitwise_and(chunk, exponent) == exponent).any():
            return True
    return False


@contextmanager
def model_view(model_dir: Path, config: Mapping[str, Any]) -> Iterator[Path]:
    """Create the directory that an engine loads: links to the weight files, and the checked configuration.

    Generation settings, tokenizer files and unknown members of the configuration stay outside, so that the engine
    cannot act on them, and the weights cannot be exchanged for a pickle. The directory is removed at the end.
    """
    view = Path(tempfile.mkdtemp(prefix="model-"))
    try:
        (view / CONFIG).write_text(json.dumps(config))
        names = weight_files(entry.name for entry in model_dir.iterdir())
        if (model_dir / INDEX).exists():
            names.append(INDEX)
        for name in names:
            (view / name).symlink_to((model_dir / name).resolve())
        yield view
    finally:
        shutil.rmtree(view, ignore_errors=True)
