"""Whose fetch may start: a bounded number at once, fair between hotkeys, and none while the hub is left alone.

Models that a started round waits for come first. Among them, and among the others, hotkeys take turns: the n-th fetch
of one comes before the (n+1)-th of any other, running ones counted, and its oldest model is its first. So many
submissions of one hotkey do not keep those of others waiting. Models without a hotkey take turns as one party.

The name of a Job that is being deleted is in use: the next one waits for it, or has another if it never goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from bitagent_crds.conditions import Reason
from bitagent_crds.names import short_hash
from bitagent_operator import naming
from bitagent_operator.observed.workloads import JobObject
from bitagent_operator.plan.inputs import Pass
from bitagent_operator.plan.interface import StartFetch
from bitagent_operator.plan.jobs.pods import GONE_AFTER, Problem, given_up
from bitagent_operator.plan.models.hub import HubPause

SHOWN_PLACES = 64
"""Places that are shown. A longer queue is not counted, so that its statuses are not written all the time."""


@dataclass(frozen=True)
class Waiting:
    """A model whose fetch could start now."""

    model: str
    hotkey: str
    """Empty without one."""
    created: datetime
    urgent: bool = False
    """Whether a round that has started waits for it."""


@dataclass(frozen=True)
class Turn:
    """Why a fetch does not start yet: its place among those that wait, or a pause of the hub."""

    running: int = 0
    """Fetch Jobs that run or start: as many as may."""
    waiting: int = 0
    """Models that wait, this one included."""
    place: int | None = None
    """1: the next one; None in a long queue."""
    pause: HubPause | None = None
    settling: bool = False
    """Whether the other models are still being looked at, after a start or a pause."""

    @property
    def reason(self) -> Reason:
        """Reason of the model's condition."""
        return self.pause.reason if self.pause is not None else Reason.WAITING_FOR_FETCH_SLOT

    @property
    def message(self) -> str:
        """Message of the condition."""
        if self.pause is not None:
            at = f"{self.pause.until:%H:%M:%S} UTC"
            return f"the hub is left alone after what another fetch has met there; this one starts at {at}"
        if self.settling:
            return "the other models are looked at first, so that hotkeys take turns"
        place = f"place {self.place} of {self.waiting}" if self.place else f"more than {SHOWN_PLACES} models wait"
        return f"{self.running} Jobs of its kind run, as many as the operator's settings (fetch) allow at once; {place}"


@dataclass(frozen=True)
class Turns:
    """What keeps the Jobs of one model from starting; None where nothing does."""

    fetch: Turn | None = None
    resolve: Turn | None = None


NOTHING_WAITS = Turns()


def in_turn(waiting: Iterable[Waiting], running: Iterable[str]) -> list[Waiting]:
    """Return the models that wait in the order in which they start; `running` has the hotkey of each running fetch."""
    turns, keys = Counter(running), {}
    oldest_first = sorted(waiting, key=lambda w: (not w.urgent, w.created, w.model))
    for each in oldest_first:
        keys[each.model] = (not each.urgent, turns[each.hotkey], each.created, each.model)
        turns[each.hotkey] += 1
    return sorted(oldest_first, key=lambda w: keys[w.model])


def free_of_the_dead(
    model: str, start: StartFetch | None, going: Iterable[JobObject], now: datetime
) -> StartFetch | None:
    """Return the start with a name that no Job has which should have been gone long ago.

    `going`: the model's Jobs that are being deleted.
    """
    dead = {job.meta.name for job in going if given_up(job.meta, now)}
    while start is not None and _name(model, start) in dead:
        start = replace(start, need=short_hash(start.need, "gone"))
    return start


def in_use(model: str, start: StartFetch | None, going: Iterable[JobObject], pass_: Pass) -> Problem | None:
    """Return that a Job has the name of the one to start, and is being deleted; None if none is.

    The start is tried all the same: a cache may know late that the name is free.
    """
    for job in going:
        if start is not None and job.meta.name == _name(model, start) and job.meta.deletion is not None:
            pass_.look_at(job.meta.deletion + GONE_AFTER)
            return Problem(Reason.FETCHING, f"Job {job.meta.name} is being deleted; the next one follows it")
    return None


def _name(model: str, start: StartFetch) -> str:
    return naming.fetch_job_name(model, need=start.need, attempt=start.attempt)
