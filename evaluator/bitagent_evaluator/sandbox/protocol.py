"""Limits of a sandbox, frames between its parent and child, and the interface of a worker.

| limit | of | set | what happens beyond it |
|---|---|---|---|
| RLIMIT_AS | memory | before the worker is imported | MemoryError, or a crash of a library |
| RLIMIT_CPU | processor time | for the start, then again for each request | SIGXCPU, also inside C code |
| RLIMIT_FSIZE | written files | before the worker is imported | "File too large"; a created file stays empty |
| RLIMIT_CORE | core dumps | before the worker is imported | none is written |
| RLIMIT_NPROC | processes and threads | after the worker was created | "Resource temporarily unavailable" |

Libraries may start threads while they are imported, so the limit of processes comes last. The kernel does not apply it
to root; pods do not run as root.

A frame is 8 bytes with the big-endian length of a JSON head, the head, and the blobs whose sizes the head names:
`{"body": {...}, "blobs": {"name": size, ...}}`. Binary members travel as blobs, so that a header of 10 MB is neither
escaped nor copied more than once. Each side sends one frame and waits for the other's.

Lone surrogates in a text become question marks on the way, because no file, log or summary can hold them.
"""

from __future__ import annotations

import json
import math
import resource
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, Self


@dataclass(frozen=True)
class Limits:
    """What one child may use."""

    memory_bytes: int = 1 << 30
    """Address space, imported libraries included."""
    cpu_seconds: float = 10.0
    """Processor time of one request, to which a caller may add for its size."""
    answer_bytes: int = 256 << 20
    """Longest answer."""
    wall_factor: float = 12.0
    """Wall-clock limit of a request as a multiple of its processor time."""
    start_seconds: float = 60.0
    """Limit of both the wall clock and the processor time until the worker is created; most take half a second."""
    processes: bool = False
    """Whether the worker may start processes. Only for one that starts sandboxes itself."""

    def to_json(self) -> str:
        """Return the limits as the child's command line has them."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the limits of a child's command line."""
        return cls(**json.loads(text))


def limit_start(limits: Limits) -> None:
    """Limit this process before it imports the worker."""
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_cpu(limits.start_seconds)


def limit_processes(limits: Limits) -> None:
    """Limit this process once the worker is there: no further process or thread."""
    if not limits.processes:
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def limit_cpu(seconds: float) -> None:
    """Give this process that much more processor time, rounded up to whole seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(usage.ru_utime + usage.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


PIPE_BYTES = 1 << 16
"""Capacity of a pipe on Linux: the most that one read returns."""
_LENGTH = struct.Struct(">Q")
_ENCODER = json.JSONEncoder(ensure_ascii=False)


class BadFrame(Exception):
    """The other side sent more bytes than it may, or bytes that are not one frame."""


@dataclass(frozen=True)
class Frame:
    """One message."""

    body: dict[str, Any]
    blobs: Mapping[str, bytes] = field(default_factory=dict)


def encode(frame: Frame) -> bytes:
    """Return the frame as bytes. Raises TypeError, ValueError or RecursionError for a body that JSON cannot hold."""
    content = {"body": frame.body, "blobs": {name: len(blob) for name, blob in frame.blobs.items()}}
    head = _ENCODER.encode(content).encode(errors="replace")
    return b"".join([_LENGTH.pack(len(head)), head, *frame.blobs.values()])


class Decoder:
    """Puts one frame together from the pieces that a pipe delivers, and holds no more than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._head: dict[str, Any] | None = None
        self._head_end = 0
        self._frame_end = 0

    def feed(self, data: bytes | memoryview) -> Frame | None:
        """Take bytes; return the frame once it is whole.

        Raises BadFrame as soon as the announced size is known to be too large, for a head that is not JSON of this
        form, and for bytes behind the frame.
        """
        self._buffer += data
        if not self._head_end and len(self._buffer) >= _LENGTH.size:
            self._head_end = _LENGTH.size + int(_LENGTH.unpack_from(self._buffer)[0])
            self._check_size(self._head_end)
        if self._head is None and self._head_end and len(self._buffer) >= self._head_end:
            self._head = self._parse_head()
            self._frame_end = self._head_end + sum(self._head["blobs"].values())
            self._check_size(self._frame_end)
        if self._head is None or len(self._buffer) < self._frame_end:
            return None
        if len(self._buffer) > self._frame_end:
            raise BadFrame("more than one message")
        return self._frame(self._head)

    def _check_size(self, size: int) -> None:
        if size > self._limit:
            raise BadFrame(f"a message of {size} bytes, allowed {self._limit}")

    def _parse_head(self) -> dict[str, Any]:
        try:
            head = json.loads(self._buffer[_LENGTH.size : self._head_end].decode())
            body, blobs = head["body"], head["blobs"]
            if isinstance(body, dict) and all(type(size) is int and size >= 0 for size in blobs.values()):
                return {"body": body, "blobs": blobs}
        except (ValueError, RecursionError, TypeError, LookupError, AttributeError):
            pass
        raise BadFrame("a message that is not of the expected form")

    def _frame(self, head: dict[str, Any]) -> Frame:
        blobs, start = {}, self._head_end
        for name, size in head["blobs"].items():
            blobs[name] = bytes(self._buffer[start : start + size])
            start += size
        return Frame(head["body"], blobs)


class Refused(Exception):
    """A worker refuses its input. `reason` is a word for programs, `message` is text."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Worker(Protocol):
    """The class that a sandbox runs in its child, created with the arguments that the sandbox was given."""

    def handle(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        """Return the answer to one request, as JSON types. Raises Refused if the input is at fault."""
        ...
