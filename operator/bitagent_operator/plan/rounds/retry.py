"""Series of a round's Jobs: what is done again after `spec.retry` was raised, and with another image.

A series has Jobs of its own, with other names: what earlier ones have left, their Jobs, pods and refusals, decides
nothing any longer. Good results, and whatever a model cannot escape by a retry, stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.evalround import EvalRoundStatus, RoundPhase
from bitagent_crds.model_result import ModelResult, ResultState
from bitagent_kube.conditions import Conditions
from bitagent_kube.objects import EventMessage
from bitagent_operator.observed.objects import RoundObject, changed
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.interface import EventReason
from bitagent_operator.plan.jobs.pods import pod_problem
from bitagent_operator.plan.rounds.attempts import EVALUATED, Update
from bitagent_operator.plan.rounds.end import GONE, active_since, is_to_be_retried
from bitagent_operator.plan.rounds.status import derived

_RETRIED = frozenset({ResultState.INFRA_FAULT, ResultState.NOT_EVALUATED})


@dataclass(frozen=True)
class NewSeries:
    """A status with a new series, and the Event that says why."""

    status: EvalRoundStatus
    event: EventMessage


def retry(observed: RoundObject, pass_: Pass) -> NewSeries | None:
    """Return the status of a failed round that is taken up again; None if it is not to be.

    A set without any MinerModel is selected again, unless the tasks' seed is public by now. A task set that was built
    stays, and so does the image, if one of its containers has made anything that stays. Nothing does if the round's
    files were removed since: a task set that is built again may be another one, and scores on two task sets must not be
    compared. While a Job removes them, the retry waits: that Job would take what the retry makes.
    """
    old, spec = observed.status, observed.spec
    if not is_to_be_retried(observed) or pass_.removing:
        return None
    removed = old.files is not None and old.files.removed_at is not None
    states = _RETRIED | EVALUATED if removed else _RETRIED
    again = [r for r in old.results if r.state in states]
    results = [_again(r) if r.state in states else r for r in old.results]
    task_set = None if removed else old.task_set
    keeps = task_set is not None or any(r.score is not None for r in results)
    new = changed(
        old,
        phase=RoundPhase.PREPARING if results else RoundPhase.PENDING,
        results=results,
        task_set=task_set,
        image=old.image if keeps else pass_.settings.image or None,
        retry=spec.retry,
        series=old.series + 1,
        retried_at=pass_.now,
        finished_at=None,
    )
    seed = spec.tasks.seed_from
    known = seed is not None and seed.revealed
    if not known and all(r.reason in GONE for r in results):
        new = changed(new, results=[], started_at=None, phase=RoundPhase.PENDING)
    new = changed(new, active_since=pass_.now if active_since(observed, pass_.now) else None)
    text = f"retry {spec.retry}: {len(again)} of {len(old.results)} models are evaluated again"
    if observed.spec.tasks_only:
        text = f"retry {spec.retry}: the task set is built again"
    elif new.started_at is None:
        text = f"retry {spec.retry}: the models are selected again"
    elif task_set is None:
        text += ", and the task set is built again"
    conditions = Conditions(old.conditions, generation=observed.meta.generation, now=pass_.now)
    for kind in (ConditionType.RUNNING, ConditionType.COMPLETE, ConditionType.FAILED):
        conditions.set(kind, ConditionStatus.FALSE, Reason.ROUND_RETRIED, text)
    if task_set is None:
        conditions.set(ConditionType.TASKS_READY, ConditionStatus.FALSE, Reason.ROUND_RETRIED, text)
    status = derived(observed, changed(new, conditions=conditions.all()))
    return NewSeries(status, EventMessage(EventReason.ROUND_RETRIED, text))


def _again(result: ModelResult) -> ModelResult:
    """Return the entry before its evaluation. What was frozen stays, since the tasks may be known by now."""
    return Update(ResultState.PENDING, Reason.ROUND_RETRIED).applied_to(result)


def other_image(
    observed: RoundObject, *, jobs: Iterable[JobObject], pods: Sequence[PodObject], pass_: Pass
) -> NewSeries | None:
    """Return the status with the image of the configuration, if the frozen one cannot be pulled; None if it stays.

    It stays once a container of the round has run: results of two versions must not be compared.
    """
    status, image = observed.status, pass_.settings.image
    if not image or status.image in (None, image) or status.finished_at is not None:
        return None
    uids = {job.meta.uid for job in jobs}
    own = [pod for pod in pods if pod.meta.owner_uid in uids]
    ran = any(pod.started is not None for pod in own) or any(job.failed for job in jobs)
    recorded = status.task_set is not None or any(r.score is not None or r.failures or r.node for r in status.results)
    problems = (pod_problem(pod, None, pass_) for pod in own)
    if ran or recorded or not any(p is not None and p.reason is Reason.IMAGE_PULL_FAILED for p in problems):
        return None
    running = {ResultState.RUNNING, *_RETRIED}
    results = [_again(r) if r.state in running else r for r in status.results]
    text = f"{status.image} cannot be pulled and has never run here; the Jobs are made again with {image}"
    new = derived(observed, changed(status, image=image, series=status.series + 1, results=results))
    return NewSeries(new, EventMessage(EventReason.IMAGE_CHANGED, text, warning=True))
