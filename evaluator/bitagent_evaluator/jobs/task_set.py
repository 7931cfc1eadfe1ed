"""TaskSetJob: a round's tasks."""

from __future__ import annotations

from pathlib import Path

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import TaskSetJob, TaskSetSummary
from bitagent_evaluator.jobs.outcome import Outcome
from bitagent_evaluator.tasks import TaskSetError, build_task_set


def handle(job: TaskSetJob) -> Outcome:
    """Build; a spec that cannot be met is final."""
    files = {int(index): Path(path) for index, path in job.files.items()}
    try:
        manifest = build_task_set(job.tasks, files=files, out=Path(job.out_dir))
    except TaskSetError as error:
        return Outcome.final(TaskSetSummary(reason=Reason.TASKS_FAILED, message=str(error)))
    message = f"{manifest.count} tasks from {len(manifest.sources)} sources"
    return Outcome.done(
        TaskSetSummary(reason=Reason.TASKS_READY, message=message, digest=manifest.digest, count=manifest.count)
    )
