"""The interface of file formats and their registry, by the last part of a file's name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Protocol

from bitagent_evaluator.registry import Registry

FILE_FORMATS = Registry(
    what="file format",
    group="bitagent.file_formats",
    builtin={
        "jsonl": "bitagent_evaluator.tasks.data.json_rows:rows",
        "ndjson": "bitagent_evaluator.tasks.data.json_rows:rows",
        "json": "bitagent_evaluator.tasks.data.json_rows:rows",
        "csv": "bitagent_evaluator.tasks.data.csv_rows:comma_rows",
        "tsv": "bitagent_evaluator.tasks.data.csv_rows:tab_rows",
        "parquet": "bitagent_evaluator.tasks.data.parquet_rows:rows",
    },
)
"""Functions from a `DataFile` to its rows, in order. They raise ValueError where the content is not of the format."""

MAX_ROW_BYTES = 1 << 20


class DataFile(Protocol):
    """One file of data."""

    @property
    def size(self) -> int:
        """In bytes."""
        ...

    def stream(self) -> Iterator[bytes]:
        """All of it."""
        ...

    def part(self, start: int, end: int) -> bytes:
        """The bytes from `start` up to, not including, `end`."""
        ...


def suffix_of(path: str) -> str:
    """The format's name in a file's name, small letters; empty where there is none."""
    return PurePosixPath(path).suffix.removeprefix(".").lower()


def rows_of(path: str, file: DataFile) -> Iterator[dict[str, Any]]:
    """The rows of a file whose name says its format. Raises ValueError."""
    rows: Iterator[dict[str, Any]] = FILE_FORMATS.load(suffix_of(path))(file)
    return rows
