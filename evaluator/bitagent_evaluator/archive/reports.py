"""Reports of a round's evaluations, one page each: `bitagent-eval report` of its files."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from bitagent_evaluator.reports.page import build_page, render
from bitagent_evaluator.reports.results import Results, read_outcome, read_tasks_of

MOST_FAILURES = 200
"""Failed tasks that a page shows; all are in verdicts.jsonl."""
_log = logging.getLogger(__name__)


def reports(root: Path, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the path in the archive and the page of each of these evaluations whose results can be read.

    One evaluation is in memory at a time: a round may have a thousand.
    """
    for key in keys:
        try:
            page = _report(root / "results" / key, root / "tasks")
        except Exception as error:  # noqa: BLE001 - a page is an extra; without it the files are archived all the same
            _log.warning("results/%s has no report: %s", key, error)
            continue
        yield f"reports/{key}.html", page


def _report(folder: Path, task_set: Path) -> bytes:
    outcome = read_outcome(folder)
    if not isinstance(outcome, Results):
        return render(build_page([], [outcome], failures=MOST_FAILURES)).encode()
    tasks = read_tasks_of(task_set, outcome)
    return render(build_page([(outcome, tasks)], [], failures=MOST_FAILURES)).encode()
