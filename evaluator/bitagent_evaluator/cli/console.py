"""The terminal: results on stdout, progress on stderr.

Nothing moves unless stderr is a terminal, and nothing is said on the way with `--quiet`.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as Bars,
)
from rich.segment import Segment
from rich.text import Text

from bitagent_crds.printable import BREAKS
from bitagent_crds.progress import EvaluationPhase
from bitagent_evaluator.cli.process import configure_logging
from bitagent_evaluator.support.progress import LogProgress, Progress
from bitagent_evaluator.support.text import escape_unprintable

PIPE_WIDTH = 140
"""Width of tables in a file or a pipe, in columns."""


class PrintableConsole(Console):
    """A console that writes the texts of what it is given as printable characters, whoever has escaped them or not."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of a renderable."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(escape_unprintable(segment.text, keep=BREAKS), segment.style)


def show(*parts: RenderableType) -> None:
    """Print results to stdout, one below the other."""
    PrintableConsole(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False).print(Group(*parts))


def untrusted(text: str, style: str = "") -> Text:
    """Return untrusted text for the terminal: without markup, and unable to move the cursor or to change direction."""
    return Text(escape_unprintable(text, keep="\n\t"), style=style)


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add the option `--quiet`."""
    parser.add_argument("-q", "--quiet", action="store_true", help="print only warnings, errors and the outcome")


def progress_console(*, quiet: bool) -> Console:
    """Return the console for progress, and set the level of log lines: beside a bar, or if quiet, warnings only."""
    console = PrintableConsole(stderr=True, quiet=quiet)
    silent = quiet or console.is_terminal
    configure_logging(logging.WARNING if silent else logging.INFO, json_lines=False)
    return console


@contextmanager
def spinner(caption: str, *, quiet: bool = False) -> Iterator[None]:
    """Show a spinner with a caption while the block runs, on a terminal only."""
    console = PrintableConsole(stderr=True, quiet=quiet)
    if not console.is_terminal:
        yield
        return
    with console.status(caption):
        yield


@contextmanager
def progress_on(console: Console) -> Iterator[Progress]:
    """Return a display of progress while the block runs: bars on a terminal, log lines elsewhere."""
    if not console.is_terminal:
        yield LogProgress()
        return
    with _TerminalProgress(console) as progress:
        yield progress


class _TerminalProgress:
    """A spinner per phase, and a bar with rate and remaining time while answers arrive. A context manager."""

    def __init__(self, console: Console) -> None:
        self._phases = Bars(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
        )
        self._bar = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self._active = self._phases
        self._first: int | None = None
        self._answers = self._bar.add_task("answers", total=None, rate="")

    def __enter__(self) -> Self:
        self._active.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._active.stop()

    def _show(self, display: Bars) -> None:
        if display is not self._active:
            self._active.stop()
            self._active = display
            display.start()

    def start_phase(self, name: str, phase: EvaluationPhase | None = None) -> None:
        """Show the phase as a spinner."""
        del phase
        self._show(self._phases)
        for task in self._phases.task_ids:
            self._phases.remove_task(task)
        self._phases.add_task(name, total=None)

    def step(self) -> None:
        """Show nothing: there are many."""

    def update(self, done: int, total: int, tokens: int = 0) -> None:
        """Move the bar."""
        del tokens
        self._show(self._bar)
        if self._first is None:
            self._first = done
            self._bar.reset(self._answers, total=total, completed=done)
        elapsed = self._bar.tasks[0].elapsed or 0.0
        rate = f"{(done - self._first) / elapsed:.0f}/s" if elapsed > 0.5 else ""
        self._bar.update(self._answers, completed=done, rate=rate)
