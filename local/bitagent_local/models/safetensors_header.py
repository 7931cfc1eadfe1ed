"""The header of a safetensors file, read with the standard library: 8 bytes of length, then JSON."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

LARGEST_HEADER = 8 << 20
"""Bytes."""


def read(path: Path) -> tuple[dict[str, Any], int]:
    """Return the header without its metadata entry, and the offset at which tensor data begin.

    Raises ValueError if this is not a safetensors file, or its header is larger than `LARGEST_HEADER`.
    """
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise ValueError(f"{path} is too short for a safetensors file")
        (length,) = struct.unpack("<Q", start)
        if length > LARGEST_HEADER:
            raise ValueError(f"{path} claims a header of {length} bytes")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError(f"{path} has a header that is not a JSON object")
    header.pop("__metadata__", None)
    return header, 8 + length


def parameters(path: Path) -> dict[str, int]:
    """Return the number of parameters by dtype, as the header claims them. Raises ValueError as `read` does."""
    counts: dict[str, int] = {}
    for tensor in read(path)[0].values():
        counts[tensor["dtype"]] = counts.get(tensor["dtype"], 0) + math.prod(tensor["shape"])
    return counts
