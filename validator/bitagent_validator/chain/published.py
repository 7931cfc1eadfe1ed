"""Commitments as bytes: what each hotkey has published on a subnet, and since when."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_RAW = re.compile(r"Raw[0-9]{1,3}")
_BIG = "BigRaw"


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
    big: bool = False
    """Whether it has a field for large data, which is not in `content`."""


def published(found: Any) -> Published:
    """Return a commitment of the SDK as plain data.

    The fields decide, not the SDK's text: that of bytes which are no text looks like text that begins with 0x. Raises
    LookupError, TypeError, ValueError or AttributeError for one of an unknown form.
    """
    block = int(found.block)
    opened = [(int(at), str(text)) for at, text in found.revealed if int(at) >= block]
    if opened:
        at, text = opened[-1]
        return Published(at, text.encode("utf-8", "replace"))
    if found.status != "plain":
        return Published(block, sealed=True)
    content, big = b"", False
    for entry in found.fields:
        for kind, value in entry.items() if isinstance(entry, dict) else ():
            if _RAW.fullmatch(kind) and isinstance(value, str):
                content += bytes.fromhex(value.removeprefix("0x"))
            big = big or kind == _BIG
    return Published(block, content, big=big)
