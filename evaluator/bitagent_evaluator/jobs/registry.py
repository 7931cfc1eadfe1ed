"""The handler and the summary of each kind of Job. Handlers are imported when used: a fetch must not pay for an engine's imports."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EvaluateJob, EvaluateSummary, FetchJob, FetchSummary, JobKind, TaskSetJob, TaskSetSummary
from bitagent_evaluator.jobs.outcome import Outcome, Summary

Job = FetchJob | TaskSetJob | EvaluateJob


@dataclass(frozen=True)
class Kind:
    """One kind of Job."""

    module: str
    """Module whose `handle(job) -> Outcome` does the work."""
    summary: Callable[[Reason, str], Summary]
    """A summary that says only why there is no result."""

    def handle(self, job: Job) -> Outcome:
        """Do the work."""
        handler = cast(Callable[[Job], Outcome], importlib.import_module(self.module).handle)
        return handler(job)


KINDS: Mapping[JobKind, Kind] = {
    JobKind.FETCH: Kind(
        "bitagent_evaluator.jobs.fetch", lambda reason, message: FetchSummary(reason=reason, message=message)
    ),
    JobKind.TASK_SET: Kind(
        "bitagent_evaluator.jobs.task_set", lambda reason, message: TaskSetSummary(reason=reason, message=message)
    ),
    JobKind.EVALUATE: Kind(
        "bitagent_evaluator.jobs.evaluate", lambda reason, message: EvaluateSummary(reason=reason, message=message)
    ),
}
