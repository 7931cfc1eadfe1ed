"""Resolutions: what a branch, a tag or a directory stands for when a round fixes its models.

A round with `tasks.seedFrom` fixes the commit of each model before its seed can be known. A commit that the MinerModel
names is fixed as it is; anything else is resolved by a Job of its own, which fetches no files and so takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bitagent_crds.conditions import ConditionStatus, ConditionType
from bitagent_crds.jobs import FetchSummary
from bitagent_crds.minermodel import FirstSight, MinerModelStatus, Resolution
from bitagent_crds.model_result import ResultState
from bitagent_crds.names import NEED_LABEL, SINCE_LABEL, short_hash
from bitagent_kube.conditions import find
from bitagent_operator.observed.objects import ModelObject, RoundObject, changed
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.identity import origin
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.interface import HubTrouble, StartFetch
from bitagent_operator.plan.jobs.outcome import Active, Done, InfraFault, Lost, ModelFault, Unseen, classify
from bitagent_operator.plan.jobs.pods import Problem
from bitagent_operator.plan.models.fetch import RECENT, named_commit
from bitagent_operator.plan.models.hub import hub_trouble

BACKOFF = timedelta(seconds=10)
"""Wait after a Job that failed for an infrastructure reason: the round does not wait long."""


@dataclass(frozen=True)
class ResolutionStep:
    """The state of a model's resolution."""

    status: MinerModelStatus
    """The model's status with the last resolution."""
    start: StartFetch | None = None
    failure: tuple[Problem, datetime] | None = None
    """Why the hub cannot resolve the revision, and since when, if another attempt would end the same."""
    unneeded: tuple[JobObject, ...] = ()
    """Jobs whose result is recorded, or that no round waits for."""
    requeue_after: float | None = None
    trouble: HubTrouble | None = None
    """What the last Job met at the hub, if every other one would meet it as well."""
    answered: datetime | None = None
    """When the hub answered the last Job."""


def resolve(
    model: ModelObject,
    *,
    jobs: Iterable[JobObject],
    pods: Sequence[PodObject],
    rounds: Iterable[RoundObject],
    pass_: Pass,
) -> ResolutionStep:
    """Return the state of the resolution that the model's rounds need. `jobs` are those that resolve this model."""
    jobs, status = sorted(jobs, key=lambda j: (since_of(j), j.meta.created)), model.status
    since = _needed_since(model, rounds)
    if since is None:
        return ResolutionStep(status, unneeded=tuple(jobs))
    latest = jobs[-1] if jobs else None
    if latest is None or since_of(latest) < since:
        return ResolutionStep(status, start=_start(model, since), unneeded=tuple(jobs))
    older = tuple(jobs[:-1])
    outcome = classify(latest, pods, FetchSummary, pass_)
    ended = latest.ended.at if latest.ended is not None else pass_.now
    trouble = hub_trouble(latest, outcome, pods, repository=origin(model.spec.source))
    match outcome:
        case Done(summary=summary, pod=pod) if summary.commit is not None:
            at = max(min(pod.started or latest.meta.created, pass_.now), latest.meta.created)
            found = Resolution(commit=summary.commit, generation=model.meta.generation, at=at)
            return ResolutionStep(changed(status, resolution=found), unneeded=older, answered=ended)
        case ModelFault(reason=reason, message=message, pod=pod):
            found_at = pod.terminated.finished if pod.terminated is not None else None
            at = max(min(found_at or latest.meta.created, pass_.now), latest.meta.created)
            return ResolutionStep(status, failure=(Problem(reason, message), at), unneeded=older)
        case InfraFault() | Lost() | Done():
            # Of a Job whose pod never ends, as on a node that was lost, only the outcome says since when.
            due = (ended if isinstance(outcome, Done) else outcome.at) + BACKOFF
            due = pass_.now if isinstance(outcome, InfraFault) and outcome.untimed else due
            if pass_.now < due:
                wait = (due - pass_.now).total_seconds()
                return ResolutionStep(status, unneeded=older, requeue_after=wait, trouble=trouble)
            need = short_hash(latest.meta.labels[NEED_LABEL], "again")
            start = StartFetch(need, since, 1, resolve_only=True)
            return ResolutionStep(status, start=start, unneeded=older, trouble=trouble)
        case Active() | Unseen():
            return ResolutionStep(status, unneeded=older, trouble=trouble)


def since_of(job: JobObject) -> datetime:
    """Return the earliest time of a valid result of a fetch Job."""
    return datetime.fromtimestamp(int(job.meta.labels.get(SINCE_LABEL, "0")), UTC)


def resolved_for(model: ModelObject, *, started: datetime) -> str | None:
    """Return the commit to fix in a round that started at `started`; None while it is not known."""
    if (commit := named_commit(model.spec)) is not None:
        return commit
    found = model.status.resolution
    if found is None or found.generation != model.meta.generation or found.at < started - RECENT:
        return None
    return found.commit


def with_first_sight(status: MinerModelStatus) -> MinerModelStatus:
    """Return the status with the time at which its present commit was first seen.

    What a branch stands for later is another submission, however old the object is.
    """
    sights = [each for each in (status.resolved, status.resolution) if each is not None]
    latest = max(sights, key=lambda each: each.at, default=None)
    known = status.first_seen
    if latest is None or (known is not None and known.commit == latest.commit):
        return status
    at = min(each.at for each in sights if each.commit == latest.commit)
    return changed(status, first_seen=FirstSight(commit=latest.commit, at=at))


def _start(model: ModelObject, since: datetime) -> StartFetch:
    need = short_hash(model.meta.uid, str(model.meta.generation), str(int(since.timestamp())), "resolve")
    return StartFetch(need, since, 1, resolve_only=True)


def _needed_since(model: ModelObject, rounds: Iterable[RoundObject]) -> datetime | None:
    """Return the start of the newest round that waits for a resolution; None if none does, or if there is one."""
    if named_commit(model.spec) is not None or model.spec.suspend:
        return None
    starts = [started for r in rounds if (started := _unfixed_since(r, model.meta.name)) is not None]
    if not starts or resolved_for(model, started=max(starts)) is not None:
        return None
    fetched = find(model.status.conditions, ConditionType.FETCHED)
    refused = (
        fetched is not None
        and fetched.status == ConditionStatus.FALSE
        and fetched.observed_generation == model.meta.generation
        and fetched.reason.fault.final
        and fetched.last_transition_time >= max(starts) - RECENT
    )
    return None if refused else max(starts)


def _unfixed_since(observed: RoundObject, model: str) -> datetime | None:
    seed_from = observed.spec.tasks.seed_from
    if seed_from is None or seed_from.revealed or observed.status.finished_at is not None or observed.spec.suspend:
        return None
    waits = any(
        r.model == model and r.state == ResultState.PENDING and r.commit is None for r in observed.status.results
    )
    return observed.status.begun if waits else None
