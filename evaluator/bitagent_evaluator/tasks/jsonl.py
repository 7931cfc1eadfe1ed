"""Source `jsonl`: a JSON Lines file, from a ConfigMap, a volume or the web.

A file of tasks is read whole, and every mistake in it is reported with file, line and field. Other rows pass by one at a time.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from bitagent_crds.results import Task
from bitagent_crds.sources import JsonlSource, Rows, UrlFile
from bitagent_evaluator.tasks.data.file_format import MAX_ROW_BYTES
from bitagent_evaluator.tasks.data.lines import lines_of, object_of
from bitagent_evaluator.tasks.data.web import WebFile
from bitagent_evaluator.tasks.errors import TaskSetError
from bitagent_evaluator.tasks.reading import Row, read_rows
from bitagent_evaluator.tasks.rows.reader import Origin, RowError, row_reader
from bitagent_evaluator.tasks.source import Inputs, parameters_of

MAX_LINE_BYTES = MAX_ROW_BYTES
MAX_DOWNLOAD_BYTES = 1 << 34
_PIECE = 1 << 18
_DIGITS = 8
"""Digits of the file's digest in the ids of its rows."""


class JsonlTasks:
    """The lines of one file."""

    name = "jsonl"

    def __init__(self, source: JsonlSource, inputs: Inputs) -> None:
        self.parameters = parameters_of(source)
        self.skipped: Counter[str] = Counter()
        self._rows = source.rows
        self._lines: _FileLines | _UrlLines
        if source.url is not None:
            self._lines = _UrlLines(source.url)
        elif inputs.file is not None:
            self._lines = _FileLines(inputs.file)
        else:
            raise TaskSetError("its file was not given")
        self.version = self._lines.digest
        prefix = f"{self.name}-{self.version.removeprefix('sha256:')[:_DIGITS]}"
        self._reader = row_reader(source.rows, source.columns, Origin(self.name, prefix))

    def tasks(self) -> Iterable[Task]:
        """The tasks of the file: a list of those of a file of tasks, else one after the other. Raises TaskSetError and InfrastructureFault."""
        if self._rows is Rows.TASK and isinstance(self._lines, _FileLines):
            return self._all()
        return read_rows(self._numbered(), self._reader, what=self._lines.what, skipped=self.skipped, unit="line")

    def _all(self) -> list[Task]:
        tasks: dict[str, Task] = {}
        lines: dict[str, str] = {}
        for number, row in self._numbered():
            try:
                task = self._reader.read(row, number)
                if task.id in tasks:
                    raise RowError("id", f"{task.id!r} is also the id of line {lines[task.id]}")
            except RowError as error:
                raise TaskSetError(f"{self._lines.what}, line {number}: {error}") from error
            tasks[task.id], lines[task.id] = task, number
        return list(tasks.values())

    def _numbered(self) -> Iterator[Row]:
        try:
            for number, line in lines_of(self._lines.pieces()):
                try:
                    yield str(number), object_of(line)
                except ValueError as error:
                    raise TaskSetError(f"{self._lines.what}, line {number}: {error}") from error
        except ValueError as error:
            raise TaskSetError(f"{self._lines.what}, {error}") from error


class _FileLines:
    """A file that is here."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.what = str(path)
        try:
            with path.open("rb") as content:
                self.digest = f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
            raise TaskSetError(f"{path}: {error.strerror}") from error

    def pieces(self) -> Iterator[bytes]:
        """Its content."""
        with self._path.open("rb") as content:
            yield from iter(lambda: content.read(_PIECE), b"")


class _UrlLines:
    """A file on the web that must have the digest of the spec."""

    def __init__(self, file: UrlFile) -> None:
        self.what = file.url
        self.digest = file.digest
        self._web = WebFile.named(file.url, file.url, max_bytes=MAX_DOWNLOAD_BYTES)

    def pieces(self) -> Iterator[bytes]:
        """Its content; at its end, TaskSetError where that is not the pinned one. Until then nothing of it is more than a candidate."""
        digest = hashlib.sha256()
        for piece in self._web.stream():
            digest.update(piece)
            yield piece
        if (found := f"sha256:{digest.hexdigest()}") != self.digest:
            raise TaskSetError(f"{self.what} was changed: its digest is {found}, the spec pins {self.digest}")
