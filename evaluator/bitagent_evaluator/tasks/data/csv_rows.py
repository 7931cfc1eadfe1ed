"""CSV and TSV with a header line. Every value is a text."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from typing import Any

from bitagent_evaluator.tasks.data.file_format import MAX_ROW_BYTES, DataFile


def comma_rows(file: DataFile) -> Iterator[dict[str, Any]]:
    """The rows of a CSV file. Raises ValueError."""
    return _rows(file, ",")


def tab_rows(file: DataFile) -> Iterator[dict[str, Any]]:
    """The rows of a TSV file. Raises ValueError."""
    return _rows(file, "\t")


def _rows(file: DataFile, delimiter: str) -> Iterator[dict[str, Any]]:
    try:
        for row in csv.DictReader(_lines(file), delimiter=delimiter, strict=True):
            yield {name: value for name, value in row.items() if name is not None and value is not None}
    except csv.Error as error:
        raise ValueError(f"not CSV: {error}") from error


def _lines(file: DataFile) -> Iterator[str]:
    """Lines with their ends, which the reader needs inside quotes."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    rest = ""
    for piece in file.stream():
        *whole, rest = (rest + decoder.decode(piece)).split("\n")
        yield from (line + "\n" for line in whole)
        if len(rest) > MAX_ROW_BYTES:
            raise ValueError(f"not CSV: a line is longer than {MAX_ROW_BYTES} characters")
    rest += decoder.decode(b"", final=True)
    if rest:
        yield rest
