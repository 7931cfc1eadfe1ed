"""Troubles of the hub that every other fetch would meet as well, and the pause that follows for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import FetchSummary
from bitagent_operator.objects import JobObject, PodObject
from bitagent_operator.plan.interface import HubTrouble
from bitagent_operator.plan.job_outcome import InfraFault, Outcome

FIRST_PAUSE = timedelta(seconds=30)
"""Pause after a trouble of the hub that says nothing of its end; doubled when the next fetch meets it as well."""
LONGEST_PAUSE = timedelta(minutes=10)
LONGEST_ASKED = timedelta(hours=1)
"""Longest pause that a hub may ask for; it is asked again then."""
PAUSING = frozenset({Reason.HUB_RATE_LIMITED, Reason.HUB_UNAVAILABLE})
"""Ends of a fetch that every other fetch would meet as well."""


@dataclass(frozen=True)
class HubPause:
    """No fetch starts until then."""

    reason: Reason
    until: datetime


def hub_trouble(job: JobObject, outcome: Outcome[FetchSummary], pods: Sequence[PodObject]) -> HubTrouble | None:
    """Return what a Job that gave up has met at the hub, if every other fetch would meet it as well."""
    if not isinstance(outcome, InfraFault) or outcome.reason not in PAUSING:
        return None
    own = [p for p in pods if p.meta.owner_uid == job.meta.uid and p.terminated is not None]
    last = max(own, key=lambda p: (p.meta.created, p.meta.name), default=None)
    try:
        summary = FetchSummary.model_validate_json(last.terminated.message) if last and last.terminated else None
    except ValidationError:
        summary = None
    seconds = summary.retry_after_seconds if summary is not None else None
    asked = timedelta(seconds=min(seconds, int(LONGEST_ASKED.total_seconds()))) if seconds is not None else None
    return HubTrouble(job.meta.uid, outcome.reason, outcome.at, asked)


def pause_after(troubles: Sequence[HubTrouble]) -> HubPause | None:
    """Return the pause that follows from troubles in a row; None without one.

    Fetches that were running when a pause began and end within it prove nothing new: they do not double it.
    """
    found, rows = None, 0
    for trouble in sorted(troubles, key=lambda t: (t.at, t.job)):
        asked, own = trouble.retry_after or timedelta(), timedelta()
        if found is None or trouble.at >= found.until:
            own = min(FIRST_PAUSE * 2 ** min(rows, 16), LONGEST_PAUSE)
            rows += 1
        until = trouble.at + max(asked, own)
        if found is None or until > found.until:
            found = HubPause(trouble.reason, until)
    return found
