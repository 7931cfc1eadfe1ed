"""Evaluations whose container runs and makes no progress, as far as their processes say so.

The evaluator itself notices an engine that ends no step. What it cannot notice is a process that hangs before it has
an engine, in a read that never returns, or altogether. One that cannot be reached proves nothing: its image may serve
no progress, or the network may be in between.

In a pack, its supervisor ends an evaluation that stalls or takes too long, and the next one begins. What it cannot
notice is that it hangs itself, as while it waits for the end of a process that the kernel cannot end.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from bitagent_crds.conditions import Reason
from bitagent_kube.conditions import clip
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.jobs.outcome import MESSAGE_LENGTH, Active, InfraFault
from bitagent_operator.plan.jobs.pods import Problem

FRESH = timedelta(seconds=60)
"""Age up to which a pod's last word counts: a few looks at it may fail."""

SUPERVISED = timedelta(minutes=5)
"""Time in which a pack's supervisor ends an evaluation whose time, or whose time without progress, is over."""


def with_stall(
    job: JobObject,
    pods: Sequence[PodObject],
    active: Active,
    pass_: Pass,
    *,
    known: Sequence[datetime],
    reported: Problem | None,
    bound: timedelta,
    most: int,
) -> tuple[Active | InfraFault, list[datetime]]:
    """Return the outcome of a Job that has not ended, and the stalls with its own.

    A Job that has stalled is deleted once that is recorded, and another takes its place; the last of `most` gives up.
    `known`: the stalls that are recorded; `reported`: what was reported last.
    """
    if was_ended_for_stall(job, known):
        return Active(reported, active.node, active.started), list(known)
    fault = stalled(job, pods, pass_, bound)
    if fault is None:
        return active, list(known)
    if len(known) + 1 >= most:
        return fault, list(known)
    text = clip(
        f"{fault.message}; stall {len(known) + 1} of {most}: its Job is deleted, and another one follows",
        MESSAGE_LENGTH,
    )
    return Active(Problem(fault.reason, text), active.node, active.started), [*known, pass_.now]


def with_hang(
    part: JobObject,
    pods: Sequence[PodObject],
    active: Active,
    pass_: Pass,
    *,
    known: Sequence[datetime],
    reported: Problem | None,
    bound: timedelta,
) -> tuple[Active, list[datetime]]:
    """Return the outcome of one evaluation's part of a pack that has not ended, and the stalls with its own.

    If the supervisor has not ended an evaluation long after it should have, that counts as a stall of it: the Job of
    the pack is deleted once it is recorded. The evaluation then has a Job of its own, and the others another pack.
    """
    if was_ended_for_stall(part, known):
        return Active(reported, active.node, active.started), list(known)
    text = _hung(part, pods, pass_, bound)
    if text is None:
        return active, list(known)
    text = clip(f"{text}; the Job of the pack is deleted, and this one is evaluated alone", MESSAGE_LENGTH)
    return Active(Problem(Reason.ENGINE_STALLED, text), active.node, active.started), [*known, pass_.now]


def _hung(part: JobObject, pods: Sequence[PodObject], pass_: Pass, bound: timedelta) -> str | None:
    """Return what shows that a pack's supervisor hangs in the turn of this evaluation; None if nothing does."""
    for pod in pods:
        if pod.meta.owner_uid != part.meta.uid or pod.turn_since is None:
            continue
        fault = stalled(part, [pod], pass_, bound + SUPERVISED)
        if fault is not None:
            return f"the pack's supervisor has not ended it: {fault.message}"
        if part.attempt_seconds is None:
            continue
        due = pod.turn_since + timedelta(seconds=part.attempt_seconds) + SUPERVISED
        if pass_.now >= due:
            began = f"which began at {pod.turn_since:%H:%M:%S}"
            return f"the pack's supervisor has not ended it after its {part.attempt_seconds} s, {began}"
        pass_.look_at(due)
    return None


def was_ended_for_stall(job: JobObject, stalls: Sequence[datetime]) -> bool:
    """Whether the last of these stalls is the Job's: it is, or is about to be, deleted for that."""
    return bool(stalls) and stalls[-1] >= job.meta.created


def stalled(job: JobObject, pods: Sequence[PodObject], pass_: Pass, bound: timedelta) -> InfraFault | None:
    """Return the fault of a Job whose running pod has made no progress for `bound`; None if there is none.

    `pods` may hold those of other Jobs.
    """
    for pod in pods:
        if pod.meta.owner_uid != job.meta.uid or pod.started is None or pod.terminated is not None or pod.meta.deleting:
            continue
        found = pass_.progress.get(pod.meta.uid)
        if found is None:
            continue
        due = found.advanced_at + bound
        if pass_.now < due:
            pass_.look_at(due)
        elif pass_.now - found.read_at <= FRESH:
            document = found.document
            where = f" in phase {document.phase}" if document.phase is not None else ""
            how = "and its process does not answer any more" if found.mute else "though its process answers"
            text = (
                f"no progress since {found.advanced_at:%H:%M:%S}{where}, after {document.done} of {document.total} "
                f"tasks, {how} (workload.stallSeconds: {bound.total_seconds():.0f})"
            )
            nodes = (pod.node,) if pod.node else ()
            return InfraFault(Reason.ENGINE_STALLED, text, pass_.now, nodes)
        else:
            pass_.look_at(pass_.now + FRESH)
    return None
