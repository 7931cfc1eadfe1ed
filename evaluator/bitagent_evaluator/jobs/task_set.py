"""TaskSetJob: a round's tasks."""

from __future__ import annotations

import os
from pathlib import Path

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import TaskSetJob, TaskSetSummary
from bitagent_evaluator.faults import InfrastructureFault
from bitagent_evaluator.jobs.outcome import Outcome
from bitagent_evaluator.tasks import TaskSetError, build_task_set
from bitagent_evaluator.tasks.message import describe


def handle(job: TaskSetJob) -> Outcome:
    """Build; a spec that cannot be met is final, an endpoint that cannot be reached is not."""
    files = {int(index): Path(path) for index, path in job.files.items()}
    try:
        manifest = build_task_set(job.tasks, files=files, out=Path(job.out_dir), environment=os.environ)
    except TaskSetError as error:
        return Outcome.final(TaskSetSummary(reason=Reason.TASKS_FAILED, message=str(error)))
    except InfrastructureFault as fault:
        return Outcome.infrastructure(TaskSetSummary(reason=fault.reason, message=fault.message))
    return Outcome.done(
        TaskSetSummary(
            reason=Reason.TASKS_READY, message=describe(manifest), digest=manifest.digest, count=manifest.count
        )
    )
