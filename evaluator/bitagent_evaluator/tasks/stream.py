"""Source `stream`: the newest samples of something that keeps growing.

What is newest depends on when one looks, so a later build has other tasks; those that a round was asked are in its task set. A sample's id is the
digest of its content: the same sample is the same task whenever it is read, and counts once. Of samples that bring ids of their own the newest
one of an id counts.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

from bitagent_crds.results import Task
from bitagent_crds.sources import StreamSource
from bitagent_evaluator.tasks.data.lines import object_of
from bitagent_evaluator.tasks.data.tail import newest_lines
from bitagent_evaluator.tasks.data.wandb import WandbProject
from bitagent_evaluator.tasks.data.web import WebFile
from bitagent_evaluator.tasks.errors import TaskSetError
from bitagent_evaluator.tasks.reading import read_rows
from bitagent_evaluator.tasks.rows.columns import column, named
from bitagent_evaluator.tasks.rows.reader import Origin, Reason, RowSkipped, row_reader
from bitagent_evaluator.tasks.source import Inputs, parameters_of

_log = logging.getLogger(__name__)

_MAX_STREAM_BYTES = 1 << 36
_DIGITS = 24
"""Digits of a sample's digest in its id."""


class StreamTasks:
    """The newest samples, newest first."""

    name = "stream"

    def __init__(self, source: StreamSource, inputs: Inputs) -> None:
        if (source.url is None) == (source.wandb is None):
            raise TaskSetError("exactly one of url and wandb must be set")
        self.parameters = parameters_of(source)
        self.version = ""
        self.skipped: Counter[str] = Counter()
        self._source = source
        self._reader = row_reader(source.rows, source.columns, Origin(self.name, self.name))
        self._origin = (
            WandbProject(source.wandb, key=inputs.key)
            if source.wandb is not None
            else WebFile.named(str(source.url), str(source.url), max_bytes=_MAX_STREAM_BYTES)
        )

    def tasks(self) -> list[Task]:
        """The tasks; `version` is then the digest of the samples that were read. Raises TaskSetError and InfrastructureFault."""
        samples: dict[str, dict[str, Any]] = {}
        for sample in self._newest():
            samples.setdefault(_digest(sample), sample)
        self.version = "sha256:" + hashlib.sha256("\n".join(samples).encode()).hexdigest()
        if not samples and self._source.wandb is not None and self._source.columns is not None:
            names = ", ".join(named(self._source.columns).values())
            raise TaskSetError(f"{self._what} has no rows with {names}: check entity, project and columns")
        rows = ((digest[:_DIGITS], sample) for digest, sample in samples.items())
        tasks: dict[str, Task] = {}
        for task in read_rows(rows, self._reader, what=self._what, skipped=self.skipped, unit="sample"):
            if tasks.setdefault(task.id, task) is not task:
                self.skipped[Reason.REPEATED] += 1
        return list(tasks.values())

    @property
    def _what(self) -> str:
        wandb = self._source.wandb
        return str(self._source.url) if wandb is None else f"{wandb.entity}/{wandb.project}"

    def _newest(self) -> Iterator[dict[str, Any]]:
        if isinstance(self._origin, WandbProject):
            yield from self._origin.newest(self._source.newest, wanted=self._has_columns)
            return
        broken = 0
        for line in newest_lines(self._origin, self._source.newest):
            try:
                yield object_of(line)
            except ValueError:
                broken += 1
        if broken:
            _log.warning("%s: %d lines are no JSON objects and were left out", self._what, broken)

    def _has_columns(self, row: dict[str, Any]) -> bool:
        """Whether a row is a sample: runs log much else between."""
        if self._source.columns is None:
            return True
        try:
            return all(column(row, path) is not None for path in named(self._source.columns).values())
        except RowSkipped:
            return False


def _digest(sample: dict[str, Any]) -> str:
    text = json.dumps(sample, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
