"""The end of a round: it completes when every model has its verdict, or fails, and says of all models why.

A round fails by its spec, by faults of the infrastructure, or at its own bound, `spec.activeDeadlineSeconds`. Whatever
had no verdict then is NotEvaluated, with its last cause. A failed round can be taken up again (see `retry`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.evalround import EvalRoundStatus, RoundPhase
from bitagent_crds.model_result import FINAL_STATES, ModelResult, ResultState
from bitagent_kube.conditions import Conditions, clip, holds
from bitagent_operator.observed.objects import ModelObject, RoundObject, changed
from bitagent_operator.plan.jobs.outcome import MESSAGE_LENGTH
from bitagent_operator.plan.rounds.copies import flagged
from bitagent_operator.plan.rounds.leaderboard import leaderboard_digest, with_ranks
from bitagent_operator.plan.rounds.status_size import stored_whole

NAMED = 8
"""Models that a condition's message names."""
_NAMED_EACH = 4
"""Models that it names for each of several reasons."""
GONE = frozenset({Reason.MODEL_NOT_FOUND, Reason.MODEL_DELETED, Reason.MODEL_REPLACED})
"""Reasons of results whose MinerModel is not there, or not the one that the round has."""
_YES, _NO = ConditionStatus.TRUE, ConditionStatus.FALSE


def is_to_be_retried(observed: RoundObject) -> bool:
    """Whether the round has failed, and its spec asks for another try since."""
    status, spec = observed.status, observed.spec
    failed = status.finished_at is not None and holds(status.conditions, ConditionType.FAILED)
    return failed and spec.retry > status.retry


def active_since(observed: RoundObject, now: datetime) -> datetime | None:
    """Return since when the round is not suspended; None while it is."""
    return None if observed.spec.suspend else observed.status.active_since or now


def deadline(observed: RoundObject) -> datetime | None:
    """Return when the round fails if it has not ended; None while it is suspended, or without a bound."""
    since, seconds = observed.status.active_since, observed.spec.active_deadline_seconds
    if observed.spec.suspend or since is None or seconds is None:
        return None
    return since + timedelta(seconds=seconds)


def overdue(observed: RoundObject, now: datetime) -> bool:
    """Whether the round has reached its own bound."""
    until = deadline(observed)
    return until is not None and now >= until


def completed(
    observed: RoundObject,
    new: EvalRoundStatus,
    conditions: Conditions,
    *,
    models: Mapping[str, ModelObject],
    now: datetime,
) -> EvalRoundStatus:
    """Return the status of a round whose models all have their verdict, with ranks and near copies.

    One that only builds tasks has no leaderboard.
    """
    count = new.task_set.count if new.task_set is not None else 0
    ranked = stored_whole(with_ranks(flagged(new.results, models, clock=observed.clock, tasks=count)))
    scored = sum(r.state in (ResultState.SUCCEEDED, ResultState.MODEL_FAULT) for r in ranked)
    if new.task_set is None:
        conditions.set(ConditionType.TASKS_READY, _NO, Reason.ROUND_COMPLETE, "not needed: no model was admitted")
    text = f"{scored} of {len(ranked)} models have a score" + _unscored(ranked)
    if observed.spec.tasks_only:
        text = f"{count} tasks are built; no model is evaluated (spec.tasksOnly)"
    conditions.set(ConditionType.RUNNING, _NO, Reason.ROUND_COMPLETE, "")
    conditions.set(ConditionType.COMPLETE, _YES, Reason.ROUND_COMPLETE, text)
    return changed(
        new,
        results=ranked,
        phase=RoundPhase.COMPLETE,
        finished_at=now,
        leaderboard_digest=None if observed.spec.tasks_only else leaderboard_digest(ranked),
        conditions=conditions.all(),
    )


