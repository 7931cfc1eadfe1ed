"""Source `jsonl`: a file of rows, from a ConfigMap, a volume or the web, or the files of a local folder as one.

A file is JSON Lines unless its name says otherwise: `.json` (an array), `.csv`, `.tsv`, `.parquet`, any of the first
four with `.gz`. Local files of tasks are read as a whole, and an error is reported with file, line and field. Other
rows are read one at a time.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from bitagent_crds.task_set import Task
from bitagent_crds.tasks import JsonlSource, RowFormat, UrlFile
from bitagent_crds.texts import DIGEST_PREFIX
from bitagent_evaluator.support.files import hash_pieces, hex_digits
from bitagent_evaluator.tasks.files import TaskSetError
from bitagent_evaluator.tasks.rows.base import Origin, Row, RowError
from bitagent_evaluator.tasks.rows.convert import ROW_READERS, likely_format, read_rows
from bitagent_evaluator.tasks.sources.base import SourceInputs, manifest_parameters, open_address
from bitagent_evaluator.tasks.sources.file_formats import (
    FILE_FORMATS,
    decompressed,
    parse_object,
    read_file_rows,
    split_lines,
    suffix_of,
)
from bitagent_evaluator.tasks.sources.local_files import LocalFile, local_files
from bitagent_evaluator.tasks.sources.text_files import in_utf8

_LINE_FORMATS = frozenset({"jsonl", "ndjson"})
MAX_DOWNLOAD_BYTES = 1 << 34
"""Largest file on the web that is read."""
_DIGITS = 8
"""Digits of the file's digest in the ids of its rows."""


class JsonlTasks:
    """Reads the rows of one file, or of those of a folder."""

    name = "jsonl"

    def __init__(self, source: JsonlSource, inputs: SourceInputs) -> None:
        self.parameters = manifest_parameters(source)
        self.skipped: Counter[str] = Counter()
        self._rows = source.rows
        self._files: Sequence[LocalFile | _UrlLines]
        if source.url is not None:
            web = _UrlLines(source.url)
            self._files, self._what, self.version = [web], web.what, web.digest
        elif inputs.file is not None:
            found = local_files(inputs.file)
            self._files, self._what, self.version = found.files, str(inputs.file), found.digest
        else:
            raise TaskSetError("its file was not given")
        prefix = f"{self.name}-{hex_digits(self.version, _DIGITS)}"
        self._reader = ROW_READERS[source.rows](Origin(self.name, prefix), source.columns)

    def tasks(self) -> Iterable[Task]:
        """Return a list of the tasks of local files of tasks, else an iterator.

        Raises TaskSetError if a file is malformed, FetchError if it cannot be read.
        """
        rows = (row for file in self._files for row in _numbered_rows(file))
        unit = _unit(self._files[0].what)
        if self._rows is RowFormat.TASK and isinstance(self._files[0], LocalFile):
            return self._read_all(rows, unit)
        return read_rows(rows, self._reader, what=self._what, skipped=self.skipped, unit=unit)

    def _read_all(self, rows: Iterable[Row], unit: str) -> list[Task]:
        tasks: dict[str, Task] = {}
        lines: dict[str, str] = {}
        for number, row in rows:
            try:
                task = self._reader.read(row, number)
                if task.id in tasks:
                    raise RowError("id", f"{task.id!r} is also the id of {unit} {lines[task.id]}")
            except RowError as error:
                likely = likely_format(row)
                hint = f". Is `rows` the right format?{likely}" if likely else ""
                raise TaskSetError(f"{self._what}, {unit} {number}: {error}{hint}") from error
            tasks[task.id], lines[task.id] = task, number
        return list(tasks.values())


def _unit(what: str) -> str:
    """Return what the number of a file's row counts."""
    return "row" if suffix_of(what) in FILE_FORMATS.keys() - _LINE_FORMATS else "line"


def _numbered_rows(file: LocalFile | _UrlLines) -> Iterator[Row]:
    """Yield the rows with their numbers, after the file's name in its folder. Raises TaskSetError."""
    what, before = file.what, f"{file.name}:" if file.name else ""
    try:
        if _unit(what) == "row":
            for place, row in enumerate(read_file_rows(what, file), 1):
                yield f"{before}{place}", row
            return
        for line_number, line in split_lines(in_utf8(decompressed(what, file).stream())):
            try:
                yield f"{before}{line_number}", parse_object(line)
            except ValueError as error:
                hint = _hint(line, line_number) or _unknown_ending(what, line_number)
                raise TaskSetError(f"{what}, line {line_number}: {error}{hint}") from error
    except ValueError as error:
        raise TaskSetError(f"{what}, {error}") from error


def _unknown_ending(what: str, number: int) -> str:
    """Return what is made of a name with an ending that says nothing; empty beyond the first line."""
    if number != 1 or suffix_of(what) in FILE_FORMATS:
        return ""
    return f"; its name does not end in {', '.join(sorted(FILE_FORMATS))}, so that it is read as JSON Lines"


def _hint(line: bytes, number: int) -> str:
    """Return what the file seems to be instead of JSON Lines; empty if nothing is recognised."""
    if number != 1:
        return ""
    if _is_list(line):
        return "; a row is an object with names, not a list: write {name: value, ...} on each line"
    if line.strip() in (b"[", b"{") or line.lstrip().startswith(b"["):
        return "; this is JSON, but not an object a line: let its name end in .json"
    if line.rstrip().endswith(b"},"):
        return "; there is a comma between objects: let its name end in .json"
    if b"}\r{" in line:
        return "; lines end as on an old Mac: save it with line feeds"
    if line.startswith((b"{'", b"[{'")):
        return "; this is Python's notation: write each row with json.dumps"
    if line.lstrip().startswith((b"//", b"#", b"/*")):
        return "; JSON has no comments: leave the line out"
    if not line.lstrip().startswith((b"{", b"[", b'"')) and any(sign in line for sign in (b",", b";", b"\t")):
        return "; this looks like a line of CSV: let its name end in .csv"
    return ""


def _is_list(line: bytes) -> bool:
    """Whether a line is a whole list of something else than objects alone."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, list) and bool(value) and not all(isinstance(item, dict) for item in value)


class _UrlLines:
    """A file on the web, with the digest that the spec pins."""

    name = ""

    def __init__(self, file: UrlFile) -> None:
        self.what = file.url
        self.digest = file.digest
        self._web = open_address(file.url, file.url, max_bytes=MAX_DOWNLOAD_BYTES)

    @property
    def size(self) -> int:
        """Not known: the file is read from its beginning, while its digest is checked. Raises ValueError."""
        raise ValueError("a file of this format cannot be read from the web: put it into a volume or a dataset")

    def part(self, start: int, end: int) -> bytes:
        """Raise ValueError, as `size` does."""
        raise ValueError("a file of this format cannot be read from the web: put it into a volume or a dataset")

    def stream(self) -> Iterator[bytes]:
        """Yield its content. Raises TaskSetError at the end if its digest is not the pinned one."""
        digest = hash_pieces(())
        for piece in self._web.stream():
            digest.update(piece)
            yield piece
        if (found := DIGEST_PREFIX + digest.hexdigest()) != self.digest:
            raise TaskSetError(f"{self.what} was changed: its digest is {found}, the spec pins {self.digest}")
