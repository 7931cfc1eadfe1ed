"""JSON Lines, and one large array of objects: either way object after object, of which one at a time is in memory."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any

from bitagent_evaluator.tasks.data.file_format import MAX_ROW_BYTES, DataFile

_BETWEEN = " \t\r\n,"


def rows(file: DataFile) -> Iterator[dict[str, Any]]:
    """The objects. Raises ValueError at what is none, and at one of more than MAX_ROW_BYTES characters."""
    decoder = json.JSONDecoder()
    buffer, number, in_array = "", 0, False  # in_array: after its "[", before its "]"
    for more in _text(file):
        buffer += more
        at = 0
        while True:
            at = _skip(buffer, at)
            if number == 0 and not in_array and buffer[at : at + 1] == "[":
                in_array, at = True, at + 1
                continue
            if in_array and buffer[at : at + 1] == "]":
                in_array, number, at = False, max(number, 1), at + 1
                continue
            if at == len(buffer):
                break
            if buffer[at] != "{":
                raise ValueError(f"row {number}: not a JSON object")
            try:
                row, end = decoder.raw_decode(buffer, at)
            except RecursionError:
                raise ValueError(f"row {number}: nested too deeply") from None
            except ValueError as error:
                if len(buffer) - at > MAX_ROW_BYTES:
                    raise ValueError(
                        f"row {number}: not JSON, or longer than {MAX_ROW_BYTES} characters: {error}"
                    ) from None
                break  # its end has not arrived yet
            yield row
            number, at = number + 1, end
        buffer = buffer[at:]
    if in_array or buffer.strip(_BETWEEN):
        raise ValueError(f"row {number}: not JSON: it breaks off, or is not closed")


def _skip(buffer: str, at: int) -> int:
    while at < len(buffer) and buffer[at] in _BETWEEN:
        at += 1
    return at


def _text(file: DataFile) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    for piece in file.stream():
        yield decoder.decode(piece)
    yield decoder.decode(b"", final=True)
