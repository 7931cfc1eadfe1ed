"""Commitments as bytes: what each hotkey has published on a subnet, and since when. Pure.

Read from the chain's own records and not by the SDK's summary of a subnet, which one hotkey's bytes can make fail for
all: it takes revealed text that begins with 0x for hexadecimal digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_RAW = re.compile(r"Raw[0-9]{1,3}")
_BIG = "BigRaw"
_SEALED = frozenset({"TimelockEncrypted", "TimelockRevealFailed"})
_UNREADABLE = (LookupError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True)
class Published:
    """The last commitment of one hotkey."""

    block: int
    """The block since which it can be read: of the commitment, or of its reveal. The same content committed again moves
    it."""
    content: bytes = b""
    """The plain fields one after the other; empty if there are none."""
    sealed: bool = False
    """Whether it is timelocked and not open, because its time has not come or because that failed."""
    revealed: bool = False
    """Whether it was timelocked and is open; the chain then keeps the block of the reveal only."""
    big: bool = False
    """Whether it has a field for large data, which is not in `content`."""


def all_published(records: Iterable[Any], reveals: Iterable[Any]) -> dict[str, Published | None]:
    """Return the last commitment of each hotkey; None for one of an unknown form.

    `records` are the pairs of CommitmentOf, `reveals` those of RevealedCommitments.
    """
    plain = {str(hotkey): record for hotkey, record in records}
    opened = {str(hotkey): entries for hotkey, entries in reveals}
    found: dict[str, Published | None] = {}
    for hotkey in plain.keys() | opened.keys():
        try:
            each = published(plain.get(hotkey), opened.get(hotkey) or ())
        except _UNREADABLE:
            found[hotkey] = None
        else:
            found |= {hotkey: each} if each else {}
    return found


def published(record: Any, reveals: Iterable[Any]) -> Published | None:
    """Return the last of a hotkey's commitment and its reveals; None if it has neither.

    Raises LookupError, TypeError, ValueError or AttributeError for one of an unknown form.
    """
    block = int(record["block"]) if record else 0
    data, at = max(((data, int(at)) for data, at in reveals), key=lambda each: each[1], default=("", -1))
    if at >= block:
        return Published(at, without_length(_bytes(data)), revealed=True)
    if not record:
        return None
    content, big, sealed = b"", False, False
    for entry in record["info"]["fields"]:
        for kind, value in entry.items() if isinstance(entry, dict) else ():
            if _RAW.fullmatch(kind) and isinstance(value, str):
                content += bytes.fromhex(value.removeprefix("0x"))
            big = big or kind == _BIG
            sealed = sealed or kind in _SEALED
    return Published(block, sealed=True) if sealed else Published(block, content, big=big)


def without_length(data: bytes) -> bytes:
    """Return revealed data without the SCALE length before it, if there is one: not every client writes it."""
    if not data:
        return data
    mode, size = data[0] & 0b11, {0: 1, 1: 2, 2: 4}.get(data[0] & 0b11, 0)
    if mode == 0b11 or len(data) < size:
        return data  # of 2**30 bytes and more
    return data[size:] if int.from_bytes(data[:size], "little") >> 2 == len(data) - size else data


def _bytes(data: Any) -> bytes:
    """Return bytes that the SDK gives as text if they are text, else as hexadecimal digits after 0x."""
    if isinstance(data, bytes | bytearray):
        return bytes(data)
    text = str(data)
    try:
        return bytes.fromhex(text[2:]) if text.startswith("0x") else text.encode()
    except ValueError:
        return text.encode("utf-8", "replace")
