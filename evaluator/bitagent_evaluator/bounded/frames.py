"""Frames on a pipe: 8 bytes big-endian length of a JSON head, the head, then the blobs whose sizes the head names.

    {"body": {...}, "blobs": {"name": size, ...}}

Binary members travel as blobs, so that a 10 MB header is neither escaped nor copied more than once.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
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
    head = json.dumps({"body": frame.body, "blobs": {name: len(blob) for name, blob in frame.blobs.items()}}).encode()
    return b"".join([_LENGTH.pack(len(head)), head, *frame.blobs.values()])


class Decoder:
    """Puts frames together from whatever pieces a pipe delivers. Raises FrameTooLarge before it would hold more than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._held = 0
        self._head: dict[str, Any] | None = None
        self._need = _LENGTH.size
        self._head_size: int | None = None

    def feed(self, data: bytes) -> Frame | None:
        """Take bytes; the frame once it is whole. Bytes after the frame's end are an error of the sender and are not kept."""
        self._pieces.append(data)
        self._held += len(data)
        while self._held >= self._need:
            buffer = b"".join(self._pieces)
            self._pieces = [buffer]
            frame = self._advance(buffer)
            if frame is not None:
                return frame
        return None

    def _advance(self, buffer: bytes) -> Frame | None:
        if self._head_size is None:
            self._head_size = _LENGTH.unpack_from(buffer)[0]
            return self._expect(_LENGTH.size + self._head_size)
        start = _LENGTH.size + self._head_size
        if self._head is None:
            self._head = json.loads(buffer[_LENGTH.size : start])
            total = start + sum(self._sizes())
            if total > self._need:
                return self._expect(total)
        blobs = {}
        for name, size in self._head["blobs"].items():
            blobs[name] = buffer[start : start + size]
            start += size
        return Frame(self._head["body"], blobs)

    def _sizes(self) -> Iterable[int]:
        sizes: dict[str, int] = (self._head or {}).get("blobs", {})
        return sizes.values()

    def _expect(self, total: int) -> None:
        if total > self._limit:
            raise FrameTooLarge(f"a message of {total} bytes, allowed {self._limit}")
        self._need = total
