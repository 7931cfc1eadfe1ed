"""Progress of an evaluation: a bar on a terminal, log lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from bitagent_evaluator.cli.show import RichProgress
from bitagent_evaluator.progress import LogProgress, Progress


@contextmanager
def watched_progress(console: Console) -> Iterator[Progress]:
    """What fits the console."""
    if not console.is_terminal:
        yield LogProgress()
        return
    with RichProgress(console) as progress:
        yield progress
