"""Read rows of data files, one at a time: JSON Lines and JSON arrays, CSV and TSV with a header line, Parquet.

A file's format is the last part of its name (`FILE_FORMATS`), before `.gz` if it is compressed. Text is UTF-8, or what
a byte-order mark says. Rows and lines are numbered from 1 in errors.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Protocol

from bitagent_evaluator.tasks.sources.text_files import check_is_text, not_unicode, text_of

MAX_ROW_BYTES = 1 << 20
"""Longest row, in bytes of a line, or in characters of JSON or CSV."""

_COMPRESSED = ".gz"
_GZIP = 16 + zlib.MAX_WBITS
_GZIP_MARK = b"\x1f\x8b"
_BETWEEN_OBJECTS = " \t\r\n,"
_ROWS_PER_BATCH = 64
_BATCH_BYTES = 8 << 20
_PARQUET = b"PAR1"
_SHOWN_AROUND = 20
"""Characters before and after a mistake that are shown."""
_SHOWN_BYTES = 64
"""Beginning of a file that tells its kind."""
_READ_AHEAD = 1 << 20
"""Least number of bytes fetched with one request, for Parquet."""


class DataFile(Protocol):
    """One file of data."""

    @property
    def size(self) -> int:
        """Its size in bytes."""
        ...

    def stream(self) -> Iterator[bytes]:
        """Yield all of it."""
        ...

    def part(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` up to, not including, `end`."""
        ...


def suffix_of(path: str) -> str:
    """Return the last part of a file's name in lower case, without `.gz`; empty if there is none."""
    name = PurePosixPath(path)
    if name.suffix.lower() == _COMPRESSED:
        name = name.with_suffix("")
    return name.suffix.removeprefix(".").lower()


def decompressed(path: str, file: DataFile) -> DataFile:
    """Return the file, decompressed if its name ends in `.gz`."""
    return _Gzip(file) if path.lower().endswith(_COMPRESSED) else file


@dataclass(frozen=True)
class _Gzip:
    """A compressed file, which can only be read from its beginning."""

    file: DataFile

    @property
    def size(self) -> int:
        raise ValueError("a compressed file of this format cannot be read: decompress it")

    def stream(self) -> Iterator[bytes]:
        inflate, is_open = zlib.decompressobj(wbits=_GZIP), False
        try:
            first = True
            for piece in self.file.stream():
                while piece:
                    inflated = inflate.decompress(piece, _READ_AHEAD)
                    if first and inflated.startswith(_GZIP_MARK):
                        raise ValueError("compressed twice: decompress it once")
                    first = first and not inflated
                    yield inflated
                    piece, is_open = inflate.unconsumed_tail, not inflate.eof
                    if inflate.eof:
                        piece, inflate = inflate.unused_data, zlib.decompressobj(wbits=_GZIP)
        except zlib.error as error:
            raise ValueError(f"not gzip, though its name says so: {error}") from None
        if is_open:
            raise ValueError("the compressed file breaks off: fetch or write it again")

    def part(self, start: int, end: int) -> bytes:
        raise ValueError("a compressed file of this format cannot be read: decompress it")


