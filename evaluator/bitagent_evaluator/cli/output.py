"""What the verbs share in talking to people: consoles, and failures on stderr.

Results go to stdout, everything about getting there to stderr. Nothing moves when stderr is not a terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

PLAIN_WIDTH = 140
"""Columns of tables that go to a file or a pipe."""


def results() -> Console:
    """Console for results."""
    return Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def interval_text(interval: tuple[str, str] | None) -> str:
    """A confidence interval for a table; empty where there is none."""
    return f"{float(interval[0]):.1%} to {float(interval[1]):.1%}" if interval else ""


@contextmanager
def working(on: str, *, quiet: bool = False) -> Iterator[None]:
    """A spinner with a caption while the block runs, on a terminal only."""
    console = Console(stderr=True, quiet=quiet)
    if not console.is_terminal:
        yield
        return
    with console.status(on):
        yield


def fail(verb: str, message: str, code: int) -> int:
    """Say what went wrong; returns the exit code for the verb to return."""
    sys.stderr.write(f"bitagent-eval {verb}: {message}\n")
    return code
