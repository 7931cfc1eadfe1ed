"""Reports of a round's evaluations, one page each: `bitagent-eval report` of its files.

Evaluation pods wrote these files, so none is opened by its path: each is copied by `folder.open_file`, which follows no
link, to a folder of the pod's own that is read instead. Files that are too large for memory are not copied.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from bitagent_evaluator.archive.folder import open_file
from bitagent_evaluator.evaluation.journal import RESPONSES
from bitagent_evaluator.evaluation.results import MANIFEST, SUMMARY, VERDICTS
from bitagent_evaluator.evaluation.timeline import TIMELINE
from bitagent_evaluator.reports.page import build_page, render
from bitagent_evaluator.reports.results import Results, read_outcome, read_tasks_of
from bitagent_evaluator.support.files import PIECE_BYTES
from bitagent_evaluator.tasks.files import MANIFEST as TASK_MANIFEST
from bitagent_evaluator.tasks.files import TASKS

MOST_FAILURES = 200
"""Failed tasks that a page shows; all are in verdicts.jsonl."""
MOST_BYTES = 48 << 20
"""Size of the files of one report: in memory they take about ten times as much, and the pod has 2 GiB."""
_RESULTS = (MANIFEST, SUMMARY, VERDICTS, RESPONSES, TIMELINE)
_log = logging.getLogger(__name__)


def reports(root: Path, keys: Iterable[str], *, most_bytes: int = MOST_BYTES) -> Iterator[tuple[str, bytes]]:
    """Yield the path in the archive and the page of each of these evaluations whose results can be read.

    One evaluation is in memory at a time: a round may have a thousand. One whose files and tasks have more than
    `most_bytes` has no report.
    """
    with tempfile.TemporaryDirectory(prefix="report-") as folder:
        copies = Path(folder)
        used = _copy(root, "tasks", (TASK_MANIFEST, TASKS), copies, most_bytes)
        for key in keys:
            try:
                _copy(root, f"results/{key}", _RESULTS, copies, most_bytes - used)
                page = _report(copies / "results" / key, copies / "tasks")
            except Exception as error:  # noqa: BLE001 - a page is an extra; without it the files are archived all the same
                _log.warning("results/%s has no report: %s", key, error)
                continue
            finally:
                shutil.rmtree(copies / "results", ignore_errors=True)
            yield f"reports/{key}.html", page


def _copy(root: Path, folder: str, names: Iterable[str], copies: Path, most: int) -> int:
    """Copy those of the files that are there; return their size. Raises ValueError if they have more bytes."""
    (copies / folder).mkdir(parents=True, exist_ok=True)
    used = 0
    for name in names:
        target = copies / folder / name
        with suppress(FileNotFoundError), open_file(root, f"{folder}/{name}") as source, target.open("wb") as copy:
            while piece := source.read(PIECE_BYTES):
                used += len(piece)
                if used > most:
                    raise ValueError(f"{folder} has more bytes than a report may have in memory")
                copy.write(piece)
    return used


def _report(folder: Path, task_set: Path) -> bytes:
    outcome = read_outcome(folder)
    if not isinstance(outcome, Results):
        return render(build_page([], [outcome], failures=MOST_FAILURES)).encode()
    tasks = read_tasks_of(task_set, outcome)
    return render(build_page([(outcome, tasks)], [], failures=MOST_FAILURES)).encode()
