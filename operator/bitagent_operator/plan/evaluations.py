"""Evaluations: one Job per set of weights, and who owns its result.

Equal weights are evaluated once. The result belongs to the model that was committed first: by its commit block, then by the age of
its object, then by name; the others are duplicates and earn nothing. A model admitted late may still turn out to be the first, so
owners are settled anew in every pass until the round ends; the evaluation itself is never repeated for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import ModelResult, ResultState, TaskSetStatus
from bitagent_crds.jobs import EvaluateSummary
from bitagent_crds.layout import evaluation_key
from bitagent_operator import naming
from bitagent_operator.conditions import clip
from bitagent_operator.observed import JobObject, ModelObject, PodObject, RoundObject
from bitagent_operator.plan.questions import Answers, Gather
from bitagent_operator.plan.results import (
    MESSAGE_LENGTH,
    Active,
    Done,
    InfraFault,
    Lost,
    ModelFault,
    Unseen,
    classify,
    started_pods,
)

ZERO = "0.000000"
_EVALUATED = frozenset({ResultState.SUCCEEDED, ResultState.MODEL_FAULT, ResultState.INFRA_FAULT})
_SHARED = (
    "state",
    "reason",
    "message",
    "score",
    "passed",
    "loss",
    "batch_losses",
    "attempts",
    "result_digest",
    "started_at",
    "finished_at",
    "seconds",
)
"""Fields of a result that belong to the evaluation; they move with its owner."""


@dataclass(frozen=True)
class Evaluation:
    """An evaluation Job to create."""

    key: str
    attempt: int
    model: ModelObject
    commit: str
    weights_digest: str


@dataclass(frozen=True)
class Work:
    """The evaluations of a round, as they are."""

    results: list[ModelResult]
    create: tuple[Evaluation, ...]
    """Jobs that may be created now, within the slots."""
    unfinished: tuple[JobObject, ...]
    obsolete: tuple[JobObject, ...]
    """Unfinished Jobs whose result nobody wants any more."""


@dataclass
class _Slots:
    """How many Jobs may still be created."""

    free: int | None
    create: list[Evaluation] = field(default_factory=list)

    def take(self, evaluation: Evaluation) -> bool:
        if self.free is not None and len(self.create) >= self.free:
            return False
        self.create.append(evaluation)
        return True


@dataclass(frozen=True)
class _Observer:
    """What a Job is judged with."""

    pods: Sequence[PodObject]
    answers: Answers
    ask: Gather
    now: datetime
    unschedulable_after: timedelta
    max_attempts: int
    suspended: bool
    queued: bool

    def result(self, jobs: list[JobObject], members: Iterable[ModelResult]) -> dict[str, Any] | int:
        """Result fields that the Jobs of one evaluation show, or the number of the attempt to start.

        `members` are the entries of these weights, as they were recorded last.
        """
        if not jobs:
            return 1
        job = max(jobs, key=lambda j: j.attempt)
        common: dict[str, Any] = {"attempts": sum(started_pods(j) for j in jobs), "started_at": jobs[0].started}
        outcome = classify(
            job,
            self.pods,
            EvaluateSummary,
            answers=self.answers,
            now=self.now,
            unschedulable_after=self.unschedulable_after,
            told=next(((m.reason, m.message) for m in members if m.state == ResultState.RUNNING), None),
        )
        match outcome:
            case Unseen():
                self.ask.pods_of.add(job.meta.uid)
                return common | {"state": ResultState.RUNNING}
            case Active():
                return common | self._active(job, outcome)
            case Done(summary=s, pod=pod) if s.score is not None:
                return common | _done(s, pod, self.now)
            case ModelFault():
                return common | _model_fault(outcome, self.now)
            case InfraFault():
                return common | _infra_fault(outcome.reason, outcome.message, outcome.at)
            case Lost() | Done():
                text = outcome.message if isinstance(outcome, Lost) else "its summary holds no score"
                if job.attempt < min(self.max_attempts, naming.MAX_RERUNS):
                    return job.attempt + 1
                return common | _infra_fault(Reason.RESULT_LOST, text, self.now)

    def _active(self, job: JobObject, outcome: Active) -> dict[str, Any]:
        reason, message = outcome.reason or Reason.EVALUATING, outcome.message
        if self.suspended:
            reason, message = Reason.ROUND_SUSPENDED, ""
        elif job.suspended and self.queued:
            reason, message = Reason.WAITING_FOR_SLOT, "waits for admission by the queue"
        return {"state": ResultState.RUNNING, "reason": reason, "message": message}


def plan(
    observed: RoundObject,
    entries: Sequence[ModelResult],
    *,
    models: Mapping[str, ModelObject],
    jobs: Iterable[JobObject],
    pods: Sequence[PodObject],
    task_set: TaskSetStatus | None,
    answers: Answers,
    ask: Gather,
    now: datetime,
    unschedulable_after: timedelta,
) -> Work:
    """The entries with what their evaluations show, and the Jobs to create. `entries` are judged by `entries.judge`."""
    workload = observed.spec.workload
    by_key: dict[str, list[JobObject]] = {}
    for job in sorted(jobs, key=lambda j: j.attempt):
        if job.key and job.key != naming.TASKS_KEY:
            by_key.setdefault(job.key, []).append(job)
    suspended, queued = observed.spec.suspend, workload.queue_name is not None
    observer = _Observer(pods, answers, ask, now, unschedulable_after, workload.max_attempts, suspended, queued)
    groups = _groups(entries, models, answers, ask)
    shown: dict[str, dict[str, Any] | int] = {}
    for digest, members in groups.items():
        of_digest = [entries[i] for i in members]
        shown[digest] = _recorded(of_digest) or observer.result(by_key.get(evaluation_key(digest), []), of_digest)
    running = sum(isinstance(s, dict) and s["state"] == ResultState.RUNNING for s in shown.values())
    slots = _Slots(None if queued else max(0, workload.parallelism - running))
    results = list(entries)
    for digest, members in groups.items():
        first, *others = sorted(members, key=lambda i: _seniority(entries[i], models))
        owner = entries[first].model_copy(update={"duplicate_of": None})
        fields = shown[digest]
        if isinstance(fields, int):
            fields = _pending(owner, fields, models.get(owner.model), task_set, suspended, slots)
        results[first] = owner.model_copy(update=fields)
        for i in others:
            results[i] = _duplicate(entries[i], owner.model, now)
    wanted = {evaluation_key(digest) for digest in groups}
    unfinished = tuple(j for js in by_key.values() for j in js if j.ended is None)
    obsolete = tuple(j for j in unfinished if j.key not in wanted)
    return Work(results, tuple(slots.create), unfinished, obsolete)


def _groups(
    entries: Sequence[ModelResult], models: Mapping[str, ModelObject], answers: Answers, ask: Gather
) -> dict[str, list[int]]:
    """Indexes of the entries that compete for one evaluation, by weights digest."""
    groups: dict[str, list[int]] = {}
    for i, entry in enumerate(entries):
        if entry.weights_digest is None or entry.state == ResultState.REJECTED:
            continue
        if entry.state == ResultState.DUPLICATE and entry.model not in models:
            if entry.model not in answers.gone_models:
                ask.models.add(entry.model)
            continue  # deleted: it owns nothing any more, and stays a duplicate
        groups.setdefault(entry.weights_digest, []).append(i)
    return groups


def _seniority(entry: ModelResult, models: Mapping[str, ModelObject]) -> tuple[float, float, str]:
    """Smaller owns. A model that is deleted after its evaluation keeps it."""
    model = models.get(entry.model)
    if model is None:
        return (-1.0, 0.0, entry.model)
    block = model.spec.miner.commit_block if model.spec.miner is not None else None
    return (float("inf") if block is None else float(block), model.meta.created.timestamp(), entry.model)


def _recorded(members: Iterable[ModelResult]) -> dict[str, Any] | None:
    """The evaluation's result, if the status has it already: it stays, whatever happens to Job and pod."""
    for entry in members:
        if entry.state in _EVALUATED:
            return {name: getattr(entry, name) for name in _SHARED}
    return None


