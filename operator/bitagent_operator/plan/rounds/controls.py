"""One control: a model that had succeeded is evaluated again, to see whether the machines work."""

from __future__ import annotations

from collections.abc import Sequence

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import EvalRoundSpec
from bitagent_crds.jobs import EvaluateSummary
from bitagent_operator import naming
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.jobs.disruptions import disrupted_too_often, disruption_times
from bitagent_operator.plan.jobs.outcome import Active, Done, InfraFault, Lost, ModelFault, Unseen, classify
from bitagent_operator.plan.rounds.attempts import StartAttempt, start_timeout
from bitagent_operator.plan.rounds.attribution import Control, may_be_own


def control_state(
    model: str, jobs: Sequence[JobObject], spec: EvalRoundSpec, pods: Sequence[PodObject], pass_: Pass
) -> Control | StartAttempt:
    """Return the state of the control that evaluates `model` again, from its Jobs, ordered by attempt.

    Each of its Jobs has one pod and ends with it, so that one that has failed holds no GPU while another control runs.
    """
    if not jobs:
        return StartAttempt(1)
    job, more = jobs[-1], jobs[-1].attempt < min(spec.workload.max_attempts, naming.MAX_ATTEMPTS)
    outcome = classify(job, pods, EvaluateSummary, pass_, start_timeout=start_timeout(spec))
    disruptions = disruption_times(jobs, pods, known=(), since=None)
    if isinstance(outcome, Active | Lost) and len(disruptions) > spec.workload.max_disruptions:
        outcome = disrupted_too_often(job, pods, len(disruptions), reported=None, pass_=pass_)
    match outcome:
        case Done(summary=summary, pod=pod) if summary.score is not None:
            done = (p.node for p in pods if p.meta.owner_uid == job.meta.uid and p.phase == "Succeeded" and p.node)
            return Control(model, succeeded=True, node=pod.node, beside=tuple(dict.fromkeys(done)))
        case Unseen() | Active():
            return Control(model)
        case InfraFault() if outcome.reason is Reason.DEADLINE_EXCEEDED and job.ended is None:
            return Control(model)  # its Job is about to end
        case InfraFault() if more and outcome.reason is not Reason.DEADLINE_EXCEEDED and job.ended is not None:
            return StartAttempt(job.attempt + 1)
        case InfraFault() | ModelFault():
            own = isinstance(outcome, ModelFault) or may_be_own(outcome.reason, ran=bool(outcome.nodes))
            own = own or outcome.reason is Reason.MODEL_FILES_MISSING  # which another control may not lack
            text = f"{outcome.reason}: {outcome.message}"
            return Control(model, succeeded=False, message=text, own=own and job.ended is not None)
        case Lost() | Done() if more:
            return StartAttempt(job.attempt + 1)
        case Lost() | Done():
            return Control(model, succeeded=False, message="its result was lost")
