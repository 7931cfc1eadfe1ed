"""`bitagent-eval compare`: compare two results over the same tasks, task by task."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bitagent_crds.jobs import EXIT_OK, EXIT_USAGE
from bitagent_evaluator.cli.console import show, untrusted
from bitagent_evaluator.cli.process import fail, print_json
from bitagent_evaluator.cli.score_views import baseline_text
from bitagent_evaluator.reports.comparison import ComparedTask, Comparison, ComparisonFinding, Contrast, compare
from bitagent_evaluator.reports.results import FaultResult, Results, ResultsError, read_outcome, results_of_fault
from bitagent_evaluator.scoring.metric import Metric

_DESCRIPTION = "Compare two results over the same tasks, task by task."
_EPILOG = "exit codes: 0 compared, whatever the finding; 2 the results cannot be compared"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bitagent-eval compare", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("a", type=Path, metavar="A", help="a results directory")
    parser.add_argument("b", type=Path, metavar="B", help="another one over the same task set")
    parser.add_argument(
        "--limit", type=int, default=20, metavar="N",
        help="differing tasks to show (default: %(default)s; JSON has all)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")
    return parser


def main(argv: list[str]) -> int:
    """Compare two results and print the outcome. Returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        a, b = read_outcome(options.a), read_outcome(options.b)
        comparison = _compare(a, b)
    except ResultsError as error:
        return fail("compare", str(error), EXIT_USAGE)
    if options.json:
        outcome = comparison.to_json() if comparison else {"finding": ComparisonFinding.NO_DIFFERENCE}
        print_json({**_sides_json(a, b), **outcome})
    else:
        show(_names(a, b), *_view(comparison, max(0, options.limit)))
    return EXIT_OK


def _compare(a: Results | FaultResult, b: Results | FaultResult) -> Comparison | None:
    """Return the comparison; None if both models are at fault, so that there is no task. Raises ResultsError."""
    if isinstance(a, Results):
        return compare(a, b if isinstance(b, Results) else results_of_fault(b, a))
    return compare(results_of_fault(a, b), b) if isinstance(b, Results) else None


def _sides_json(a: Results | FaultResult, b: Results | FaultResult) -> dict[str, object]:
    faults = {side: of.fault for side, of in (("a", a), ("b", b)) if isinstance(of, FaultResult)}
    return {"a": str(a.directory), "b": str(b.directory), **({"faults": faults} if faults else {})}


def _names(a: Results | FaultResult, b: Results | FaultResult) -> Table:
    names = Table.grid(padding=(0, 2))
    for side, of in (("A", a), ("B", b)):
        names.add_row(Text(side, style="bold"), untrusted(f"{of.name}  ({of.directory})"))
        if isinstance(of, FaultResult):
            names.add_row("", untrusted(f"score 0: {of.fault}", "red"))
    return names


def _view(comparison: Comparison | None, limit: int) -> list[RenderableType]:
    """Return tables and the finding; without a comparison, the finding alone."""
    if comparison is None:
        return [Text(ComparisonFinding.NO_DIFFERENCE, style="bold")]
    metric = comparison.metric
    table = Table("category")
    for title in (metric.items, "A", "B", "A - B", "95 % interval", *metric.paired_test.columns.values()):
        table.add_column(title, justify="right")
    for name, contrast in comparison.categories.items():
        table.add_row(untrusted(name), *_cells(metric, contrast))
    table.add_section()
    table.add_row("all", *_cells(metric, comparison.overall), style="bold")
    parts: list[RenderableType] = [table, Text(comparison.finding, style="bold")]
    if comparison.batches is not None:
        parts.append(Text("batches with the lower mean loss: A {}, B {}".format(*comparison.batches)))
    if comparison.baseline is not None:
        parts.append(untrusted(f"baseline of these tasks: {baseline_text(comparison.baseline)}"))
    parts.append(Text())
    if limit and comparison.differing:
        parts.append(_differing(metric, comparison.differing[:limit], len(comparison.differing)))
    return parts


def _cells(metric: Metric, contrast: Contrast) -> list[str]:
    interval = " to ".join(map(metric.difference_text, contrast.interval or ()))
    means = (metric.text(contrast.a), metric.text(contrast.b), metric.difference_text(contrast.difference))
    test = (f"{number:.3g}" if isinstance(number, float) else str(number) for number in contrast.test.values())
    return [str(contrast.total), *means, interval, *test]


def _differing(metric: Metric, shown: Sequence[ComparedTask], total: int) -> Table:
    """Return the tasks that differ: how they ended, or their values and difference if ties are rare."""
    order = ", most first" if metric.ties_are_rare else ""
    table = Table(metric.items.removesuffix("s"), "category")
    table.caption, table.caption_justify = f"{len(shown)} of {total} {metric.items} that differ{order}", "left"
    values = metric.ties_are_rare
    for title in ("A", "B", "A - B") if values else ("A", "B"):
        table.add_column(title, justify="right" if values else "left")
    for task in shown:
        pair = task.pair
        cells: list[str | Text]
        if values:
            cells = [metric.text(pair.a), metric.text(pair.b), metric.difference_text(pair.a - pair.b)]
        else:
            cells = [_ending(pair.a, passed=pair.a_passed), _ending(pair.b, passed=pair.b_passed)]
        table.add_row(untrusted(task.id), untrusted(task.category), *cells)
    return table


def _ending(score: float, *, passed: bool) -> Text:
    partial = "" if score in (0.0, 1.0) else f" {score:.3f}"
    return Text(("passed" if passed else "failed") + partial, style="green" if passed else "red")
