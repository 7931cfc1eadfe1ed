"""Standard output and error of a command: colours on a terminal alone, and no text of others that could steer it."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TextIO

from bitagent_crds.printable import escape_unprintable


class Colour(StrEnum):
    """Colours, by the code of ECMA-48."""

    GOOD = "32"
    BAD = "31"
    WAITS = "33"
    DIM = "2"
    BOLD = "1"


@dataclass(frozen=True)
class Terminal:
    """Where a command writes."""

    out: TextIO
    err: TextIO
    colours: bool = False
    """Whether standard output takes colours."""

    def line(self, text: str = "") -> None:
        """Write a line, which has to be printable."""
        self.out.write(f"{text}\n")

    def say(self, text: str) -> None:
        """Write a line for the person at the terminal to standard error, made printable."""
        self.err.write(f"{escape_unprintable(text)}\n")
        self.err.flush()

    def discard(self) -> None:
        """Let standard output lead nowhere: nothing can be written to it, and the interpreter writes what is left."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.out.fileno())
            os.close(nowhere)

    def paint(self, text: str, colour: Colour | None) -> str:
        """Return the text in a colour, if there are any."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self.colours and colour is not None and text else text


def standard(environment: Mapping[str, str] = os.environ) -> Terminal:
    """Return the process's own streams; NO_COLOR turns colours off (https://no-color.org).

    What the locale's encoding lacks is written as an escape. A stream that was closed before the start is None.
    """
    out, err = sys.stdout or io.StringIO(), sys.stderr or io.StringIO()
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(errors="backslashreplace")
    terminal = out.isatty() and environment.get("TERM") != "dumb"
    return Terminal(out, err, colours=terminal and not environment.get("NO_COLOR"))
