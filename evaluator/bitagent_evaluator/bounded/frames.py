"""Frames on a pipe: 8 bytes big-endian length of a JSON head, the head, then the blobs whose sizes the head names.

    {"body": {...}, "blobs": {"name": size, ...}}

Binary members travel as blobs, so that a 10 MB header is neither escaped nor copied more than once. Halves of characters in a text become
question marks on the way: a stranger's words may hold some, and no file, log or summary can.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_LENGTH = struct.Struct(">Q")


class FrameTooLarge(Exception):
    """The other side announced more bytes than it may send."""


@dataclass(frozen=True)
class Frame:
    """One message."""

    body: dict[str, Any]
    blobs: Mapping[str, bytes] = field(default_factory=dict)


def encode(frame: Frame) -> bytes:
    """The frame as bytes."""
    content = {"body": frame.body, "blobs": {name: len(blob) for name, blob in frame.blobs.items()}}
    head = json.dumps(content, ensure_ascii=False).encode(errors="replace")
    return b"".join([_LENGTH.pack(len(head)), head, *frame.blobs.values()])


class Decoder:
    """Puts one frame together from whatever pieces a pipe delivers, holding no more than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._head: dict[str, Any] | None = None
        self._head_end = 0
        self._frame_end = 0

    def feed(self, data: bytes) -> Frame | None:
        """Take bytes; the frame once it is whole. Raises FrameTooLarge as soon as the frame's size is known."""
        self._buffer += data
        if not self._head_end and len(self._buffer) >= _LENGTH.size:
            self._head_end = _LENGTH.size + int(_LENGTH.unpack_from(self._buffer)[0])
            self._check(self._head_end)
        if self._head is None and self._head_end and len(self._buffer) >= self._head_end:
            self._head = json.loads(self._buffer[_LENGTH.size : self._head_end])
            self._frame_end = self._head_end + sum(self._head["blobs"].values())
            self._check(self._frame_end)
        if self._head is None or len(self._buffer) < self._frame_end:
            return None
        return self._frame(self._head)

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise FrameTooLarge(f"a message of {size} bytes, allowed {self._limit}")

    def _frame(self, head: dict[str, Any]) -> Frame:
        blobs, start = {}, self._head_end
        for name, size in head["blobs"].items():
            blobs[name] = bytes(self._buffer[start : start + size])
            start += size
        return Frame(head["body"], blobs)
