"""Safetensors headers: 8 bytes little-endian length N, N bytes of JSON, then the tensors without hole or overlap up to the end of the file."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from bitagent_crds.conditions import Reason
from bitagent_evaluator.bounded.worker import Refused
from bitagent_evaluator.safety.refusal import require, shown

LENGTH_BYTES = 8
MAX_HEADER_BYTES = 8 << 20
MAX_HEADERS_BYTES = 16 << 20
"""Of all files together: a hundred bytes for each of 160,000 tensors."""
MAX_TENSORS = 20_000
_MAX_DIMENSION = 1 << 31
_MAX_RANK = 4
_MEMBERS = frozenset({"dtype", "shape", "data_offsets"})

ITEM_BYTES: Mapping[str, int] = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "F8_E4M3": 1,
    "BOOL": 1,
}


@dataclass(frozen=True)
class Tensor:
    """One tensor as its header describes it; `start` and `end` are bytes in the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def header_bytes(name: str, first: bytes, file_size: int) -> int:
    """Bytes from the file's start to the end of its header, from its first 8 bytes. Refuses an absurd length (CorruptWeights)."""
    require(len(first) >= LENGTH_BYTES and file_size > LENGTH_BYTES + 2, Reason.CORRUPT_WEIGHTS, f"{name} is empty")
    length: int = struct.unpack_from("<Q", first)[0]
    limit = min(MAX_HEADER_BYTES, file_size - LENGTH_BYTES)
    require(
        length <= limit,
        Reason.CORRUPT_WEIGHTS,
        f"{name} announces a header of {length} bytes, at most {limit} are allowed: it is truncated or no safetensors file",
    )
    return LENGTH_BYTES + length


def parse_header(name: str, data: bytes, file_size: int) -> dict[str, Tensor]:
    """The tensors of one file by name. `data` starts at the file's start and holds the header. Refuses with CorruptWeights."""
    end = header_bytes(name, data, file_size)
    require(len(data) >= end, Reason.CORRUPT_WEIGHTS, f"{name} ends inside its header")
    try:
        entries = json.loads(data[LENGTH_BYTES:end].decode())  # see configuration.parse_object
    except (ValueError, RecursionError) as error:
        raise Refused(Reason.CORRUPT_WEIGHTS, f"{name}: its header is no JSON ({type(error).__name__})") from None
    require(isinstance(entries, dict), Reason.CORRUPT_WEIGHTS, f"{name}: its header is no object")
    require(
        len(entries) <= MAX_TENSORS, Reason.CORRUPT_WEIGHTS, f"{name}: {len(entries)} tensors, allowed {MAX_TENSORS}"
    )
    metadata = entries.pop("__metadata__", None) or {}
    sound = isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())
    require(sound, Reason.CORRUPT_WEIGHTS, f"{name}: __metadata__ of its header is not an object of texts")
    tensors = {key: _tensor(name, key, entry, end) for key, entry in entries.items()}
    _check_spans(name, tensors, end, file_size)
    return tensors


def _tensor(name: str, key: str, entry: object, base: int) -> Tensor:
    where = f"{name}: tensor {shown(key)}"
    try:
        dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]  # type: ignore[index]
    except (TypeError, KeyError, ValueError):
        raise Refused(Reason.CORRUPT_WEIGHTS, f"{where} has no dtype, shape and two offsets") from None
    sound = isinstance(entry, dict) and entry.keys() == _MEMBERS
    require(sound, Reason.CORRUPT_WEIGHTS, f"{where} has other members than dtype, shape and data_offsets")
    known = isinstance(dtype, str) and dtype in ITEM_BYTES
    require(known, Reason.CORRUPT_WEIGHTS, f"{where} has the unknown dtype {shown(dtype)}")
    sound = isinstance(shape, list) and len(shape) <= _MAX_RANK
    sound = sound and all(type(size) is int and 0 < size < _MAX_DIMENSION for size in shape)
    require(sound, Reason.CORRUPT_WEIGHTS, f"{where} has the shape {shown(shape)}")
    require(
        type(start) is int and type(end) is int, Reason.CORRUPT_WEIGHTS, f"{where} has offsets that are no integers"
    )
    tensor = Tensor(dtype, tuple(shape), base + start, base + end)
    need = tensor.elements * ITEM_BYTES[dtype]
    require(end - start == need, Reason.CORRUPT_WEIGHTS, f"{where} has {end - start} bytes, its shape needs {need}")
    return tensor


def _check_spans(name: str, tensors: Mapping[str, Tensor], base: int, file_size: int) -> None:
    at = base
    for tensor in sorted(tensors.values(), key=lambda tensor: tensor.start):
        require(tensor.start == at, Reason.CORRUPT_WEIGHTS, f"{name}: hole or overlap at byte {at}")
        at = tensor.end
    require(
        at == file_size,
        Reason.CORRUPT_WEIGHTS,
        f"{name} has {file_size} bytes, its header describes {at}: it is truncated or something was appended",
    )
