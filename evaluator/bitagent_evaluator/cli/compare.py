"""`bitagent-eval compare`: two results over the same tasks, task by task."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bitagent_crds.evaluation import Scorer
from bitagent_crds.jobs import EXIT_OK, EXIT_USAGE
from bitagent_evaluator.cli.compare_losses import losses_view, plain
from bitagent_evaluator.cli.output import fail, print_json, results
from bitagent_evaluator.reports.comparison import Comparison, Contrast, Finding, Pair, compare
from bitagent_evaluator.reports.failing import all_failed
from bitagent_evaluator.reports.loss_comparison import compare_losses
from bitagent_evaluator.reports.reading import Fault, Results, ResultsError, read_outcome

_EPILOG = "exit codes: 0 compared, whatever the finding; 2 the results cannot be compared"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bitagent-eval compare", description=__doc__, epilog=_EPILOG)
    parser.add_argument("a", type=Path, metavar="A", help="a results directory")
    parser.add_argument("b", type=Path, metavar="B", help="another one over the same task set")
    parser.add_argument(
        "--limit",
        type=int,
        default=20,
        metavar="N",
        help="differing tasks to show (default: %(default)s; JSON has all)",
    )
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")
    return parser


def main(argv: list[str]) -> int:
    """Compare and show."""
    options = _parser().parse_args(argv)
    try:
        one, other = read_outcome(options.a), read_outcome(options.b)
        pair = _on_same_tasks(one, other)
        if pair is None:
            return _show_faults(options, one, other)
        a, b = pair
        if a.manifest.scorer is b.manifest.scorer is Scorer.LOSS:
            return _show_losses(options, a, b)
        comparison = compare(a, b)
    except ResultsError as error:
        return fail("compare", str(error), EXIT_USAGE)
    if options.json:
        print_json({**_sides(a, b), **asdict(comparison)})
    else:
        results().print(_view(_names(a, b), comparison, max(0, options.limit)))
    return EXIT_OK


def _on_same_tasks(one: Results | Fault, other: Results | Fault) -> tuple[Results, Results] | None:
    """Both as results; None when neither has any. Raises ResultsError."""
    if isinstance(one, Fault):
        return None if isinstance(other, Fault) else (all_failed(one, other), other)
    return one, all_failed(other, one) if isinstance(other, Fault) else other


def _show_faults(options: argparse.Namespace, a: Results | Fault, b: Results | Fault) -> int:
    """Two models without an answer."""
    if options.json:
        print_json({**_sides(a, b), "finding": Finding.NO_DIFFERENCE})
    else:
        results().print(Group(_names(a, b), Text(Finding.NO_DIFFERENCE, style="bold")))
    return EXIT_OK


def _sides(a: Results | Fault, b: Results | Fault) -> dict[str, object]:
    """What is compared, as JSON."""
    faults = {side: of.fault for side, of in (("a", a), ("b", b)) if of.fault}
    return {"a": str(a.directory), "b": str(b.directory), **({"faults": faults} if faults else {})}


def _show_losses(options: argparse.Namespace, a: Results, b: Results) -> int:
    """Compare losses and show. Raises ResultsError."""
    losses = compare_losses(a, b)
    if options.json:
        print_json({**_sides(a, b), **plain(losses)})
    else:
        results().print(Group(_names(a, b), losses_view(losses, max(0, options.limit))))
    return EXIT_OK


def _names(a: Results | Fault, b: Results | Fault) -> Table:
    names = Table.grid(padding=(0, 2))
    for side, of in (("A", a), ("B", b)):
        names.add_row(Text(side, style="bold"), Text(f"{of.name}  ({of.directory})"))
        if of.fault:
            names.add_row("", Text(f"score 0: {of.fault}", style="red"))
    return names


def _view(names: Table, comparison: Comparison, limit: int) -> Group:
    table = Table()
    table.add_column("category")
    for title in ("tasks", "A", "B", "A - B", "95 % interval", "only A", "only B", "both", "p"):
        table.add_column(title, justify="right")
    for name, contrast in comparison.categories.items():
        table.add_row(Text(name), *_cells(contrast))
    table.add_section()
    table.add_row("all", *_cells(comparison.overall), style="bold")
    parts: list[Table | Text] = [names, table, Text(f"{comparison.finding}\n", style="bold")]
    if limit and comparison.differing:
        parts.append(_differing(comparison.differing, limit))
    return Group(*parts)


def _cells(contrast: Contrast) -> list[str]:
    low, high = contrast.interval
    return [
        str(contrast.total),
        f"{contrast.a_score:.1%}",
        f"{contrast.b_score:.1%}",
        f"{contrast.difference:+.1%}",
        f"{low:+.1%} to {high:+.1%}",
        str(contrast.only_a),
        str(contrast.only_b),
        str(contrast.both),
        f"{contrast.p_value:.3g}",
    ]


def _differing(pairs: list[Pair], limit: int) -> Table:
    shown = pairs[:limit]
    table = Table(caption=f"{len(shown)} of {len(pairs)} tasks that differ", caption_justify="left")
    for title in ("task", "category", "A", "B"):
        table.add_column(title)
    for pair in shown:
        table.add_row(
            Text(pair.id),
            Text(pair.category),
            _outcome(pair.a_passed, pair.a_score),
            _outcome(pair.b_passed, pair.b_score),
        )
    return table


def _outcome(passed: bool, score: float) -> Text:
    partial = "" if score in (0.0, 1.0) else f" {score:.3f}"
    return Text(("passed" if passed else "failed") + partial, style="green" if passed else "red")
