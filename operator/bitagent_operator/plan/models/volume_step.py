"""The volume that a fetch needs, where each model has one of its own.

Kubernetes keeps a claim while there is a pod that mounts it, also one that has ended. So the Jobs that have ended go
with the claim that they have used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import CacheRoom
from bitagent_crds.names import CACHE_LABEL, cache_id
from bitagent_operator.observed.objects import ModelObject
from bitagent_operator.observed.workloads import JobObject
from bitagent_operator.plan.identity import source_directory
from bitagent_operator.plan.inputs import LiveReads, Pass
from bitagent_operator.plan.interface import JobDeletion, ModelPlan, StartFetch, VolumePlan
from bitagent_operator.plan.jobs.pods import Problem
from bitagent_operator.plan.models.fetch_step import ROOM_BACKOFF, failed, unknown
from bitagent_operator.plan.models.model import events
from bitagent_operator.plan.models.model_volumes import make_room, volume_bytes

RECORDED_AFTER = timedelta(seconds=10)
"""Time after its end in which what a Job has found is recorded: until then it stays, whoever deletes its claim."""


def needs_volume(plan: ModelPlan) -> bool:
    """Whether the plan starts a fetch of files that go into a volume of their own."""
    return not plan.reads and plan.fetch is not None and plan.fetch.size_bytes is not None


def volume_of(model: ModelObject, start: StartFetch) -> str:
    """Return the `cache_id` of the model that is fetched. Raises ValueError if its commit is not known."""
    if start.commit is None:
        raise ValueError(f"{model.meta.name}: a fetch into a volume of its own needs a commit")
    return cache_id(source_directory(model.spec.source, start.commit))


def with_volume(
    model: ModelObject,
    plan: ModelPlan,
    *,
    limit: int,
    room: CacheRoom,
    busy: frozenset[str],
    used: Mapping[str, datetime],
    pass_: Pass,
) -> ModelPlan:
    """Return the plan of a model that `needs_volume`, with what that takes; without room the fetch waits.

    `limit`: bytes that all volumes may have together, 0: unlimited; the other arguments are those of `make_room`.
    """
    start, volumes = plan.fetch, pass_.live.volumes
    if start is None or start.size_bytes is None:
        return plan
    if volumes is None:
        return ModelPlan(status=model.status, reads=LiveReads(volumes=True))
    name, size = volume_of(model, start), volume_bytes(start.size_bytes)
    if own := [each for each in volumes if each.id == name]:
        return replace(plan, volume=VolumePlan(name, size, tuple(each for each in own if each.lost)))
    largest = min((each for each in (limit, room.share_bytes) if each), default=0)
    if size > largest > 0:
        text = f"its volume of {size} bytes exceeds the {largest} bytes of volumes that one hotkey may have"
        return _refused(model, plan, Problem(Reason.TOO_LARGE, text), pass_)
    found = make_room(volumes, needed=size, limit=limit, room=room, busy=busy, used=used, now=pass_.now)
    if found.full:
        text = f"its volume of {size} bytes does not fit into {found.full}, beside those that are or were just in use"
        return _waiting(model, plan, Problem(Reason.CACHE_FULL, text), pass_)
    return replace(plan, volume=VolumePlan(name, size, found.delete))


def releasing(plan: ModelPlan, jobs: Iterable[JobObject], pass_: Pass) -> ModelPlan:
    """Return the plan with the deletion of the ended Jobs whose pods keep claims that are, or now become, deleted.

    Only those of claims that now become deleted are known to be recorded.
    """
    left = {each.id for each in plan.volume.delete} if plan.volume is not None else set()
    going = {each.id for each in pass_.live.volumes or () if each.deleting} - left
    if not going and not left:
        return plan
    known = {each.uid for each in plan.delete}

    def is_spent(job: JobObject) -> bool:
        volume = job.meta.labels.get(CACHE_LABEL)
        if job.ended is None or job.meta.deleting:
            return False
        return volume in left or (volume in going and pass_.now >= job.ended.at + RECORDED_AFTER)

    ended = [JobDeletion(job.meta.name, job.meta.uid) for job in jobs if is_spent(job)]
    return replace(plan, delete=(*plan.delete, *(each for each in ended if each.uid not in known)))


def _refused(model: ModelObject, plan: ModelPlan, problem: Problem, pass_: Pass) -> ModelPlan:
    """Return the plan of a model that will never fit."""
    status = failed(plan.status, model.meta.generation, pass_.now, problem, at=pass_.now)
    return replace(plan, status=status, fetch=None, events=events(model.status, status))


def _waiting(model: ModelObject, plan: ModelPlan, problem: Problem, pass_: Pass) -> ModelPlan:
    """Return the plan without its fetch, which looks for room again later."""
    status = unknown(plan.status, model.meta.generation, pass_.now, problem)
    wait = ROOM_BACKOFF.total_seconds()
    return replace(
        plan,
        status=status,
        fetch=None,
        events=events(model.status, status, waits=True),
        requeue_after=min(wait, wait if plan.requeue_after is None else plan.requeue_after),
    )
