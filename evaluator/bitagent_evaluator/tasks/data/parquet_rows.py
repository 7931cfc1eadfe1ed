"""Parquet, read where it is: the footer first, then a few rows at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pyarrow
import pyarrow.parquet

from bitagent_evaluator.tasks.data.file_format import DataFile

_ROWS_AT_A_TIME = 64
_READ_AHEAD = 1 << 20
"""Bytes fetched with one request, at least."""


def rows(file: DataFile) -> Iterator[dict[str, Any]]:
    """The rows. Raises ValueError.

    A member without a value is left out inside objects: a column of objects has the members of all its rows, so it cannot say which a row lacks.
    """
    try:
        with pyarrow.parquet.ParquetFile(
            pyarrow.PythonFile(_Seekable(file), mode="r"), buffer_size=_READ_AHEAD, pre_buffer=False
        ) as table:
            for batch in table.iter_batches(_ROWS_AT_A_TIME, use_threads=False):
                for row in batch.to_pylist():
                    yield {name: _without_nulls(value) for name, value in row.items()}
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"not Parquet: {error}") from error


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


class _Seekable(io.RawIOBase):
    """A file of which parts can be fetched, as Python and Arrow read files. Small reads are served from the last part."""

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