def _unscored(results: Sequence[ModelResult]) -> str:
    """Return which models ended without a score by trouble of their own, and why; empty if none did."""
    found = [r for r in results if r.state == ResultState.UNSCORED]
    if not found:
        return ""
    named = ", ".join(f"{r.model} ({r.reason})" for r in found[:NAMED])
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"; without a score by trouble of their own: {named}{more}"


def failed_without_models(new: EvalRoundStatus) -> tuple[Reason, str] | None:
    """Return why a round fails whose MinerModels are all gone; None if it had another.

    Its leaderboard would say that no miner has a score, and take the pay of all.
    """
    if not new.results or not all(r.reason in GONE for r in new.results):
        return None
    text = f"the MinerModels of its set were all deleted: {summary(new.results)}"
    return Reason.NO_MODELS, f"{text}; apply them, and raise spec.retry or create another round"


def failed_by_infrastructure(new: EvalRoundStatus) -> tuple[Reason, str] | None:
    """Return why a round whose models have all ended fails: the faults of all of them; None if there are none."""
    faults = [r for r in new.results if r.state == ResultState.INFRA_FAULT]
    if not faults:
        return None
    spec = all(r.reason is Reason.JOB_INVALID for r in faults)
    reason = Reason.JOB_INVALID if spec else Reason.ROUND_HAS_INFRASTRUCTURE_FAULTS
    text = f"{len(faults)} of {len(new.results)} models could not be evaluated, through no fault of theirs"
    return reason, f"{text}: {summary(faults)}"


def failed_by_deadline(observed: RoundObject, new: EvalRoundStatus) -> tuple[Reason, str]:
    """Return why a round fails that has reached its own bound."""
    unfinished = [r for r in new.results if r.state not in FINAL_STATES]
    text = f"not ended {observed.spec.active_deadline_seconds} s after status.activeSince (spec.activeDeadlineSeconds)"
    if unfinished:
        text += f"; {len(unfinished)} of {len(new.results)} models had no verdict: {summary(unfinished)}"
    return Reason.ROUND_DEADLINE_EXCEEDED, text


def failed(
    new: EvalRoundStatus, conditions: Conditions, *, reason: Reason, message: str, now: datetime
) -> EvalRoundStatus:
    """Return the status of a round that fails for this reason. What has no verdict is NotEvaluated."""
    for kind in (ConditionType.RUNNING, ConditionType.COMPLETE):
        conditions.set(kind, _NO, reason, "")
    if conditions.get(ConditionType.TASKS_READY) is None:
        conditions.set(ConditionType.TASKS_READY, _NO, reason, "")
    conditions.set(ConditionType.FAILED, _YES, reason, message)
    results = [r if r.state in FINAL_STATES else _not_evaluated(r, now) for r in new.results]
    return changed(new, phase=RoundPhase.FAILED, results=results, finished_at=now, conditions=conditions.all())


def _not_evaluated(result: ModelResult, now: datetime) -> ModelResult:
    """Return the final state of a model whose round failed first; the message keeps its last cause."""
    cause = f"{result.reason}: {result.message}" if result.message else str(result.reason)
    text = clip(f"the round failed first; until then {cause}", MESSAGE_LENGTH)
    return changed(result, state=ResultState.NOT_EVALUATED, reason=Reason.NOT_EVALUATED, message=text, finished_at=now)


def summary(results: Sequence[ModelResult]) -> str:
    """Return the reasons of these results: how many models have each and which, most first; then the words of each."""
    groups: dict[str, list[ModelResult]] = {}
    for result in results:
        groups.setdefault(str(result.reason), []).append(result)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    counts = ", ".join(f"{len(found)} {reason} ({_names(found)})" for reason, found in ordered)
    words = "; ".join(f"{found[0].model}: {found[0].message}" for _, found in ordered if found[0].message)
    return f"{counts}; {words}" if words else counts


def _names(results: Sequence[ModelResult]) -> str:
    names = ", ".join(r.model for r in results[:_NAMED_EACH])
    return f"{names} and {len(results) - _NAMED_EACH} more" if len(results) > _NAMED_EACH else names
