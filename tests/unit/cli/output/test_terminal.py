"""Colours are for terminals alone."""

from __future__ import annotations

import io
import json
import sys

import pytest

from bitagent_cli.output.documents import write
from bitagent_cli.output.terminal import Colour, Terminal, standard


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("screen", "environment", "colours"),
    [
        pytest.param(True, {}, True, id="terminal"),
        pytest.param(False, {}, False, id="pipe"),
        pytest.param(True, {"NO_COLOR": "1"}, False, id="NO_COLOR"),
        pytest.param(True, {"NO_COLOR": ""}, True, id="an empty NO_COLOR"),
        pytest.param(True, {"TERM": "dumb"}, False, id="dumb"),
    ],
)
def test_colours(screen: bool, environment: dict[str, str], colours: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Screen() if screen else io.StringIO())
    terminal = standard(environment)
    assert terminal.colours is colours
    assert ("\x1b" in terminal.paint("x", Colour.BAD)) is colours


def test_what_the_encoding_lacks_is_written_as_an_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    terminal = standard({})
    terminal.line("größer → 模型")
    write(terminal, {"a": "größer → 模型"}, "json")
    terminal.out.flush()
    line, _, document = written.getvalue().decode().partition("\n")
    assert line == r"gr\xf6\xdfer \u2192 \u6a21\u578b"
    assert json.loads(document) == {"a": "größer → 模型"}


def test_streams_that_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    terminal = standard({})
    terminal.line("x")
    terminal.say("x")
    terminal.discard()
    assert not terminal.colours


def test_what_is_said_is_printable() -> None:
    err = io.StringIO()
    Terminal(io.StringIO(), err).say("a\x07b")
    assert err.getvalue() == "a\\x07b\n"
