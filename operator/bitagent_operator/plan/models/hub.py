"""Troubles of the hub that every other fetch would meet as well, and the pause that follows for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import FetchSummary
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.interface import HubTrouble
from bitagent_operator.plan.jobs.outcome import Active, InfraFault, Outcome

FIRST_PAUSE = timedelta(seconds=30)
"""Pause after a trouble of the hub that says nothing of its end; doubled when the next fetch meets it as well."""
LONGEST_PAUSE = timedelta(minutes=10)
LONGEST_ASKED = timedelta(hours=1)
"""Longest pause that a hub may ask for; it is asked again then."""
PAUSING = frozenset({Reason.HUB_RATE_LIMITED, Reason.HUB_UNAVAILABLE})
"""Ends of a fetch that every other fetch would meet as well."""
EVIDENCE_PERIOD = timedelta(minutes=10)
"""Time within which two repositories must have met a hub that does not answer: one alone may be broken."""


@dataclass(frozen=True)
class HubPause:
    """No fetch starts until then."""

    reason: Reason
    until: datetime


def hub_trouble(
    job: JobObject, outcome: Outcome[FetchSummary], pods: Sequence[PodObject], *, repository: str
) -> HubTrouble | None:
    """Return what the last pod of a Job has met at the hub, if every other fetch may meet it as well.

    The Job itself may not have ended: its next pod starts after a pause of its own.
    """
    own = [p for p in pods if p.meta.owner_uid == job.meta.uid and p.terminated is not None]
    last = max(own, key=lambda p: (p.meta.created, p.meta.name), default=None)
    if isinstance(outcome, InfraFault) and outcome.reason in PAUSING:
        summary = _summary(last)
        return HubTrouble(job.meta.uid, outcome.reason, outcome.at, _asked(summary), repository)
    if not isinstance(outcome, Active) or last is None or last.terminated is None or last.terminated.finished is None:
        return None
    summary = _summary(last)
    if summary is None or summary.reason not in PAUSING:
        return None
    return HubTrouble(job.meta.uid, summary.reason, last.terminated.finished, _asked(summary), repository)


def _summary(pod: PodObject | None) -> FetchSummary | None:
    try:
        return FetchSummary.model_validate_json(pod.terminated.message) if pod and pod.terminated else None
    except ValidationError:
        return None


def _asked(summary: FetchSummary | None) -> timedelta | None:
    """Return the pause that the hub asked for, which other code than ours may have written."""
    if summary is None or summary.retry_after_seconds is None:
        return None
    return timedelta(seconds=min(summary.retry_after_seconds, int(LONGEST_ASKED.total_seconds())))


def pause_after(troubles: Sequence[HubTrouble]) -> HubPause | None:
    """Return the pause that follows from troubles in a row; None without one.

    A limit of requests is the hub's. That it does not answer is seen with a second repository: one alone may be broken,
    and holds no other. Fetches that were running when a pause began and end within it prove nothing new: they do not
    double it.
    """
    found, rows = None, 0
    in_order = sorted(troubles, key=lambda t: (t.at, t.job))
    for index, trouble in enumerate(in_order):
        if trouble.reason is not Reason.HUB_RATE_LIMITED and not _seen_elsewhere(trouble, in_order[:index]):
            continue
        asked, own = trouble.retry_after or timedelta(), timedelta()
        if found is None or trouble.at >= found.until:
            own = min(FIRST_PAUSE * 2 ** min(rows, 16), LONGEST_PAUSE)
            rows += 1
        until = trouble.at + max(asked, own)
        if found is None or until > found.until:
            found = HubPause(trouble.reason, until)
    return found


def _seen_elsewhere(trouble: HubTrouble, earlier: Sequence[HubTrouble]) -> bool:
    """Whether another repository has met a trouble of the hub shortly before."""
    return any(each.repository != trouble.repository and each.at >= trouble.at - EVIDENCE_PERIOD for each in earlier)
