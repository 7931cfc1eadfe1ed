"""File formats: a reader for each, the same rows from all, and rows that are too long."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from bitagent_evaluator.tasks.sources.file_formats import (
    FILE_FORMATS,
    MAX_ROW_BYTES,
    _rows_per_batch,
    read_file_rows,
)

ROWS = [{"a": f"row {i}, \"quoted\"\nand 'so on'. ä", "b": "x" * i} for i in range(1, 200)]


class InMemory:
    """A data file that is streamed in pieces of an odd size."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    @property
    def size(self) -> int:
        return len(self._content)

    def stream(self) -> Iterator[bytes]:
        return (self._content[start : start + 4099] for start in range(0, self.size, 4099))

    def part(self, start: int, end: int) -> bytes:
        return self._content[start:end]


def as_lines() -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode()


def as_delimited(delimiter: str) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(ROWS[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(ROWS)
    return text.getvalue().encode()


def as_parquet() -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), sink, row_group_size=50)
    return sink.getvalue()


WRITERS: dict[str, Callable[[], bytes]] = {
    "jsonl": as_lines,
    "ndjson": as_lines,
    "json": lambda: json.dumps(ROWS, indent=1).encode(),
    "csv": lambda: as_delimited(","),
    "tsv": lambda: as_delimited("\t"),
    "parquet": as_parquet,
}


def test_every_format_is_tested() -> None:
    assert FILE_FORMATS.keys() == WRITERS.keys()


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_the_same_rows(suffix: str) -> None:
    assert list(read_file_rows(f"data/train.{suffix.upper()}", InMemory(WRITERS[suffix]()))) == ROWS


@pytest.mark.parametrize("suffix", [suffix for suffix in WRITERS if suffix != "parquet"])
def test_compressed_files_give_the_same_rows(suffix: str) -> None:
    content = WRITERS[suffix]()
    half = len(content) // 2
    members = gzip.compress(content[:half]) + gzip.compress(content[half:])
    assert list(read_file_rows(f"train.{suffix}.gz", InMemory(members))) == ROWS


@pytest.mark.parametrize("missing", [1, 8, 12, 400], ids=["a byte", "the trailer", "the end", "rows"])
@pytest.mark.parametrize("members", [1, 2])
def test_a_compressed_file_that_breaks_off_is_no_shorter_file(missing: int, members: int) -> None:
    content = gzip.compress(b"a,b\n") * (members - 1) + gzip.compress(as_delimited(","))
    with pytest.raises(ValueError, match="breaks off"):
        list(read_file_rows("train.csv.gz", InMemory(content[:-missing])))


@pytest.mark.parametrize(
    ("name", "content"),
    [("train.parquet.gz", gzip.compress(as_parquet())), ("train.csv.gz", b"a,b\n1,2\n")],
    ids=["parquet", "not compressed"],
)
def test_compressed_files_that_cannot_be_read(name: str, content: bytes) -> None:
    with pytest.raises(ValueError, match=r"decompress it|not gzip"):
        list(read_file_rows(name, InMemory(content)))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_spreadsheets_separate_columns_in_several_ways(delimiter: str) -> None:
    assert list(read_file_rows("train.csv", InMemory(as_delimited(delimiter)))) == ROWS


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"q,a,q\n1,2,3\n", "two columns are called 'q'"),
        (b"q,a\r1,2\r", "line feeds"),
        (b'q,a\n"a "b" c",2\n', "written twice"),
        (b'q,a\n"a,2\n', "not closed"),
    ],
    ids=["the same column twice", "carriage returns", "quotation marks in a field", "an open field"],
)
def test_mistakes_of_csv_say_what_to_do(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        list(read_file_rows("a.csv", InMemory(content)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'[{"q": 1}, {"q": 2,}]', "row 2: not JSON: .*near '.*2,}]'"),
        (b'[{"q": 1}, {"q" 2}]', "row 2: not JSON: Expecting ':' delimiter near"),
        (b'[{"q": 1}, {"q": NoneType}]', "row 2: not JSON: Expecting value near"),
        (b'[{"q": 1}, {"q": "x', "row 2: not JSON: "),
        (b'[{"q": 1}, 2]', "row 2: not a JSON object"),
        (b'[{"q": 1}, {"q": 2}', "row 3: not JSON: it breaks off"),
    ],
    ids=["a comma too many", "no colon", "a word", "half a row", "a number", "no end"],
)
def test_mistakes_of_json_are_named_with_their_place(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        list(read_file_rows("a.json", InMemory(content)))


def test_columns_without_a_name_are_no_repetition() -> None:
    assert list(read_file_rows("a.csv", InMemory(b",q,\n0,1,2\n"))) == [{"": "2", "q": "1"}]


@pytest.mark.parametrize("line", ["sep=;\r\n", '"sep=;"\n'])
def test_the_separator_may_be_said_before_the_header(line: str) -> None:
    assert list(read_file_rows("train.csv", InMemory(line.encode() + as_delimited(";")))) == ROWS


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_a_byte_order_mark_names_the_encoding(suffix: str, encoding: str) -> None:
    content = WRITERS[suffix]().decode().encode(encoding)
    assert list(read_file_rows(f"train.{suffix}", InMemory(content))) == ROWS


@pytest.mark.parametrize("encoding", ["cp1252", "mac_roman", "cp437"])
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_another_encoding_is_named_with_its_line(suffix: str, encoding: str) -> None:
    with pytest.raises(ValueError, match="line 3: not UTF-8"):
        list(read_file_rows(f"train.{suffix}", InMemory("a,b\n1,2\n3,caf\u00e9\n".encode(encoding))))


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_a_field_may_be_as_long_as_a_row(delimiter: str) -> None:
    content = f'a{delimiter}b\n"{"x" * 200_240}"{delimiter}1\n'.encode()
    suffix = "tsv" if delimiter == "\t" else "csv"
    assert list(read_file_rows(f"train.{suffix}", InMemory(content))) == [{"a": "x" * 200_240, "b": "1"}]


@pytest.mark.parametrize(("width", "rows"), [(100, 64), (1 << 19, 15), (1 << 20, 7)])
def test_wide_parquet_rows_are_decoded_few_at_a_time(width: int, rows: int) -> None:
    class Group:
        num_rows = 10
        total_byte_size = 10 * width

    class Metadata:
        num_row_groups = 1

        def row_group(self, index: int) -> Group:
            return Group()

    assert _rows_per_batch(Metadata()) in (rows, rows + 1)


def test_parquet_rows_that_are_too_wide_are_refused() -> None:
    sink = io.BytesIO()
    column = [random.Random(0).randbytes(MAX_ROW_BYTES + 1).hex()]
    pyarrow.parquet.write_table(pyarrow.table({"a": column}), sink)
    with pytest.raises(ValueError, match="bytes on average"):
        list(read_file_rows("train.parquet", InMemory(sink.getvalue())))


LONG = b"x" * (MAX_ROW_BYTES + 1)


@pytest.mark.parametrize(
    ("suffix", "content"),
    [("jsonl", b'{"a": "' + LONG), ("json", b'[{"a": "' + LONG), ("csv", b"a\n" + LONG), ("tsv", LONG)],
)
def test_a_row_without_end_is_refused(suffix: str, content: bytes) -> None:
    with pytest.raises(ValueError, match="longer than"):
        list(read_file_rows(f"train.{suffix}", InMemory(content)))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 100], ids=["empty", "short", "other"])
def test_what_is_not_parquet(content: bytes) -> None:
    def rows() -> Any:
        return list(read_file_rows("train.parquet", InMemory(content)))

    with pytest.raises(ValueError, match="not Parquet"):
        rows()
