"""Rows in columns, as kubectl shows them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bitagent_cli.output.terminal import Colour, Terminal
from bitagent_crds.printable import escape_unprintable

_GOOD = frozenset({"True", "Complete", "Succeeded", "ok"})
_BAD = frozenset({"False", "Failed", "InfraFault", "Rejected", "ModelFault", "Unscored", "bad"})
_WAITS = frozenset({"Unknown", "Pending", "Preparing", "Suspended", "NotEvaluated", "Duplicate", "warn"})


@dataclass(frozen=True)
class Column:
    """One column."""

    title: str
    wide: bool = False
    """Whether it is shown with `-o wide` alone."""


@dataclass(frozen=True)
class Table:
    """A heading and rows; a row has a cell for each column."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]

    def narrow(self, *, wide: bool) -> Table:
        """Return the table with the columns that are to be shown."""
        kept = [index for index, column in enumerate(self.columns) if wide or not column.wide]
        rows = tuple(tuple(row[index] for index in kept) for row in self.rows)
        return Table(tuple(self.columns[index] for index in kept), rows)


def cell(value: object) -> str:
    """Return a value as one printable line."""
    text = "" if value is None else str(value)
    return escape_unprintable(" ".join(text.split()) if not text.isprintable() else text)


def lines(table: Table, terminal: Terminal, *, heading: bool = True) -> Iterator[str]:
    """Yield the lines of a table; states have colours."""
    titles = tuple(column.title for column in table.columns)
    rows = [*([titles] if heading else []), *(tuple(map(cell, row)) for row in table.rows)]
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [_padded(text, width, terminal) for text, width in zip(row, widths, strict=True)]
        yield "   ".join(cells).rstrip()


def _padded(text: str, width: int, terminal: Terminal) -> str:
    return terminal.paint(text, colour_of(text)) + " " * (width - len(text))


def colour_of(text: str) -> Colour | None:
    """Return the colour of a state; None for any other text."""
    if text in _GOOD:
        return Colour.GOOD
    if text in _BAD:
        return Colour.BAD
    return Colour.WAITS if text in _WAITS else None
