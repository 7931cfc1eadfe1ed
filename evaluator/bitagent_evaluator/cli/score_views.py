"""Views of scores on the terminal, shared by the commands: scores by category, BFCL's columns, diagnosis of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bitagent_crds.task_set import Baseline
from bitagent_evaluator.cli.console import untrusted
from bitagent_evaluator.evaluation.findings import RunFinding
from bitagent_evaluator.evaluation.results import Evaluated
from bitagent_evaluator.scoring.aggregate import Aggregate
from bitagent_evaluator.scoring.leaderboard import OVERALL, missing_parts, overall_bounds
from bitagent_evaluator.scoring.metric import metric_of


def interval_text(interval: tuple[str, str] | None) -> str:
    """Return a confidence interval for a table; empty if there is none."""
    return f"{float(interval[0]):.1%} to {float(interval[1]):.1%}" if interval else ""


def score_tables(total: Aggregate, *, title: str | None = None, caption: str | None = None) -> list[Table]:
    """Return a table of the score by category, and one of the leaderboard's columns if there are any."""
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    table.add_column("category")
    for name in ("passed", "total", "score", "95 % interval"):
        table.add_column(name, justify="right")
    for name, entry in total.categories.items():
        cells = (str(entry.passed), str(entry.total), f"{float(entry.score):.1%}", interval_text(entry.interval))
        table.add_row(untrusted(name), *cells)
    if total.kinds:
        table.add_section()
        for name, entry in total.kinds.items():
            cells = (str(entry.passed), str(entry.total), f"{float(entry.score):.1%}", interval_text(entry.interval))
            table.add_row(f"kind: {name}", *cells)
    table.add_section()
    whole = "all, kinds weigh equally" if total.kinds else "all"
    table.add_row(whole, str(total.passed), str(total.total), total.score, interval_text(total.interval), style="bold")
    if not total.leaderboard:
        return [table]
    columns = Table("BFCL leaderboard")
    columns.add_column("score", justify="right")
    for name, value in total.leaderboard.items():
        columns.add_row(name, f"{float(value):.2%}")
    if missing := missing_parts(total.leaderboard):
        columns.caption = f"no {OVERALL} without {', '.join(missing)}"
        if bounds := overall_bounds(total.leaderboard):
            low, high = (f"{float(bound):.2%}" for bound in bounds)
            columns.caption += f"; whatever they were, it is between {low} and {high}"
    return [table, columns]


def losses_text(total: Aggregate, unit: str) -> str:
    """Return the mean losses, overall and of the batches; empty with another scorer."""
    if total.loss is None:
        return ""
    return f"{total.loss} {unit}; of {len(total.batch_losses)} batches: {', '.join(total.batch_losses)}"


def baseline_text(found: Baseline) -> str:
    """Return the score of the best constant answer, and which one that is."""
    return f"{found.score} by {found.answer}" + (f", loss {found.loss} nats per byte" if found.loss else "")


def diagnosis_view(findings: Sequence[RunFinding], title: str = "diagnosis") -> list[RenderableType]:
    """Return what cost a model its score apart from wrong calls, with cause and remedy; empty without findings."""
    if not findings:
        return []
    lines = [Text(title, style="bold yellow")]
    for finding in findings:
        examples = f" (such as {', '.join(finding.examples)})" if finding.examples else ""
        lines.append(untrusted(f"- {finding.text}{examples}", "yellow"))
        if finding.cause:
            lines.append(untrusted(f"  likely cause: {finding.cause}"))
        if finding.remedy:
            lines.append(untrusted(f"  what to do: {finding.remedy}"))
    return [*lines, Text()]


def evaluation_view(model: str, evaluated: Evaluated, out: Path) -> list[RenderableType]:
    """Return the score of one model, and how it came about."""
    seconds = evaluated.seconds
    facts = Table.grid(padding=(0, 2))
    facts.add_row("seconds", f"{seconds.load} to load, {seconds.generate} to generate, {seconds.score} to score")
    run = evaluated.run
    if losses := losses_text(evaluated.aggregate, metric_of(run.scorer, run.loss_parameters).unit):
        facts.add_row("mean loss", losses)
    if evaluated.aggregate.baseline is not None:
        facts.add_row("baseline", untrusted(baseline_text(evaluated.aggregate.baseline)))
    facts.add_row("prompt format", str(evaluated.run.prompt_format))
    facts.add_row("device", evaluated.device)
    if evaluated.resumed:
        facts.add_row("resumed", f"{evaluated.resumed} answers are of an earlier run, and its seconds are counted")
    facts.add_row("results", str(out))
    tables = score_tables(evaluated.aggregate, title=f"{model}: {evaluated.aggregate.score}")
    return [*diagnosis_view(evaluated.findings), *tables, facts]
