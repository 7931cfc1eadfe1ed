"""Source `stream`: the newest samples of a growing file or of a Weights & Biases project.

The last lines of a file are read by ranges from its end if the server supports ranges, so that the cost of a round
does not grow with the stream; else the whole file is streamed and the last lines are kept. A last line that is
incomplete is still being written and is left for the next round.

What is newest depends on the time, so a later build has other tasks; those of a round are recorded in its task set. A
sample's id is the digest of its content: a sample is the same task whenever it is read, and counts once. Of samples
with an id of their own, the newest one of each id counts.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

from bitagent_crds.task_set import Task
from bitagent_crds.tasks import StreamSource
from bitagent_crds.texts import digest_of
from bitagent_evaluator.support.http_resource import HttpResource
from bitagent_evaluator.tasks.files import TaskSetError
from bitagent_evaluator.tasks.rows.base import Origin, RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.columns import column_value, columns_by_role
from bitagent_evaluator.tasks.rows.convert import ROW_READERS, read_rows
from bitagent_evaluator.tasks.sources.base import SourceInputs, manifest_parameters, open_address
from bitagent_evaluator.tasks.sources.file_formats import parse_object, split_lines
from bitagent_evaluator.tasks.sources.wandb import WandbProject

_log = logging.getLogger(__name__)

FIRST_BYTES = 1 << 18
"""Bytes read from the end of a file at first; each further read doubles what is there."""
MAX_BYTES = 1 << 28
"""Most bytes kept for one stream."""
_MAX_STREAM_BYTES = 1 << 36
"""Largest file that is streamed where the server has no ranges."""
_DIGITS = 24
"""Digits of a sample's digest in its id."""


def newest_lines(file: HttpResource, count: int) -> list[bytes]:
    """Return up to `count` lines that are not blank, the newest first.

    Raises TaskSetError if they are more than MAX_BYTES, FetchError if the file cannot be read.
    """
    end = file.read_tail(FIRST_BYTES)
    if end is None:
        return _newest_by_streaming(file, count)
    content, start = end.content, end.start
    while start > 0 and _lines_in(content) <= count + 1:  # one may be cut at the front, one at the back
        if len(content) > MAX_BYTES:
            raise _too_large(file, count)
        earlier = max(0, start - len(content))
        content, start = file.read(earlier, start) + content, earlier
    lines = content.split(b"\n")
    found = [line for line in (lines[1:] if start > 0 else lines) if line.strip()]
    if found and not _is_whole(lines[-1]):
        found.pop()
    return found[::-1][:count]


def _lines_in(content: bytes) -> int:
    return sum(1 for line in content.split(b"\n") if line.strip())


def _is_whole(last: bytes) -> bool:
    """Return whether the text after the last line break is blank, or a complete sample."""
    if not last.strip():
        return True
    try:
        parse_object(last)
    except ValueError:
        return False
    return True


def _newest_by_streaming(file: HttpResource, count: int) -> list[bytes]:
    kept: deque[bytes] = deque()
    held = 0
    try:
        for _, line in split_lines(file.stream()):
            kept.append(line)
            held += len(line)
            if len(kept) > count + 1:  # one more, since the last may be incomplete
                held -= len(kept.popleft())
            if held > MAX_BYTES:
                raise _too_large(file, count)
    except ValueError as error:
        raise TaskSetError(f"{file.what}, {error}") from error
    if kept and not _is_whole(kept[-1]):
        kept.pop()
    return list(kept)[::-1][:count]


def _too_large(file: HttpResource, count: int) -> TaskSetError:
    return TaskSetError(f"the newest {count} lines of {file.what} are more than {MAX_BYTES} bytes: lower newest")


class StreamTasks:
    """Reads the newest samples, newest first."""

    name = "stream"

    def __init__(self, source: StreamSource, inputs: SourceInputs) -> None:
        if (source.url is None) == (source.wandb is None):
            raise TaskSetError("exactly one of url and wandb must be set")
        self.parameters = manifest_parameters(source)
        self.version = ""
        self.skipped: Counter[str] = Counter()
        self._source = source
        self._reader = ROW_READERS[source.rows](Origin(self.name, self.name), source.columns)
        self._origin = (
            WandbProject(source.wandb, key=inputs.key)
            if source.wandb is not None
            else open_address(str(source.url), str(source.url), max_bytes=_MAX_STREAM_BYTES)
        )

    def tasks(self) -> list[Task]:
        """Return the tasks; `version` is then the digest of the samples read.

        Raises TaskSetError if there are none or too large ones, FetchError if the stream cannot be read.
        """
        samples: dict[str, dict[str, Any]] = {}
        for sample in self._newest():
            samples.setdefault(_digest(sample), sample)
        self.version = digest_of("\n".join(samples).encode())
        if not samples and self._source.wandb is not None and self._source.columns is not None:
            names = ", ".join(columns_by_role(self._source.columns).values())
            raise TaskSetError(f"{self._what} has no rows with {names}: check entity, project and columns")
        rows = ((digest[:_DIGITS], sample) for digest, sample in samples.items())
        tasks: dict[str, Task] = {}
        for task in read_rows(rows, self._reader, what=self._what, skipped=self.skipped, unit="sample"):
            if tasks.setdefault(task.id, task) is not task:
                self.skipped[RowSkipReason.REPEATED] += 1
        return list(tasks.values())

    @property
    def _what(self) -> str:
        wandb = self._source.wandb
        return str(self._source.url) if wandb is None else f"{wandb.entity}/{wandb.project}"

    def _newest(self) -> Iterator[dict[str, Any]]:
        if isinstance(self._origin, WandbProject):
            yield from self._origin.newest(self._source.newest, is_sample=self._is_sample)
            return
        broken = 0
        for line in newest_lines(self._origin, self._source.newest):
            try:
                yield parse_object(line)
            except ValueError:
                broken += 1
        if broken:
            _log.warning("%s: %d lines are not JSON objects and were skipped", self._what, broken)

    def _is_sample(self, row: dict[str, Any]) -> bool:
        """Return whether a history row of a run has the named columns: runs log metrics between samples."""
        if self._source.columns is None:
            return True
        try:
            return all(column_value(row, path) is not None for path in columns_by_role(self._source.columns).values())
        except RowSkipped:
            return False


def _digest(sample: dict[str, Any]) -> str:
    text = json.dumps(sample, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
