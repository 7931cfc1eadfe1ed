"""Outcomes of a pack's models, handed from the engine's container to the containers that end as the models did.

Each model has a container of its own that waits for its outcome, writes it as its termination message and ends with its
exit code: so the outcome of each model arrives as that of a Job of its own, as soon as it is known, and without a
network. The containers share a directory (`outcomes_dir` of the document):

    engine           the engine's container has opened all pipes
    <key>.pipe       a named pipe that the engine's container holds open until the outcome is there, or until it ends
    <key>.begun      the evaluation has begun
    <key>.outcome    exit code in the first line, then the termination message

A waiting container sleeps until its pipe is closed: by whoever writes the outcome, or by the kernel when the engine's
container dies. This module imports the standard library alone, so that waiting takes a few megabytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_ENGINE = "engine"


@dataclass(frozen=True)
class Outcome:
    """How a container is to end."""

    exit_code: int
    message: str
    """Its termination message."""


class OutcomeWriter:
    """The engine's side. A context manager; whatever has no outcome at its end counts as lost."""

    def __init__(self, folder: Path, keys: Iterable[str]) -> None:
        """Open a pipe for each key. Raises OSError."""
        self._folder = folder
        # Opened for both directions, a pipe needs no reader, and a container may begin to wait late.
        self._pipes = {key: os.open(_pipe(folder, key), os.O_RDWR | os.O_NONBLOCK) for key in keys}
        (folder / _ENGINE).touch()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in self._pipes.values():
            os.close(pipe)
        self._pipes.clear()

    def begin(self, key: str) -> None:
        """Record that the evaluation begins."""
        (self._folder / f"{key}.begun").touch()

    def end(self, key: str, outcome: Outcome) -> None:
        """Hand over the outcome; only the first one of a key counts."""
        pipe = self._pipes.pop(key, None)
        if pipe is None:
            return
        path = self._folder / f"{key}.outcome"
        part = path.with_suffix(".part")
        part.write_text(f"{outcome.exit_code}\n{outcome.message}")
        part.replace(path)
        os.close(pipe)


def wait_for_outcome(folder: Path, key: str, *, lost: int, not_begun: int) -> Outcome:
    """Wait until the outcome of `key` is there, or until the engine's container has ended without one.

    `lost` and `not_begun` are the exit codes for the latter: in the middle of the evaluation, and before it began.
    """
    reader = os.open(_pipe(folder, key), os.O_RDONLY | os.O_NONBLOCK)
    try:
        found = _read(folder, key)
        if found is None and not ((folder / _ENGINE).exists() and _is_closed(reader)):
            poll = select.poll()
            poll.register(reader, select.POLLIN)
            poll.poll()
        found = found or _read(folder, key)
    finally:
        os.close(reader)
    if found is not None:
        return found
    if (folder / f"{key}.begun").exists():
        return Outcome(lost, "")
    text = "the Job of its pack ended before the turn of this model"
    return Outcome(not_begun, json.dumps({"reason": "PackEnded", "message": text}))


def _pipe(folder: Path, key: str) -> Path:
    path = folder / f"{key}.pipe"
    with contextlib.suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    return path


def _is_closed(reader: int) -> bool:
    """Whether no process holds the pipe open for writing. Nothing is ever written into it."""
    try:
        return os.read(reader, 1) == b""
    except BlockingIOError:
        return False


def _read(folder: Path, key: str) -> Outcome | None:
    try:
        code, _, message = (folder / f"{key}.outcome").read_text().partition("\n")
    except FileNotFoundError:
        return None
    return Outcome(int(code), message)
