"""Work after the end of a round, in its plan and in Jobs: its archive, and the retention of its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from bitagent_kube.objects import Obj
from bitagent_operator.manifests.archive import archive_job
from bitagent_operator.manifests.retention import retention_job
from bitagent_operator.observed.objects import RoundObject
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.files.archive import is_archive_job, is_archived, with_archive
from bitagent_operator.plan.files.retention import FinishedFiles, files_of, is_retention_job, with_retention
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.interface import RoundPlan
from bitagent_operator.reconcilers.context import Context


def with_work_after_the_end(
    context: Context,
    plan: RoundPlan,
    observed: RoundObject,
    *,
    jobs: Sequence[JobObject],
    pods: Sequence[PodObject],
    pass_: Pass,
) -> RoundPlan:
    """Return the plan of a round with its archive and the retention of its files. `jobs` are all of its name."""
    config = context.config
    archives = bool(config.archive) and observed.status.finished_at is not None and not is_archived(observed.status)
    plan = with_archive(
        plan,
        observed,
        jobs=[job for job in jobs if is_archive_job(job)],
        pods=pods,
        elsewhere=_elsewhere(context, observed, is_archive_job) if archives else 0,
        pass_=pass_,
    )
    retains = config.retention is not None and observed.status.finished_at is not None
    return with_retention(
        plan,
        observed,
        jobs=[job for job in jobs if is_retention_job(job)],
        pods=pods,
        rounds=_finished_files(context) if retains else (),
        elsewhere=_elsewhere(context, observed, is_retention_job) if retains else 0,
        pass_=pass_,
    )


def _finished_files(context: Context) -> list[FinishedFiles]:
    jobs: dict[str, list[JobObject]] = {}
    for job in filter(is_retention_job, context.cache.jobs):
        jobs.setdefault(job.meta.owner_uid, []).append(job)
    archive = context.config.archive is not None
    found = (files_of(each, archive=archive, jobs=jobs.get(each.meta.uid, ())) for each in context.cache.rounds)
    return [files for files in found if files is not None]


def _elsewhere(context: Context, observed: RoundObject, kind: Callable[[JobObject], bool]) -> int:
    """Count the Jobs of a kind for other rounds that have not ended."""
    others = (job for job in context.cache.jobs if job.ended is None and kind(job))
    return sum(job.meta.owner_uid != observed.meta.uid for job in others)


def jobs_after_the_end(context: Context, observed: RoundObject, plan: RoundPlan) -> Iterator[Obj]:
    """Yield the Jobs that the plan starts for the archive and the retention."""
    if plan.archive is not None and context.config.archive is not None:
        yield archive_job(context.config, context.config.archive, observed, plan.archive)
    if plan.retention is not None:
        known = [each.meta.uid for each in (*context.cache.rounds, *context.cache.rounds.unreadable())]
        yield retention_job(context.config, replace(observed, status=plan.status), plan.retention, known)
