"""The answers of language models beside a task set: `rewrites.jsonl`.

    {"key": SHA-256 of everything that was asked, "text": the answer}
    {"key": ..., "text": ..., "cut_off": true}      the token limit ended it
    {"key": ..., "failed": "timed_out"}             there was none

While a build goes on, answers are appended as they come, and a build that was killed takes them over. When it is done the file is written
anew: what this build used, in the order of the keys, failures too. So a build that is given the file asks nobody and comes to the same bytes.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from bitagent_evaluator.progress import Pace
from bitagent_evaluator.runs.files import digest_of, write_atomically

REWRITES = "rewrites.jsonl"
_SYNC_SECONDS = 2.0


@dataclass(frozen=True)
class Answer:
    """What came of one request."""

    text: str | None
    """None when it failed."""
    cut_off: bool = False
    failed: str = ""
    """Kind of failure."""


class KeptAnswers:
    """Answers by what was asked. A context manager while it appends to a file; without a file it remembers."""

    def __init__(self, directory: Path | None = None, *, taken_over: Path | None = None) -> None:
        """`directory` gets the file and may have one of an earlier attempt; `taken_over` is another build's. Raises OSError, ValueError."""
        self._path = directory / REWRITES if directory is not None else None
        self._answers = dict(_read(self._path)) if self._path is not None and self._path.exists() else {}
        if taken_over is not None:
            self._answers |= _read(taken_over, strict=True)
        self._used: set[str] = set()
        self._sink: IO[bytes] | None = None
        self._pace = Pace(_SYNC_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def get(self, key: str) -> Answer | None:
        """The answer, if it is known."""
        self._used.add(key)
        return self._answers.get(key)

    def add(self, key: str, answer: Answer) -> None:
        """Keep an answer. A failure is only remembered: an attempt that takes over from this one asks again."""
        self._used.add(key)
        self._answers[key] = answer
        if self._path is None or answer.text is None:
            return
        if self._sink is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            torn = self._path.exists() and not (b"\n" + self._path.read_bytes()).endswith(b"\n")
            self._sink = self._path.open("ab")
            self._sink.write(b"\n" if torn else b"")
        self._sink.write(_line(key, answer))
        self._sink.flush()
        if self._pace.due():
            os.fsync(self._sink.fileno())

    def write(self) -> dict[str, str]:
        """Write what was used; the file's name and digest, or nothing when nothing was used."""
        self._close()
        used = sorted(key for key in self._used if key in self._answers)
        if self._path is None or not used:
            return {}
        content = b"".join(_line(key, self._answers[key]) for key in used)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, content)
        return {REWRITES: digest_of(content)}

    def _close(self) -> None:
        if self._sink is not None:
            self._sink.flush()
            os.fsync(self._sink.fileno())
            self._sink.close()
            self._sink = None


def _line(key: str, answer: Answer) -> bytes:
    content: dict[str, Any] = {"key": key}
    if answer.text is None:
        content["failed"] = answer.failed
    else:
        content |= {"text": answer.text} | ({"cut_off": True} if answer.cut_off else {})
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def _read(path: Path, *, strict: bool = False) -> dict[str, Answer]:
    """The answers of a file. A line that is none, such as one torn by a kill, is left out, or with `strict` a ValueError that names it."""
    answers: dict[str, Answer] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        entry = _entry(line)
        if entry is not None:
            answers[entry[0]] = entry[1]
        elif strict:
            raise ValueError(f"{path}, line {number}: no answer of a rewriter")
    return answers


def _entry(line: bytes) -> tuple[str, Answer] | None:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not isinstance(key := content.get("key"), str):
        return None
    text, failed = content.get("text"), content.get("failed")
    if isinstance(text, str):
        return key, Answer(text, cut_off=content.get("cut_off") is True)
    return (key, Answer(None, failed=failed)) if isinstance(failed, str) else None
