"""Lines of JSON out of pieces of a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from bitagent_evaluator.tasks.data.file_format import MAX_ROW_BYTES


def lines_of(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank with their numbers from 1, without their ends. Raises ValueError at one of more than MAX_ROW_BYTES."""
    rest, number = b"", 0
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            number += 1
            yield from _line(line, number)
        if len(rest) > MAX_ROW_BYTES:
            break
    yield from _line(rest, number + 1)


def _line(line: bytes, number: int) -> Iterator[tuple[int, bytes]]:
    if len(line) > MAX_ROW_BYTES:
        raise ValueError(f"line {number}: longer than {MAX_ROW_BYTES} bytes")
    if line.strip():
        yield number, line


def object_of(line: bytes) -> dict[str, Any]:
    """The JSON object of a line. Raises ValueError."""
    try:
        data = json.loads(line.decode("utf-8-sig"))
    except UnicodeError as error:
        raise ValueError(f"not valid UTF-8: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")
    return data
