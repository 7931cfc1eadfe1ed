"""What a verb that takes its time says on the way: a bar on a terminal, log lines elsewhere, nothing when asked to be quiet."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from bitagent_evaluator.cli.show import RichProgress
from bitagent_evaluator.jobs import logs
from bitagent_evaluator.progress import LogProgress, Progress


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """The option `--quiet`."""
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="say nothing on the way: only warnings, errors and the outcome"
    )


def progress_console(*, quiet: bool) -> Console:
    """The console that progress goes to. Log lines are set up to go with it: beside a bar, and when quiet, only warnings."""
    console = Console(stderr=True, quiet=quiet)
    silent = quiet or console.is_terminal
    logs.configure(logging.WARNING if silent else logging.INFO, json_lines=False)
    return console


@contextmanager
def watched_progress(console: Console) -> Iterator[Progress]:
    """What fits the console."""
    if not console.is_terminal:
        yield LogProgress()
        return
    with RichProgress(console) as progress:
        yield progress
