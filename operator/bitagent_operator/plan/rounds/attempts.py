"""One evaluation: its state, from its Jobs and from what is recorded of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import EvalRoundSpec
from bitagent_crds.evaluation import STALL_SECONDS
from bitagent_crds.jobs import EvaluateSummary
from bitagent_crds.model_result import Failure, ModelResult, PhaseSeconds, ResultState
from bitagent_crds.names import CACHE_LABEL, model_claim
from bitagent_crds.ranking import MODEL_FAULT_SCORE
from bitagent_kube.conditions import clip
from bitagent_operator import naming
from bitagent_operator.observed.objects import changed
from bitagent_operator.observed.workloads import JobObject, PodObject, Unschedulable
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.jobs.counts import none_started, started_pods
from bitagent_operator.plan.jobs.disruptions import disrupted_too_often, disruption_times
from bitagent_operator.plan.jobs.outcome import (
    MESSAGE_LENGTH,
    Active,
    Done,
    InfraFault,
    Lost,
    ModelFault,
    Unseen,
    classify,
)
from bitagent_operator.plan.jobs.pods import DEADLINE_EXCEEDED, Problem, pod_problem
from bitagent_operator.plan.jobs.queue import REASONS as QUEUE_REASONS
from bitagent_operator.plan.jobs.stalls import with_hang, with_stall
from bitagent_operator.plan.rounds.attribution import may_be_own

EVALUATED = frozenset({ResultState.SUCCEEDED, ResultState.MODEL_FAULT, ResultState.UNSCORED, ResultState.INFRA_FAULT})
"""States that record the end of an evaluation."""

_WITHOUT_CLAIM = ("not found", "is being deleted", "bound to non-existent persistentvolume")
"""Words of the scheduler about a claim that no pod can mount any more."""


@dataclass(frozen=True)
class Update:
    """The fields of a ModelResult that belong to the evaluation; they move with it to another owner of the files."""

    state: ResultState
    reason: Reason
    message: str = ""
    score: str | None = None
    interval: list[str] | None = None
    passed: int | None = None
    loss: str | None = None
    batch_losses: list[str] | None = None
    attempts: int = 0
    disruptions: list[datetime] = field(default_factory=list)
    stalls: list[datetime] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    node: str | None = None
    result_digest: str | None = None
    answer_sketch: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    seconds: PhaseSeconds | None = None

    @classmethod
    def of(cls, result: ModelResult) -> Update:
        """Return the evaluation that a result records."""
        return cls(**{name: value for name, value in result if name in cls.__dataclass_fields__})

    def applied_to(self, entry: ModelResult, *, duplicate_of: str | None = None) -> ModelResult:
        """Return the entry with this evaluation in place of its own."""
        return changed(entry, duplicate_of=duplicate_of, **vars(self))


@dataclass(frozen=True)
class StartAttempt:
    """The evaluation has no Job, or lost its result: start this attempt, from 1, as soon as a slot is free."""

    number: int
    failures: tuple[Failure, ...] = ()
    """Those before it."""
    files_missing_since: datetime | None = None
    """When the attempt before found that the cache has lost the model's files: they are fetched first."""
    packable: bool = False
    """Whether it may share a Job with others: it has not been tried, nor failed, by itself."""


@dataclass(frozen=True)
class GaveUp:
    """The evaluation gave up for a cause that the model can have; whose trouble it is remains to be decided."""

    update: Update
    """The state until then: Running, with the cause."""

    @property
    def next_attempt(self) -> int:
        """Number of the attempt that repeats it."""
        return self.update.failures[-1].attempt + 1


