"""Source `jsonl`: a file of rows, from a ConfigMap, a volume or the web.

It is JSON Lines unless its name says otherwise: `.json` (an array), `.csv`, `.tsv`, `.parquet`, any of the first four
with `.gz`. A local file of tasks is read as a whole, and an error in it is reported with file, line and field. Other
rows are read one at a time.
"""

from __future__ import annotations

import difflib
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from bitagent_crds.task_set import Task
from bitagent_crds.tasks import JsonlSource, RowFormat, UrlFile
from bitagent_crds.texts import DIGEST_PREFIX
from bitagent_evaluator.support.files import digest_of_pieces, hash_pieces, hex_digits, read_pieces
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
from bitagent_evaluator.tasks.sources.text_files import in_utf8

_LINE_FORMATS = frozenset({"jsonl", "ndjson"})
MAX_DOWNLOAD_BYTES = 1 << 34
"""Largest file on the web that is read."""
_LISTED = 10_000
"""Number of files of a folder that are looked at."""
_ABOUT_DATA = re.compile(r"(?:^|/)(?:\.|(?:dataset_infos?|state)\.json$)")
"""Files beside the data that `datasets` writes, and hidden ones."""
_DIGITS = 8
"""Digits of the file's digest in the ids of its rows."""


class JsonlTasks:
    """Reads the lines of one file."""

    name = "jsonl"

    def __init__(self, source: JsonlSource, inputs: SourceInputs) -> None:
        self.parameters = manifest_parameters(source)
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
        prefix = f"{self.name}-{hex_digits(self.version, _DIGITS)}"
        self._reader = ROW_READERS[source.rows](Origin(self.name, prefix), source.columns)

    def tasks(self) -> Iterable[Task]:
        """Return a list of the tasks of a local file of tasks, else an iterator.

        Raises TaskSetError if the file is malformed, FetchError if it cannot be read.
        """
        if self._rows is RowFormat.TASK and isinstance(self._lines, _FileLines):
            return self._read_all()
        return read_rows(
            self._numbered_rows(), self._reader, what=self._lines.what, skipped=self.skipped, unit=self._unit
        )

    @property
    def _unit(self) -> str:
        """What a row's number counts."""
        return "row" if suffix_of(self._lines.what) in FILE_FORMATS.keys() - _LINE_FORMATS else "line"

    def _read_all(self) -> list[Task]:
        tasks: dict[str, Task] = {}
        lines: dict[str, str] = {}
        for number, row in self._numbered_rows():
            try:
                task = self._reader.read(row, number)
                if task.id in tasks:
                    raise RowError("id", f"{task.id!r} is also the id of {self._unit} {lines[task.id]}")
            except RowError as error:
                likely = likely_format(row)
                hint = f". Is `rows` the right format?{likely}" if likely else ""
                raise TaskSetError(f"{self._lines.what}, {self._unit} {number}: {error}{hint}") from error
            tasks[task.id], lines[task.id] = task, number
        return list(tasks.values())

    def _numbered_rows(self) -> Iterator[Row]:
        what = self._lines.what
        try:
            if self._unit == "row":
                for place, row in enumerate(read_file_rows(what, self._lines), 1):
                    yield str(place), row
                return
            for line_number, line in split_lines(in_utf8(decompressed(what, self._lines).stream())):
                try:
                    yield str(line_number), parse_object(line)
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


def _what_to_name(path: Path) -> str:
    """Return what to do about a path without a file: a folder, a pattern, an address, a mistyped name."""
    if path.is_dir():
        found = itertools.islice((file for pattern in ("*", "*/*", "*/*/*") for file in path.glob(pattern)), _LISTED)
        names = (file.relative_to(path).as_posix() for file in found)
        inside = sorted(name for name in names if suffix_of(name) in FILE_FORMATS and not _ABOUT_DATA.search(name))
        several = f"; there are {len(inside)}, such as {inside[0]}" if inside else "; it has none that is read"
        return f": name its data files one by one, each as a source of its own{several}"
    if "*" in path.name:
        return ": patterns are not resolved, name the files one by one"
    if path.parts[0].endswith(":"):
        return ": an address is given as `url` with the file's digest (--url and --digest)"
    near = difflib.get_close_matches(
        path.name, [file.name for file in path.parent.glob("*")][:_LISTED], n=1, cutoff=0.75
    )
    if near:
        return f": did you mean {near[0]}?"
    is_repository = len(path.parts) == 2 and not path.suffix and not path.parent.exists()
    return ": a dataset of the hub is a source of its own (--hub)" if is_repository else ""


class _FileLines:
    """A local file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.what = str(path)
        try:
            self.digest = digest_of_pieces(read_pieces(path))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
            raise TaskSetError(f"{path}: {error.strerror}{_what_to_name(path)}") from error

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self._path.stat().st_size

    def stream(self) -> Iterator[bytes]:
        """Yield its content."""
        return read_pieces(self._path)

    def part(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` up to, not including, `end`."""
        with self._path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)


class _UrlLines:
    """A file on the web, with the digest that the spec pins."""

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
