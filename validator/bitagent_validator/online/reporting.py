"""What is reported about online evaluation: status, condition and metrics. Pure, but for the metrics."""

from __future__ import annotations

from collections import Counter

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.online import (
    LEFT_OUT_MAX,
    ONLINE_RESULTS_MAX,
    LeftOut,
    LeftOutReason,
    OnlineOutcome,
    OnlineResult,
    OnlineStatus,
)
from bitagent_kube.conditions import ConditionValue, clip
from bitagent_validator.metrics import Metrics
from bitagent_validator.online.pools import Problem
from bitagent_validator.online.step import StepReport
from bitagent_validator.state.scores import OnlineState


def status_of(competition: str, report: StepReport | None, state: OnlineState | None) -> OnlineStatus:
    """Return what the status has about a competition, by the step recorded last and the averages."""
    left_out = report.plan.sample.left_out if report is not None and report.plan is not None else {}
    means = state.means if state else {}
    results = []
    for result in (report.results if report else ())[:ONLINE_RESULTS_MAX]:
        mean = means.get(result.neuron.hotkey)
        results.append(
            OnlineResult(
                hotkey=result.neuron.hotkey,
                outcome=result.outcome,
                score=None if result.score is None else f"{result.score:.6f}",
                mean=f"{mean.mean:.6f}" if mean else None,
                message=clip(result.message, 128),
            )
        )
    return OnlineStatus(
        competition=competition,
        block=state.block if state else 0,
        pool=(state.pool if state else "") or None,
        miners=len(means),
        results=results,
        left_out_count=len(left_out),
        left_out=[LeftOut(hotkey=h, reason=reason) for h, reason in sorted(left_out.items())[:LEFT_OUT_MAX]],
    )


def value_of(competition: str, *, problem: Problem | None, report: StepReport | None) -> ConditionValue:
    """Return the OnlineCurrent condition of one competition; `problem` says why no step begins."""
    kind = ConditionType.ONLINE_CURRENT
    if problem is not None:
        reason, text = problem
        waits = reason is Reason.POOL_PENDING
        status = ConditionStatus.UNKNOWN if waits else ConditionStatus.FALSE
        return ConditionValue(kind, status, reason, f"{competition}: {text}")
    if report is None:
        text = f"{competition}: the first step has not ended"
        return ConditionValue(kind, ConditionStatus.UNKNOWN, Reason.ONLINE_STEP_PENDING, text)
    if report.message:
        return ConditionValue(kind, ConditionStatus.FALSE, report.reason, f"{competition}: {report.message}")
    scored = sum(result.outcome is OnlineOutcome.SCORED for result in report.results)
    text = f"{competition}: {scored} of {len(report.results)} miners answered the task of block {report.block}"
    return ConditionValue(kind, ConditionStatus.TRUE, Reason.ONLINE_STEP_DONE, text)


def measure(metrics: Metrics, competition: str, report: StepReport, state: OnlineState | None) -> None:
    """Count a step that is recorded; `state` are the averages after it."""
    metrics.online_steps.labels(competition, report.reason.value if report.message else "Counted").inc()
    for result in report.results:
        metrics.online_answers.labels(competition, result.outcome.value).inc()
        if result.answer is not None:
            metrics.online_answer_seconds.observe(result.answer.seconds)
    if state is not None:
        metrics.online_step_block.labels(competition).set(state.block)
        metrics.online_miners.labels(competition).set(len(state.means))
    if report.plan is not None:
        counts = Counter(report.plan.sample.left_out.values())
        for reason in LeftOutReason:
            metrics.online_left_out.labels(competition, reason.value).set(counts[reason])