def evaluation_state(
    jobs: Sequence[JobObject],
    recorded: Sequence[ModelResult],
    spec: EvalRoundSpec,
    pods: Sequence[PodObject],
    pass_: Pass,
) -> Update | StartAttempt | GaveUp:
    """Return the state of one evaluation from its Jobs, ordered by attempt, and the recorded entries of its identity.

    What is recorded, a result or a failure, is final for its Jobs, even if they and their pods are gone.
    """
    final = next((entry for entry in recorded if entry.state in EVALUATED), None)
    if final is not None:
        return Update.of(final)
    begun = _begun(recorded)
    failures = tuple(begun.failures) if begun is not None else ()
    before = failures[-1].attempt if failures else 0
    if begun is not None and failures and not any(j.attempt > before for j in jobs):
        return GaveUp(Update.of(begun))
    if not jobs:
        return StartAttempt(1, packable=begun is None or not begun.stalls)
    last = begun or next((entry for entry in recorded if entry.reason in QUEUE_REASONS), None)
    job, reported = jobs[-1], Problem(last.reason, last.message) if last is not None else None
    timeout, stalls = start_timeout(spec), list(begun.stalls) if begun is not None else []
    outcome = classify(job, pods, EvaluateSummary, pass_, last_reported=reported, start_timeout=timeout)
    bound, most = _stall_bound(spec), spec.workload.max_attempts
    if isinstance(outcome, Active) and job.in_pack:  # a pack bounds the time of each of its evaluations itself
        outcome, stalls = with_hang(job, pods, outcome, pass_, known=stalls, reported=reported, bound=bound)
    elif isinstance(outcome, Active):
        outcome, stalls = with_stall(job, pods, outcome, pass_, known=stalls, reported=reported, bound=bound, most=most)
    since = failures[-1].at if failures else None
    disruptions = disruption_times(jobs, pods, known=begun.disruptions if begun is not None else (), since=since)
    if isinstance(outcome, Active | Lost) and len(disruptions) > spec.workload.max_disruptions:
        outcome = disrupted_too_often(job, pods, len(disruptions), reported=reported, pass_=pass_)
    more = job.attempt - before < spec.workload.max_attempts and job.attempt < naming.MAX_ATTEMPTS
    if isinstance(outcome, Lost) or (isinstance(outcome, Done) and outcome.summary.score is None):
        if more:
            return StartAttempt(job.attempt + 1, failures)
        outcome = _lost_for_good(outcome, pass_.now)
    if isinstance(outcome, InfraFault) and outcome.reason is Reason.MODEL_FILES_MISSING and more:
        return StartAttempt(job.attempt + 1, failures, files_missing_since=outcome.at)
    if isinstance(outcome, InfraFault) and _refused_by_nodes(job, pods, outcome) and more:
        return StartAttempt(job.attempt + 1, failures)
    disrupted = len(disruptions) > spec.workload.max_disruptions
    if isinstance(outcome, InfraFault) and job.in_pack and not disrupted:
        own = [pod for pod in pods if pod.meta.owner_uid == job.meta.uid and pod.ahead == 0]
        # Whose turn never came has not had an attempt of its own: that of another model must not be its last.
        again = more or (not own and job.attempt < naming.MAX_ATTEMPTS)
        # A pack's pod may reach its deadline by what came before; each has a time of its own, which is final.
        late = _is_late(outcome) and any(pod.reason != DEADLINE_EXCEEDED for pod in own)
        if again and not late:
            left = spec.workload.max_attempts - (job.attempt - before) > 1  # the last one is never shared
            packable = outcome.reason is Reason.PACK_ENDED and left and not stalls
            return StartAttempt(job.attempt + 1, failures, packable=packable)
    attempts = _attempts(
        jobs, [pod for pod in pods if pod.ahead == 0], begun, failures, at_least=isinstance(outcome, Done | ModelFault)
    )
    match outcome:
        case Done(summary=summary, pod=pod):
            update = _done(summary, pod, pass_.now)
        case ModelFault():
            update = _model_fault(outcome, _finished(outcome.pod, pass_.now))
        case InfraFault():
            nodes = _nodes(outcome, begun, shards=job.pods)
            update = infra_fault(outcome.reason, outcome.message, outcome.at)
            if may_be_own(outcome.reason, ran=bool(nodes)):
                failure = Failure(
                    attempt=job.attempt, reason=outcome.reason, attempts=attempts, at=outcome.at, nodes=nodes
                )
                update = Update(ResultState.RUNNING, outcome.reason, update.message)
                failures, disruptions, stalls = (*failures, failure), [], []
        case Active() | Unseen():
            update = _active(job, outcome, begun, spec)
            if not (spec.suspend or job.suspended) and (turn := _turn(job, pods, pass_)) is not None:
                update = Update(ResultState.PENDING, turn.reason, clip(turn.message, MESSAGE_LENGTH))
            if not spec.suspend and (without := _without_claim(job, pods)) is not None:
                text = f"the claim of its files is gone, which are fetched again: {without.message}"
                text = clip(text, MESSAGE_LENGTH)
                update = replace(update, reason=Reason.MODEL_FILES_MISSING, message=text, finished_at=without.since)
    update = replace(
        update,
        attempts=attempts,
        disruptions=disruptions,
        stalls=stalls,
        failures=[] if update.state == ResultState.SUCCEEDED else list(failures),
        node=update.node or (begun.node if begun is not None else None),
        # A Job that is suspended has no start any longer.
        started_at=(begun.started_at if begun is not None else None) or jobs[0].started,
    )
    if failures and failures[-1].attempt == job.attempt:
        return GaveUp(replace(update, node=None))
    return update


