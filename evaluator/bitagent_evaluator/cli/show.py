"""How an evaluation looks on a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from rich.console import Console, Group
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from bitagent_evaluator.cli.leaderboard import columns_view
from bitagent_evaluator.cli.losses import losses_text
from bitagent_evaluator.cli.output import interval_text
from bitagent_evaluator.runs.evaluate import Evaluated


class RichProgress:
    """A spinner per phase, and a bar with rate and remaining time while answers come. A context manager."""

    def __init__(self, console: Console) -> None:
        self._phases = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
        )
        self._bar = Progress(
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

    def _show(self, display: Progress) -> None:
        if display is not self._active:
            self._active.stop()
            self._active = display
            display.start()

    def phase(self, name: str) -> None:
        """Show the phase as a spinner."""
        self._show(self._phases)
        for task in self._phases.task_ids:
            self._phases.remove_task(task)
        self._phases.add_task(name, total=None)

    def answered(self, done: int, total: int) -> None:
        """Move the bar."""
        self._show(self._bar)
        if self._first is None:
            self._first = done
            self._bar.reset(self._answers, total=total, completed=done)
        elapsed = self._bar.tasks[0].elapsed or 0.0
        rate = f"{(done - self._first) / elapsed:.0f}/s" if elapsed > 0.5 else ""
        self._bar.update(self._answers, completed=done, rate=rate)


def results_view(model: str, evaluated: Evaluated, out: Path) -> Group:
    """Score, categories, and where the time went."""
    total, seconds = evaluated.aggregate, evaluated.seconds
    table = Table(title=f"{model}: {total.score}", title_justify="left")
    table.add_column("category")
    for name in ("passed", "total", "score", "95 % interval"):
        table.add_column(name, justify="right")
    for name, entry in total.categories.items():
        table.add_row(
            name, str(entry.passed), str(entry.total), f"{float(entry.score):.1%}", interval_text(entry.interval)
        )
    table.add_section()
    table.add_row("all", str(total.passed), str(total.total), total.score, interval_text(total.interval), style="bold")
    facts = Table.grid(padding=(0, 2))
    facts.add_row("seconds", f"{seconds.load} to load, {seconds.generate} to generate, {seconds.score} to score")
    if losses := losses_text(total):
        facts.add_row("mean loss", losses)
    facts.add_row("prompt format", str(evaluated.prompt_format))
    facts.add_row("device", evaluated.device)
    if evaluated.resumed:
        facts.add_row("taken over", f"{evaluated.resumed} answers of an earlier run")
    if evaluated.too_long:
        facts.add_row("not asked", f"{evaluated.too_long} prompts that do not fit the model; their tasks fail")
    if evaluated.refused:
        first, why = next(iter(evaluated.refused.items()))
        facts.add_row("refused", Text(f"{len(evaluated.refused)} tasks, which fail, such as {first}: {why}"))
    facts.add_row("results", str(out))
    return Group(table, *columns_view(total), facts)
