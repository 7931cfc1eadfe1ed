"""The process of a pack that has the engine: evaluates models one after the other, and reports how each of them ended.

`pack` starts it (`bitagent_evaluator.cli.pack_engine`) and reads its reports: `{"begin": n}` of each model, then
`{"end": n, "summary": {...}}`, and `{"progress": {...}}` of the present one every PROGRESS_SECONDS. A model's fault
that was found before the engine had anything to do with it lets the process continue; after any other failure it ends,
and the next model gets an engine of its own.

While a model's answers are generated, the next model's weights are read into memory.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EvaluateSummary, PackJob
from bitagent_evaluator.engines.base import Engine
from bitagent_evaluator.engines.plan import EnginePlan, Hardware
from bitagent_evaluator.engines.read_ahead import ReadAhead
from bitagent_evaluator.jobs.evaluate import ReportingBackend, evaluate_model
from bitagent_evaluator.jobs.runner import Stopped, reason_of
from bitagent_evaluator.support.progress import ProgressBoard

_log = logging.getLogger(__name__)

Report = Callable[[dict[str, Any]], None]
"""Sends one object."""

PROGRESS_SECONDS = 10.0
"""Time between two reports of the progress."""


class TurnBackend:
    """The engine during one model's turn. It knows whether the model has reached the engine."""

    def __init__(self, inner: ReportingBackend, after_load: Callable[[], None]) -> None:
        """`after_load` is called when the model is loaded."""
        self._inner, self._after_load = inner, after_load
        self.identity = inner.identity
        self.hardware_facts = inner.hardware_facts
        self.reached = False

    def prepare(self, model_dir: Path) -> None:
        """Start what takes long and needs no model."""
        self._inner.prepare(model_dir)

    def hardware(self) -> Hardware:
        """Return what engines run on."""
        return self._inner.hardware()

    def start(self, model_dir: Path, plan: EnginePlan) -> AbstractContextManager[Engine]:
        """Load the model."""
        self.reached = True
        engine = self._inner.start(model_dir, plan)
        self._after_load()
        return engine


@contextmanager
def reporting_progress(board: ProgressBoard, report: Report, *, every: float = PROGRESS_SECONDS) -> Iterator[None]:
    """Report the progress at once and every so many seconds while the block runs, in a thread of its own.

    A process that hangs as a whole is silent, which says as much.
    """
    ended = threading.Event()

    def repeat() -> None:
        while True:
            try:
                report({"progress": board.document().model_dump(mode="json", by_alias=True, exclude_none=True)})
            except (OSError, ValueError):
                return  # whoever read it has ended, and soon this process has
            if ended.wait(every):
                return

    thread = threading.Thread(target=repeat, name="progress-reports", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(every)


def run(
    job: PackJob, first: int, backend: ReportingBackend, report: Report, progress: ProgressBoard | None = None
) -> None:
    """Evaluate the models from number `first` on, until all have ended or one has failed. Raises Stopped.

    `progress` shows how far the present model is.
    """
    board, ahead = progress or ProgressBoard(), ReadAhead()
    for number in range(first, len(job.members)):
        member = job.members[number]
        report({"begin": number})
        board.start_model(member.key)
        began = None if number == first else time.monotonic()
        later = [Path(other.job.model_dir) for other in job.members[number + 1 : number + 2]]
        turn = TurnBackend(backend, partial(ahead.begin, later))

        def end(summary: EvaluateSummary, number: int = number) -> None:
            report({"end": number, "summary": summary.model_dump(mode="json", by_alias=True, exclude_none=True)})

        def end_stalled(summary: EvaluateSummary, end: Callable[[EvaluateSummary], None] = end) -> None:
            """End the process, whose main thread cannot."""
            end(summary)
            os._exit(0)

        try:
            summary = evaluate_model(member.job, turn, board, end_stalled=end_stalled, began=began)
        except Stopped as error:
            end(EvaluateSummary(reason=Reason.STOPPED, message=f"stopped by {error}"))
            raise
        except Exception as error:  # noqa: BLE001 - the border: the model's outcome names what happened
            _log.exception("the evaluation of %s failed", member.job.run.repo)
            summary = EvaluateSummary(reason=reason_of(error), message=f"{type(error).__name__}: {error}")
        end(summary)
        if summary.reason is not Reason.EVALUATED and (turn.reached or not summary.reason.fault.final):
            return