def _refused_by_nodes(job: JobObject, pods: Iterable[PodObject], outcome: InfraFault) -> bool:
    """Whether the Job has given up before a container of it ran, as on nodes whose devices are not there yet.

    Its pods follow each other within seconds; those of the next Job come later.
    """
    return outcome.reason is Reason.POD_NOT_STARTED and job.ended is not None and none_started(job, pods)


def _without_claim(job: JobObject, pods: Iterable[PodObject]) -> Unschedulable | None:
    """Return why the Job's last pod is on no node, if that is because the claim of the model's own volume is gone.

    Somebody has deleted it or what it was bound to, or it went with its MinerModel; pods that have ended may keep it.
    A fetch makes it again.
    """
    own = [pod for pod in pods if pod.meta.owner_uid == job.meta.uid]
    last = max(own, key=lambda pod: (pod.meta.created, pod.meta.name), default=None)
    if CACHE_LABEL not in job.meta.labels or last is None or last.node or last.unschedulable is None:
        return None
    claim = f'persistentvolumeclaim "{model_claim(job.meta.labels[CACHE_LABEL])}" '
    words = last.unschedulable.message
    gone = any(claim + why in words for why in _WITHOUT_CLAIM)
    return last.unschedulable if gone else None


def _is_late(outcome: InfraFault) -> bool:
    return outcome.reason is Reason.DEADLINE_EXCEEDED


def _turn(job: JobObject, pods: Iterable[PodObject], pass_: Pass) -> Problem | None:
    """Return that evaluations of its pack come before this one and have not ended, while its last pod runs.

    The phase of a pod that runs is Pending if another container of it cannot start.
    """
    own = [pod for pod in pods if pod.meta.owner_uid == job.meta.uid]
    last = max(own, key=lambda pod: (pod.meta.created, pod.meta.name), default=None)
    if last is None or not last.ahead or last.meta.deleting or last.phase not in ("Pending", "Running"):
        return None
    text = f"in a pack, after {last.ahead} other model{'s' if last.ahead > 1 else ''}"
    stuck = pod_problem(last, EvaluateSummary, pass_)
    return Problem(stuck.reason, f"{text}; {stuck.message}") if stuck else Problem(Reason.WAITING_IN_PACK, text)


def _begun(recorded: Sequence[ModelResult]) -> ModelResult | None:
    """Return the recorded entry of an evaluation that has, or had, a Job."""
    begun = [r for r in recorded if r.state == ResultState.RUNNING or (r.state == ResultState.PENDING and r.started_at)]
    return min(begun, key=lambda r: r.state != ResultState.RUNNING, default=None)


