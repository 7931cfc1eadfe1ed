"""Rows in columns."""

from __future__ import annotations

import io

import pytest

from bitagent_cli.output.tables import Column, Table, cell, colour_of, lines
from bitagent_cli.output.terminal import Colour, Terminal

TABLE = Table((Column("NAME"), Column("STATE"), Column("MORE", wide=True)), (("a", "Failed", "x"), ("long", "", "")))


def terminal(*, colours: bool = False) -> Terminal:
    return Terminal(io.StringIO(), io.StringIO(), colours)


def test_columns_are_of_equal_width() -> None:
    assert list(lines(TABLE.narrow(wide=False), terminal())) == ["NAME   STATE", "a      Failed", "long"]
    assert next(iter(lines(TABLE, terminal()))) == "NAME   STATE    MORE"
    assert list(lines(Table((), ()), terminal())) == [""]


def test_colours_do_not_change_the_width() -> None:
    plain, coloured = list(lines(TABLE, terminal())), list(lines(TABLE, terminal(colours=True)))
    assert coloured[1] == "a      \x1b[31mFailed\x1b[0m   x"
    assert coloured[1].replace("\x1b[31m", "").replace("\x1b[0m", "") == plain[1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("a\nb", "a b", id="line break"),
        pytest.param("\x1b[2J", "\\x1b[2J", id="escape sequence"),
        pytest.param("a\u202eb", "a\\u202eb", id="direction of text"),
        pytest.param(None, "", id="nothing"),
        pytest.param(3, "3", id="number"),
        pytest.param("a  b", "a  b", id="spaces"),
    ],
)
def test_a_cell_is_one_printable_line(value: object, text: str) -> None:
    assert cell(value) == text


@pytest.mark.parametrize(("text", "colour"), [("True", Colour.GOOD), ("Rejected", Colour.BAD), ("x", None)])
def test_states_have_colours(text: str, colour: Colour | None) -> None:
    assert colour_of(text) is colour
