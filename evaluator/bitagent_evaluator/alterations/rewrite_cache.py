"""On-disk cache of rewriter responses (`rewrites.jsonl`), which makes a build repeatable.

    {"key": SHA-256 of the whole request, "text": the response}
    {"key": ..., "text": ..., "cut_off": true}      the token limit ended it
    {"key": ..., "failed": "timed_out"}             the request failed

During a build responses are appended as they arrive, so that a build that was killed can be continued. At its end the
file is replaced by the responses that the build used, ordered by key, failed requests included. A later build with
this file makes no request and writes the same bytes.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from bitagent_crds.texts import digest_of
from bitagent_evaluator.support.files import write_atomically
from bitagent_evaluator.support.progress import Pace

REWRITES = "rewrites.jsonl"
_SYNC_SECONDS = 2.0


@dataclass(frozen=True)
class CachedResponse:
    """The outcome of one request."""

    text: str | None
    """None if the request failed."""
    cut_off: bool = False
    failure: str = ""
    """Kind of failure; empty if there is none."""


class RewriteCache:
    """Responses by request key. With a directory, a context manager that closes its file; else in memory only."""

    def __init__(self, directory: Path | None = None, *, reuse: Path | None = None) -> None:
        """Read the file that `directory` has from an earlier attempt, and `reuse`, the file of another build.

        Raises OSError if a file cannot be read, ValueError if a line of `reuse` is not a response.
        """
        self._path = directory / REWRITES if directory is not None else None
        self._responses = dict(_read(self._path)) if self._path is not None and self._path.exists() else {}
        if reuse is not None:
            self._responses |= _read(reuse, strict=True)
        self._used: set[str] = set()
        self._sink: IO[bytes] | None = None
        self._pace = Pace(_SYNC_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def get(self, key: str) -> CachedResponse | None:
        """Return the response to a request, or None if it is not cached."""
        self._used.add(key)
        return self._responses.get(key)

    def add(self, key: str, response: CachedResponse) -> None:
        """Cache a response. A failure is not written before the end: a continued build repeats the request."""
        self._used.add(key)
        self._responses[key] = response
        if self._path is None or response.text is None:
            return
        if self._sink is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            torn = self._path.exists() and not (b"\n" + self._path.read_bytes()).endswith(b"\n")
            self._sink = self._path.open("ab")
            self._sink.write(b"\n" if torn else b"")
        self._sink.write(_line(key, response))
        self._sink.flush()
        if self._pace.due():
            os.fsync(self._sink.fileno())

    def write(self) -> dict[str, str]:
        """Write the responses used by this build; return the file's digest by its name, {} if none was used."""
        self._close()
        used = sorted(key for key in self._used if key in self._responses)
        if self._path is None or not used:
            return {}
        content = b"".join(_line(key, self._responses[key]) for key in used)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, content)
        return {REWRITES: digest_of(content)}

    def _close(self) -> None:
        if self._sink is not None:
            self._sink.flush()
            os.fsync(self._sink.fileno())
            self._sink.close()
            self._sink = None


def _line(key: str, response: CachedResponse) -> bytes:
    content: dict[str, Any] = {"key": key}
    if response.text is None:
        content["failed"] = response.failure
    else:
        content |= {"text": response.text} | ({"cut_off": True} if response.cut_off else {})
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def _read(path: Path, *, strict: bool = False) -> dict[str, CachedResponse]:
    """Return the responses in a file, without lines that are none, such as the last line of a build that was killed.

    With `strict` raises ValueError at such a line.
    """
    responses: dict[str, CachedResponse] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        entry = _entry(line)
        if entry is not None:
            responses[entry[0]] = entry[1]
        elif strict:
            raise ValueError(f"{path}, line {number}: not a rewriter's response")
    return responses


def _entry(line: bytes) -> tuple[str, CachedResponse] | None:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not isinstance(key := content.get("key"), str):
        return None
    text, failed = content.get("text"), content.get("failed")
    if isinstance(text, str):
        return key, CachedResponse(text, cut_off=content.get("cut_off") is True)
    return (key, CachedResponse(None, failure=failed)) if isinstance(failed, str) else None