def _attempts(
    jobs: Sequence[JobObject],
    pods: Sequence[PodObject],
    begun: ModelResult | None,
    failures: Sequence[Failure],
    *,
    at_least: int,
) -> int:
    """Return how many containers of an evaluation have started, never fewer than are recorded.

    Jobs before the last failure are counted there. One that was given up or has stalled, and is gone by now, counts
    once.
    """
    counted, before = (failures[-1].attempts, failures[-1].attempt) if failures else (0, 0)
    later = [job for job in jobs if job.attempt > before]
    stalled = sum(at < jobs[-1].meta.created for at in begun.stalls) if begun is not None else 0
    gone = jobs[-1].attempt - before - len(later) + stalled
    started = counted + gone + sum(started_pods(job, pods) for job in later)
    return max(started, begun.attempts if begun is not None else 0, at_least)


def _lost_for_good(outcome: Lost | Done[EvaluateSummary], now: datetime) -> InfraFault:
    """Return the fault of an evaluation whose result was lost in each of its Jobs."""
    if isinstance(outcome, Lost):
        return InfraFault(outcome.reason, outcome.message, outcome.at, outcome.nodes)
    return InfraFault(Reason.RESULT_LOST, "its summary has no score", now)


def _stall_bound(spec: EvalRoundSpec) -> timedelta:
    return timedelta(seconds=spec.workload.stall_seconds or STALL_SECONDS)


def start_timeout(spec: EvalRoundSpec) -> timedelta | None:
    """Return the time that a Job may wait until a container of an attempt runs; None: any."""
    seconds = spec.workload.start_timeout_seconds
    return timedelta(seconds=seconds) if seconds is not None else None


def infra_fault(reason: Reason, message: str, at: datetime) -> Update:
    """Return the final state of an evaluation that the infrastructure failed."""
    return Update(ResultState.INFRA_FAULT, reason, clip(message, MESSAGE_LENGTH), finished_at=at)


def _nodes(fault: InfraFault, begun: ModelResult | None, *, shards: int) -> list[str]:
    """Return the nodes of a Job's pods, with the one seen last: pods are deleted with the Job at its deadline.

    Of shards, the one seen last may be another one's than of the shard that failed.
    """
    seen = begun.node if begun is not None and (shards == 1 or not fault.nodes) else None
    return list(dict.fromkeys((*fault.nodes, *((seen,) if seen else ()))))[-3:]


def _finished(pod: PodObject, now: datetime) -> datetime:
    """Return when the pod's container ended; `now` if that is unknown."""
    finished = pod.terminated.finished if pod.terminated is not None else None
    return finished or now


def _active(job: JobObject, outcome: Active | Unseen, begun: ModelResult | None, spec: EvalRoundSpec) -> Update:
    """Return the state of an evaluation whose Job has not ended: Running while containers of it run, or may follow."""
    found = outcome if isinstance(outcome, Active) else Active()
    started = found.started or (begun is not None and begun.state == ResultState.RUNNING)
    # What is suspended does not run, whether or not it has; its pods are being removed.
    held = job.suspended or job.scaled_down
    state = ResultState.RUNNING if started and not held else ResultState.PENDING
    if spec.suspend:
        return Update(state, Reason.ROUND_SUSPENDED)
    problem = found.problem or Problem(Reason.EVALUATING if state is ResultState.RUNNING else Reason.STARTING, "")
    return Update(state, problem.reason, problem.message, node=found.node or None)


def _done(summary: EvaluateSummary, pod: PodObject, now: datetime) -> Update:
    return Update(
        state=ResultState.SUCCEEDED,
        reason=Reason.EVALUATED,
        message=clip(summary.message, MESSAGE_LENGTH),
        score=summary.score,
        interval=summary.interval,
        passed=summary.passed,
        loss=summary.loss,
        batch_losses=summary.batch_losses,
        node=pod.node or None,
        result_digest=summary.result_digest,
        answer_sketch=summary.answer_sketch,
        finished_at=_finished(pod, now),
        seconds=summary.seconds,
    )


def _model_fault(fault: ModelFault[EvaluateSummary], finished: datetime) -> Update:
    return Update(
        state=ResultState.MODEL_FAULT,
        reason=fault.reason,
        message=fault.message,
        score=MODEL_FAULT_SCORE,
        passed=0,
        node=fault.pod.node or None,
        result_digest=fault.summary.result_digest if fault.summary is not None else None,
        finished_at=finished,
    )
