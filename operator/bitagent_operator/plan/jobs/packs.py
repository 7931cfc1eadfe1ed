"""One evaluation's part of a pack, a Job that evaluates several models: a view of Job and pod as if they were its own.

So attempts, classification, disruptions and retries of a pack's evaluations are those of any other. Each evaluation has
a container that ends as it did; if the engine's container ends without its outcome, that container's own end counts.
One that cannot start, or does not end, keeps the pod and its GPU: `PodObject.silent_since` says since when.
A pack is not repeated: what has failed in it is evaluated by later Jobs. Only a pod that was ended from outside gets
a successor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import takewhile

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import (
    EXIT_MODEL_FAULT,
    EXIT_NOT_BEGUN,
    EXIT_OK,
    EXIT_PACK_LOST,
    EXIT_STOPPED,
    exit_code,
)
from bitagent_crds.names import KEY_LABEL, PACK_PREFIX
from bitagent_operator.observed.workloads import Ended, JobObject, PodObject, Terminated, members_of
from bitagent_operator.plan.jobs.pods import stopped

_VERDICTS = frozenset({EXIT_OK, EXIT_MODEL_FAULT})
_OUTCOMES = frozenset({*map(exit_code, Reason), EXIT_PACK_LOST, EXIT_NOT_BEGUN})
"""Exit codes of a container that waits, if nothing else ends it."""
_ENDED = frozenset({"Succeeded", "Failed"})
ENDED_IN_PACK = "EndedInPack"
"""Reason of the end of one evaluation's part."""


def parts(job: JobObject, pods: Iterable[PodObject]) -> list[tuple[JobObject, list[PodObject]]]:
    """Return the Job with its pods, by evaluation: itself, or the parts of a pack. `pods` are its own."""
    own = list(pods)
    if not job.members:
        return [(job, own)]
    return [part_of(job, own, key) for key in job.members]


def part_of(job: JobObject, pods: Sequence[PodObject], key: str) -> tuple[JobObject, list[PodObject]]:
    """Return the part of the pack that the evaluation `key` has, and of its pods."""
    labels = {name: value for name, value in job.meta.labels.items() if not name.startswith(PACK_PREFIX)}
    meta = replace(job.meta, labels=labels | {KEY_LABEL: key})
    views = [pod_of(pod, key) for pod in pods]
    ended = job.ended
    if ended is None:
        own = (view for pod, view in zip(pods, views, strict=True) if not stopped(pod))  # else another pod follows
        ended = next((found for view in own if (found := _end(view)) is not None), None)
    seconds = None if job.attempt_seconds is None else job.attempt_seconds // len(job.members)
    return replace(job, meta=meta, ended=ended, failed=0, in_pack=True, attempt_seconds=seconds), views


def pod_of(pod: PodObject, key: str) -> PodObject:
    """Return the pod as the evaluation `key` sees it: its container is the one that ends as the evaluation did."""
    ends = {end.key: end.terminated for end in pod.ends if _counts(pod, end.terminated)}
    before = members_of(pod.meta)
    before = before[: before.index(key)] if key in before else ()
    # They are evaluated in turn: whose container cannot start is not waited for once a later one has ended.
    waiting = list(takewhile(lambda other: other not in ends or ends[other].exit_code not in _OUTCOMES, before[::-1]))
    ahead = len(waiting) if pod.started is not None else 0
    end, phase, silent = _own_end(pod, ends.get(key)), pod.phase, None
    if end is not None:
        phase = "Succeeded" if end.exit_code == EXIT_OK else "Failed"
        code = ends[key].exit_code
        # With the whole pod also those containers are killed whose evaluation had not begun.
        ahead = max(1, ahead) if code == EXIT_NOT_BEGUN else ahead if code not in _OUTCOMES else 0
        if end.exit_code == EXIT_OK and pod.phase not in _ENDED:
            silent = end.finished  # a score that can be read ends the evaluation, whatever the pod does
    elif pod.terminated is not None:
        if (
            key not in ends
            and pod.terminated.exit_code not in _VERDICTS
            and (pod.terminated.started is None or phase in _ENDED)
        ):
            end = pod.terminated  # the container that waits for the outcome never learns of it, or never ran
        elif phase not in _ENDED:
            silent = pod.terminated.finished or pod.meta.created
    wait = next((wait for wait in pod.waits if wait.key == key and pod.started is not None), None)
    return replace(
        pod,
        phase=phase,
        terminated=end,
        waiting_reason=wait.reason if wait is not None else pod.waiting_reason,
        waiting_message=wait.message if wait is not None else pod.waiting_message,
        ahead=ahead,
        silent_since=silent,
        turn_since=None if ahead else _turn_since(pod, key, [ends[other] for other in before if other in ends]),
        ends=(),
        waits=(),
    )


def _turn_since(pod: PodObject, key: str, before: Iterable[Terminated]) -> datetime | None:
    """Return since when an evaluation has its turn, after those whose ends are given; None if that cannot be said.

    While the container that passes on its outcome does not run, the evaluation may have ended long ago.
    """
    waits = any(end.key == key for end in pod.ends) or any(wait.key == key for wait in pod.waits)
    if pod.started is None or pod.terminated is not None or pod.meta.deleting or waits:
        return None
    return max([pod.started, *(end.finished for end in before if end.finished is not None)])


def _counts(pod: PodObject, end: Terminated) -> bool:
    """Whether the end of a container that waits is that of its evaluation.

    One that is killed or cannot start knows nothing of it: the evaluation runs on, and writes to its directory, until
    the engine's container has ended.
    """
    return end.exit_code in _OUTCOMES or pod.terminated is not None or pod.phase in _ENDED


def _own_end(pod: PodObject, end: Terminated | None) -> Terminated | None:
    """Return how an evaluation has ended; None if it has not, or if the engine's container has yet to say why."""
    if end is None or end.exit_code not in (EXIT_PACK_LOST, EXIT_NOT_BEGUN):
        return end
    engine = pod.terminated
    if engine is None or engine.exit_code in _VERDICTS:
        return end if pod.phase in _ENDED else None
    if end.exit_code == EXIT_PACK_LOST or engine.exit_code == EXIT_STOPPED:
        return engine
    return end


def _end(view: PodObject) -> Ended | None:
    """Return the end of an evaluation's part that has no verdict, while the pack may continue; None if it may yet."""
    end = view.terminated
    if end is None or view.phase != "Failed" or end.exit_code in _VERDICTS or end.exit_code == EXIT_STOPPED:
        return None
    if view.disruption or view.meta.deleting:
        return None  # another pod follows
    return Ended(complete=False, reason=ENDED_IN_PACK, message="", at=end.finished or view.meta.created)


def open_keys(job: JobObject, pods: Sequence[PodObject]) -> frozenset[str]:
    """Return the evaluations whose results the Job may still write: its own, or those of a pack that have no end."""
    if not job.members:
        return frozenset({job.key} if job.key else ())
    return frozenset(key for key in job.members if not _closed(*part_of(job, pods, key)))


def _closed(part: JobObject, views: Iterable[PodObject]) -> bool:
    if part.ended is not None:
        return True
    ends = (view.terminated for view in views if not view.disruption and not view.meta.deleting)
    return any(end is not None and end.exit_code in _VERDICTS for end in ends)
