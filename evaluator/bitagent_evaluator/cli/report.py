"""`bitagent-eval report`: results as one HTML page that needs no network."""

from __future__ import annotations

import argparse
from pathlib import Path

from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_OK, EXIT_USAGE
from bitagent_evaluator.cli.output import fail, results
from bitagent_evaluator.reports.page import render
from bitagent_evaluator.reports.reading import Fault, Results, ResultsError, read_outcome, read_tasks_of
from bitagent_evaluator.reports.view import page
from bitagent_evaluator.runs.files import write_atomically
from bitagent_evaluator.tasks import TaskSetError

_EPILOG = "exit codes: 0 written, 2 unusable results or tasks, 1 the page cannot be written"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bitagent-eval report", description=__doc__, epilog=_EPILOG)
    parser.add_argument(
        "results", type=Path, nargs="+", metavar="DIR", help="results directories; several make a leaderboard"
    )
    parser.add_argument(
        "--tasks", type=Path, metavar="DIR", help="their task set, to show prompts and expected answers"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page, such as report.html")
    parser.add_argument(
        "--failures", type=int, default=50, metavar="N", help="failed tasks to show per model (default: %(default)s)"
    )
    return parser


def main(argv: list[str]) -> int:
    """Write the page."""
    options = _parser().parse_args(argv)
    try:
        outcomes = [read_outcome(directory) for directory in options.results]
        several = [outcome for outcome in outcomes if isinstance(outcome, Results)]
        faults = [outcome for outcome in outcomes if isinstance(outcome, Fault)]
        known = [(one, read_tasks_of(options.tasks, one) if options.tasks else None) for one in several]
        html = render(page(known, faults, failures=max(0, options.failures)))
    except (ResultsError, TaskSetError) as error:
        return fail("report", str(error), EXIT_USAGE)
    try:
        write_atomically(options.out, html.encode())
    except OSError as error:
        return fail("report", f"cannot write {options.out}: {error.strerror}", EXIT_INFRASTRUCTURE)
    results().print(f"{options.out}: {len(outcomes)} results, {len(html.encode()):,} bytes", markup=False)
    return EXIT_OK
