"""Processes: a pure function of many items, computed by several at once, and the end of a whole session of them."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_MAX_PROCESSES = 4


def process_count() -> int:
    """Return how many processes this one may run beside each other, within a bound."""
    return min(_MAX_PROCESSES, len(os.sched_getaffinity(0)))


def map_parts(function: Callable[[Sequence[T]], R], items: Sequence[T], *, processes: int) -> list[R]:
    """Return `function` of consecutive parts of `items`, in their order.

    The first part is computed here and each other one by a copy of this process, which sends its result back and ends.
    What a copy cannot compute, for whatever reason, is computed here: so an exception is raised as without copies.
    `function` must not wait for threads or locks of this process, which its copies do not have.
    """
    size = -(-len(items) // max(1, processes))
    parts = [items[start : start + size] for start in range(0, len(items), max(1, size))]
    copies = [_begin(function, part) for part in parts[1:]]
    try:
        first = [function(part) for part in parts[:1]]
    except BaseException:
        for copy in copies:
            _result(*copy)
        raise
    found = [_result(*copy) for copy in copies]
    return (
        first
        + [
            function(part) if data is None else pickle.loads(data)  # noqa: S301 - of this process's own copy
            for part, data in zip(parts[1:], found, strict=True)
        ]
    )


def _begin(function: Callable[[Sequence[T]], R], part: Sequence[T]) -> tuple[int, int]:
    """Start a copy of this process; return its id, and the end of the pipe from which its result is read."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    code = 1
    try:
        with open(writer, "wb") as pipe:
            pipe.write(pickle.dumps(function(part), protocol=pickle.HIGHEST_PROTOCOL))
        code = 0
    finally:
        os._exit(code)  # without the clean-up that belongs to the first process


def _result(child: int, reader: int) -> bytes | None:
    """Return what a copy has sent; None if it failed."""
    with open(reader, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    return data if status == 0 else None


def kill_session(session: int) -> None:
    """Kill all processes of the session that `session` leads, whatever group they are in; nothing if there are none."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)
    killed: set[int] = set()
    while left := _of_session(session) - killed:  # again: one may have started another meanwhile
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed |= left


def _of_session(session: int) -> set[int]:
    """Return the processes of a session that have not ended."""
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, _, _, own, *_ = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except (OSError, ValueError):
            continue  # it has ended
        if int(own) == session and state not in ("Z", "X"):
            found.add(int(entry.name))
    return found
