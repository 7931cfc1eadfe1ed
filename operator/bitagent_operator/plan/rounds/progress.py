"""How far a round's evaluations are, when it may end, and where the time of its GPUs goes.

What processes say of themselves is a hint, written every WRITE_SECONDS at most unless the status changes anyway.
Durations follow from the times of pods and from the summaries of evaluations alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pydantic import ValidationError

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import EvalRoundStatus, GpuSeconds, RoundEstimate
from bitagent_crds.jobs import EvaluateSummary
from bitagent_crds.model_result import FINAL_STATES, ModelResult, PhaseSeconds, ResultProgress, ResultState
from bitagent_crds.names import COMPONENT_LABEL, KEY_LABEL, Component
from bitagent_operator.observed.objects import RoundObject, changed
from bitagent_operator.observed.workloads import PodObject, members_of
from bitagent_operator.plan.inputs import Pass, PodProgress
from bitagent_operator.plan.rounds.attempts import EVALUATED

WRITE_SECONDS = 10
"""Time between two writes of a status that are for its progress alone."""
IDLE = timedelta(seconds=60)
"""Time without progress that is worth showing."""
_ESTIMABLE = 0.05
"""Share of the work from which on its rate says when it ends."""
_OUT = frozenset({ResultState.REJECTED, ResultState.DUPLICATE, ResultState.NOT_EVALUATED})
"""States of models that take no GPU time."""
_ENDED = frozenset({"Succeeded", "Failed"})
_NONE = "0.000"


def timed(observed: RoundObject, results: Sequence[ModelResult], pods: Iterable[PodObject]) -> list[ModelResult]:
    """Return the results, those that have just ended with the seconds of all their phases.

    The pod of a pack has no phases that are those of one of its evaluations.
    """
    before = {r.model: r for r in observed.status.results}
    by_key: dict[str, list[PodObject]] = {}
    for pod in _evaluating(pods):
        by_key.setdefault(pod.meta.labels.get(KEY_LABEL, ""), []).append(pod)

    def one(result: ModelResult) -> ModelResult:
        old = before.get(result.model)
        ended = result.state in EVALUATED and (old is None or old.state not in EVALUATED)
        own = by_key.get(result.key or "", []) if ended else []
        return changed(result, seconds=_phases(result, own, observed.spec.workload.shards or 1)) if own else result

    return [one(result) for result in results]


def _phases(result: ModelResult, pods: Sequence[PodObject], shards: int) -> PhaseSeconds:
    """Return the phases of an evaluation that has ended, by its summary and by the pods that are left.

    Those of pods that ran at once add up, but for the waiting.
    """
    known = result.seconds or PhaseSeconds(load=_NONE, generate=_NONE, score=_NONE)
    ends = [pod.terminated.finished for pod in pods if pod.terminated is not None and pod.terminated.finished]
    last = max(ends, default=None) or result.finished_at
    held = pulling = 0.0
    for pod in pods:
        since, until = _held(pod, last)
        held += max(0.0, (until - since).total_seconds())
        pulling += max(0.0, (min(pod.started or until, until) - since).total_seconds())
    began = result.started_at or min(pod.meta.created for pod in pods)
    span = max(0.0, (last - began).total_seconds()) if last is not None else held
    named = sum(float(each) for each in (known.load, known.generate, known.score))
    return changed(
        known,
        waiting=f"{max(0.0, span - held / shards):.3f}",
        pulling=f"{pulling:.3f}",
        idle=f"{max(0.0, held - pulling - named):.3f}",
    )


def _held(pod: PodObject, now: datetime | None) -> tuple[datetime, datetime]:
    """Return from when until when a pod has held its GPUs; `now` if it still does."""
    since = pod.scheduled or pod.started or (pod.terminated.started if pod.terminated else None) or pod.meta.created
    if pod.terminated is not None and pod.terminated.finished is not None:
        return since, pod.terminated.finished
    if not pod.node or pod.phase in _ENDED:
        return since, pod.disrupted or since
    return since, now or since


def _evaluating(pods: Iterable[PodObject]) -> list[PodObject]:
    return [pod for pod in pods if pod.meta.labels.get(COMPONENT_LABEL) == Component.EVALUATE]


def with_progress(
    observed: RoundObject, new: EvalRoundStatus, pods: Sequence[PodObject], pass_: Pass
) -> EvalRoundStatus:
    """Return the new status of a started round with its progress; as it was, if it is too early to write it again."""
    old, finished = observed.status, new.finished_at is not None
    found = {} if finished else _by_key(new, pods, pass_.progress)
    kept = changed(new, results=[r if _runs(r) and not finished else changed(r, progress=None) for r in new.results])
    fresh = changed(kept, results=[_shown(r, found.get(r.key or ""), pass_.now) for r in kept.results])
    if kept == old:
        if fresh == old:
            return kept
        written = old.estimate.at if old.estimate is not None else None
        due = written + timedelta(seconds=WRITE_SECONDS) if written is not None else pass_.now
        if pass_.now < due:
            pass_.look_at(due)
            return kept
    return changed(
        fresh,
        estimate=None if finished else estimate(observed, fresh, pass_.now),
        gpu_seconds=_gpus(observed, fresh, pods, pass_.now),
    )


def _runs(result: ModelResult) -> bool:
    """Whether a container of the evaluation runs at present, as far as is known."""
    return result.state == ResultState.RUNNING and result.reason is Reason.EVALUATING


def _by_key(
    new: EvalRoundStatus, pods: Iterable[PodObject], progress: Mapping[str, PodProgress]
) -> dict[str, PodProgress]:
    """Return what the processes say, by the keys of their evaluations."""
    keys = {r.key for r in new.results if r.key and _runs(r)}
    found: dict[str, PodProgress] = {}
    jobs: dict[str, str] = {}
    """Uids of the Jobs that speak, by key: what shards of an earlier Job have answered, its pods find again."""
    ended: Counter[tuple[str, str]] = Counter()
    for pod in _evaluating(pods):
        said = progress.get(pod.meta.uid)
        if pod.terminated is not None:
            ended[pod.meta.labels.get(KEY_LABEL, ""), pod.meta.owner_uid] += _answers(pod)
        if said is None or pod.terminated is not None:
            continue
        # A pack says which of its evaluations it is at; any other pod speaks for its own alone.
        members, key = members_of(pod.meta), pod.meta.labels.get(KEY_LABEL, "")
        if members:
            key = said.document.key if said.document.key in members else ""
        if key in keys:
            found[key] = _together(found[key], said) if key in found else said
            jobs[key] = pod.meta.owner_uid
    return {key: _after(said, ended[key, jobs[key]]) for key, said in found.items()}


def _answers(pod: PodObject) -> int:
    """Return the answers of a pod that has done its shard of an evaluation; 0 of any other."""
    try:
        summary = EvaluateSummary.model_validate_json(pod.terminated.message) if pod.terminated is not None else None
    except ValidationError:
        return 0
    return summary.total if summary is not None and summary.reason is Reason.SHARD_EVALUATED else 0


def _after(said: PodProgress, answers: int) -> PodProgress:
    """Return the progress with the answers of shards that have ended."""
    document = said.document
    if not answers or not document.total:
        return said
    more = {"done": document.done + answers, "total": document.total + answers}
    return replace(said, document=document.model_copy(update=more))


def _together(one: PodProgress, other: PodProgress) -> PodProgress:
    """Return the progress of two shards of one evaluation: in the phase of the one that is behind."""
    behind, ahead = sorted((one, other), key=lambda said: said.document.done)
    more = {
        name: getattr(one.document, name) + getattr(other.document, name)
        for name in ("done", "total", "tokens", "tokens_per_second")
    }
    return PodProgress(
        read_at=min(one.read_at, other.read_at),
        advanced_at=max(one.advanced_at, other.advanced_at),
        document=behind.document.model_copy(update=more),
        mute=behind.mute and ahead.mute,
    )


def _shown(result: ModelResult, said: PodProgress | None, now: datetime) -> ModelResult:
    """Return the result with what its process says; as it was if that is silent for now."""
    if said is None or not _runs(result):
        return result
    document = said.document
    progress = ResultProgress(
        phase=document.phase,
        done=document.done,
        total=document.total,
        tokens_per_second=round(document.tokens_per_second),
        idle_since=said.advanced_at if now - said.advanced_at >= IDLE else None,
    )
    return changed(result, progress=progress)


def estimate(observed: RoundObject, status: EvalRoundStatus, now: datetime) -> RoundEstimate | None:
    """Return how far the evaluations are, and when they end at the rate since the start or the last retry."""
    counted = [r for r in status.results if r.state not in _OUT]
    if not counted:
        return None
    begun = status.begun or now
    earlier = sum(r.state in FINAL_STATES and r.finished_at is not None and r.finished_at < begun for r in counted)
    done = sum(map(_share, counted))
    work, left = done - earlier, len(counted) - done
    percent = int(100 * done / len(counted))
    first = min((r.started_at for r in counted if r.started_at is not None and r.started_at >= begun), default=None)
    end = None
    if not observed.spec.suspend and first is not None and left > 0 and work >= _ESTIMABLE * (work + left):
        seconds = max(1.0, (now - first).total_seconds()) * left / work
        end = (now + timedelta(seconds=min(seconds, 1e8))).replace(microsecond=0)
    if end is None:
        return RoundEstimate(percent=percent, text=f"{percent}%", at=now)
    day = "" if end.date() == now.date() else f"{end:%m-%d} "
    return RoundEstimate(percent=percent, end=end, text=f"{percent}%, {day}{end:%H:%M}", at=now)


def _share(result: ModelResult) -> float:
    """Return the share of one evaluation that is done."""
    if result.state in FINAL_STATES:
        return 1.0
    said = result.progress
    return min(1.0, said.done / said.total) if said is not None and said.total else 0.0


def _gpus(
    observed: RoundObject, status: EvalRoundStatus, pods: Iterable[PodObject], now: datetime
) -> GpuSeconds | None:
    """Return the GPU time up to now: what was recorded, and what pods have held since."""
    gpus, recorded = observed.spec.workload.resources.gpus, observed.status.gpu_seconds
    if not gpus:
        return None
    counted = recorded.until if recorded is not None else status.started_at or now
    more = 0.0
    for pod in _evaluating(pods):
        since, until = _held(pod, now)
        more += max(0.0, (min(until, now) - max(since, counted)).total_seconds())
    generated = sum(float(r.seconds.generate) for r in status.results if r.seconds is not None and r.score is not None)
    return GpuSeconds(
        held=(recorded.held if recorded is not None else 0) + round(more) * gpus,
        generating=round(generated) * gpus,
        until=max(counted, now),
    )