def _pending(
    entry: ModelResult,
    attempt: int,
    model: ModelObject | None,
    task_set: TaskSetStatus | None,
    suspended: bool,
    slots: _Slots,
) -> dict[str, Any]:
    """Fields of an owner whose Job does not exist, taking a slot when one is free."""
    fields: dict[str, Any] = {"state": ResultState.PENDING, "score": None, "finished_at": None}
    if suspended:
        return fields | {"reason": Reason.ROUND_SUSPENDED, "message": ""}
    if task_set is None:
        return fields | {"reason": Reason.WAITING_FOR_TASKS, "message": "the task set is being built"}
    if model is None or entry.commit is None or entry.weights_digest is None:
        return fields | {"reason": Reason.WAITING_FOR_MODEL, "message": ""}
    key = evaluation_key(entry.weights_digest)
    if slots.take(Evaluation(key, attempt, model, entry.commit, entry.weights_digest)):
        return fields | {"reason": Reason.WAITING_FOR_SLOT, "message": "its Job is being created"}
    return fields | {"reason": Reason.WAITING_FOR_SLOT, "message": "all slots of this round are taken"}


def _duplicate(entry: ModelResult, owner: str, now: datetime) -> ModelResult:
    text = f"has the weights of {owner}, which was committed earlier"
    since = entry.finished_at if entry.state == ResultState.DUPLICATE else now
    cleared: dict[str, Any] = dict.fromkeys(_SHARED) | {"attempts": 0}
    state = {"state": ResultState.DUPLICATE, "reason": Reason.DUPLICATE_WEIGHTS, "message": text}
    return entry.model_copy(update=cleared | state | {"duplicate_of": owner, "finished_at": since})


def _done(summary: EvaluateSummary, pod: PodObject, now: datetime) -> dict[str, Any]:
    finished = pod.terminated.finished if pod.terminated is not None else None
    return {
        "state": ResultState.SUCCEEDED,
        "reason": Reason.EVALUATED,
        "message": clip(summary.message, MESSAGE_LENGTH),
        "score": summary.score,
        "passed": summary.passed,
        "loss": summary.loss,
        "batch_losses": summary.batch_losses,
        "result_digest": summary.result_digest,
        "seconds": summary.seconds,
        "finished_at": finished or now,
    }


def _model_fault(fault: ModelFault[EvaluateSummary], now: datetime) -> dict[str, Any]:
    finished = fault.pod.terminated.finished if fault.pod.terminated is not None else None
    digest = fault.summary.result_digest if fault.summary is not None else None
    fields = {"state": ResultState.MODEL_FAULT, "reason": fault.reason, "message": fault.message}
    return fields | {"score": ZERO, "passed": 0, "result_digest": digest, "finished_at": finished or now}


def _infra_fault(reason: Reason, message: str, at: datetime) -> dict[str, Any]:
    text = clip(message, MESSAGE_LENGTH)
    return {"state": ResultState.INFRA_FAULT, "reason": reason, "message": text, "finished_at": at}