def split_lines(pieces: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank with their numbers from 1. Raises ValueError at one above MAX_ROW_BYTES."""
    rest, number = b"", 0
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            number += 1
            yield from _line(line, number)
        if len(rest) > MAX_ROW_BYTES:
            break
    yield from _line(rest, number + 1)


def _line(line: bytes, number: int) -> Iterator[tuple[int, bytes]]:
    if len(line) > MAX_ROW_BYTES:
        raise ValueError(f"line {number}: longer than {MAX_ROW_BYTES} bytes: leave out long columns, or the row")
    if line.strip():
        yield number, line


def parse_object(line: bytes) -> dict[str, Any]:
    """Return the JSON object of a line. Raises ValueError if it is not one."""
    try:
        data = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(not_unicode(error)) from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    except ValueError:  # Python's own words advise to raise a limit of the program
        raise ValueError("not JSON: a number has too many digits") from None
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")
    return data


def csv_rows(file: DataFile) -> Iterator[dict[str, Any]]:
    """Yield the rows of a CSV file; every value is a text. Raises ValueError if it is malformed.

    Columns are separated by what Excel's line `sep=;` before the header says, or else by whichever of `,`, `;`, `|` and
    tab the header line has most of, as spreadsheets export them.
    """
    lines = _lines(file)
    header = next(lines, "")
    if said := _SEPARATOR.fullmatch(header.strip("\r\n")):
        return _delimited_rows(lines, said[1])
    delimiter = max(_DELIMITERS, key=_outside_quotes(header).count)
    return _delimited_rows(itertools.chain([header], lines), delimiter)


def tsv_rows(file: DataFile) -> Iterator[dict[str, Any]]:
    """Yield the rows of a TSV file; every value is a text. Raises ValueError if it is malformed."""
    return _delimited_rows(_lines(file), "\t")


_DELIMITERS = ",;\t|"
_CSV_HINTS: Mapping[str, str] = MappingProxyType(
    {
        "new-line character": "; lines end as on an old Mac: save it with line feeds",
        "expected after": '; a quotation mark inside a field is written twice, ""',
        "unexpected end": "; a quotation mark is not closed, or the file breaks off",
    }
)
"""What to do about the mistakes that the reader of CSV names in its own words."""
_SEPARATOR = re.compile(r"\"?sep=([^\"])\"?")


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def _delimited_rows(lines: Iterable[str], delimiter: str) -> Iterator[dict[str, Any]]:
    # The reader's own limit is the module's, for all readers of a process; rows are limited by their lines too.
    csv.field_size_limit(MAX_ROW_BYTES)
    reader = csv.DictReader(lines, delimiter=delimiter, strict=True)
    try:
        names = [name for name in reader.fieldnames or () if name]
        if twice := next((name for at, name in enumerate(names) if name in names[:at]), None):
            raise ValueError(f"line 1: two columns are called {twice!r}: rename one of them")
        for row in reader:
            yield {name: value for name, value in row.items() if name is not None and value is not None}
    except csv.Error as error:
        hint = next((hint for words, hint in _CSV_HINTS.items() if words in str(error)), "")
        raise ValueError(f"line {max(reader.line_num, 1)}: not CSV: {error}{hint}") from error


def _lines(file: DataFile) -> Iterator[str]:
    """Yield lines with their line breaks, which the reader needs inside quotes."""
    rest = ""
    for text in text_of(file):
        *whole, rest = (rest + text).split("\n")
        yield from (line + "\n" for line in whole)
        if len(rest) > MAX_ROW_BYTES:
            raise ValueError(f"not CSV: a line is longer than {MAX_ROW_BYTES} characters")
    if rest:
        yield rest


def json_rows(file: DataFile) -> Iterator[dict[str, Any]]:
    """Yield the objects of JSON Lines, or of one array, of which one at a time is in memory.

    Raises ValueError at something else than an object, and at one of more than MAX_ROW_BYTES characters.
    """
    decoder = json.JSONDecoder()
    buffer, number, in_array = "", 0, False  # in_array: after its "[", before its "]"
    mistake = ""
    for more in text_of(file):
        buffer += more
        at = 0
        while True:
            at = _skip(buffer, at)
            if number == 0 and not in_array and buffer[at : at + 1] == "[":
                in_array, at = True, at + 1
                continue
            if in_array and buffer[at : at + 1] == "]":
                in_array, number, at = False, max(number, 1), at + 1
                continue
            if at == len(buffer):
                break
            if buffer[at] != "{":
                raise ValueError(f"row {number + 1}: not a JSON object: write {{name: value, ...}} for each row")
            mistake = ""
            try:
                row, end = decoder.raw_decode(buffer, at)
            except RecursionError:
                raise ValueError(f"row {number + 1}: nested too deeply") from None
            except ValueError as error:
                mistake = _near(error, buffer)
                if len(buffer) - at > MAX_ROW_BYTES:
                    raise ValueError(
                        f"row {number + 1}: not JSON, or longer than {MAX_ROW_BYTES} characters: {error}"
                    ) from None
                break  # its end has not arrived yet
            yield row
            number, at = number + 1, end
        buffer = buffer[at:]
    if in_array or buffer.strip(_BETWEEN_OBJECTS):
        raise ValueError(f"row {number + 1}: not JSON: {mistake or 'it breaks off, or is not closed'}")


def _near(error: ValueError, buffer: str) -> str:
    """Return what a reader of JSON says, with the text there; empty if the text ends there."""
    if not isinstance(error, json.JSONDecodeError) or error.pos >= len(buffer.rstrip()):
        return ""
    text = " ".join(buffer[max(0, error.pos - _SHOWN_AROUND) : error.pos + _SHOWN_AROUND].split())
    return f"{error.msg} near {text!r}"


def _skip(buffer: str, at: int) -> int:
    while at < len(buffer) and buffer[at] in _BETWEEN_OBJECTS:
        at += 1
    return at


def parquet_rows(file: DataFile) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file: its footer is read first, then a few rows at a time.

    Members without a value are left out of objects: a column of objects has the members of all its rows, and does not
    tell which of them a row has. Raises ValueError if the file is malformed.
    """
    import pyarrow.parquet  # here: heavy, and needed for this format only

    try:
        with pyarrow.parquet.ParquetFile(
            pyarrow.PythonFile(_Seekable(file), mode="r"), buffer_size=_READ_AHEAD, pre_buffer=False
        ) as table:
            for batch in table.iter_batches(_rows_per_batch(table.metadata), use_threads=False):
                for row in batch.to_pylist():
                    yield {name: _without_nulls(value) for name, value in row.items()}
    except (pyarrow.ArrowException, OSError) as error:
        if not (beginning := file.part(0, min(file.size, _SHOWN_BYTES))).startswith(_PARQUET):
            check_is_text(beginning)
        raise ValueError(f"not Parquet: {error}") from error


def _rows_per_batch(metadata: Any) -> int:
    """Return how many rows are decoded at a time, so that a batch of the widest rows takes about _BATCH_BYTES.

    Raises ValueError if rows are wider than MAX_ROW_BYTES on average.
    """
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    widest = max((group.total_byte_size / group.num_rows for group in groups if group.num_rows), default=0.0)
    if widest > MAX_ROW_BYTES:
        raise ValueError(f"rows of {widest:,.0f} bytes on average, allowed {MAX_ROW_BYTES:,}: leave out long columns")
    return max(1, min(_ROWS_PER_BATCH, int(_BATCH_BYTES / max(widest, 1.0))))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


class _Seekable(io.RawIOBase):
    """A seekable file over the parts of a `DataFile`; small reads are served from the part fetched last."""

    def __init__(self, file: DataFile) -> None:
        self._file = file
        self._at = 0
        self._start, self._part = 0, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._file.size if size < 0 else min(self._file.size, self._at + size)
        if end <= self._at:
            return b""
        if not self._start <= self._at <= end <= self._start + len(self._part):
            self._start = self._at
            self._part = self._file.part(self._at, min(self._file.size, max(end, self._at + _READ_AHEAD)))
        found = self._part[self._at - self._start : end - self._start]
        self._at = end
        return found


FILE_FORMATS: Mapping[str, Callable[[DataFile], Iterator[dict[str, Any]]]] = MappingProxyType(
    {
        "jsonl": json_rows,
        "ndjson": json_rows,
        "json": json_rows,
        "csv": csv_rows,
        "tsv": tsv_rows,
        "parquet": parquet_rows,
    }
)
"""The reader of each format: yields rows in order, raises ValueError if the content is malformed."""


def read_file_rows(path: str, file: DataFile) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file in the format that its name says. Raises ValueError if it is malformed."""
    return FILE_FORMATS[suffix_of(path)](decompressed(path, file))
