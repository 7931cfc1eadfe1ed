"""The fetches that wait for a slot or for the hub, in memory; decisions are in `plan.fetch_slots`.

After a restart every model is planned again, and so waits again; troubles of the hub are read again from the Jobs that
met them. At that time, and after a pause of the hub, slots are given once all have asked: else the first to ask would
have them, whoever's turn it is. A slot is reserved from the decision to start until the end of the pass: by then the
Job is in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bitagent_crds.conditions import Reason
from bitagent_crds.names import COMPONENT_LABEL, FACTS_LABEL, MODEL_LABEL, RESOLVE_LABEL, Component
from bitagent_operator.config import Fetching
from bitagent_operator.observed.objects import ModelObject
from bitagent_operator.observed.workloads import JobObject
from bitagent_operator.plan.interface import HubTrouble, ModelPlan
from bitagent_operator.plan.models.fetch_slots import SHOWN_PLACES, Turn, Turns, Waiting, in_turn
from bitagent_operator.plan.models.hub import HubPause, pause_after

TROUBLES_KEPT = 64
"""Troubles of the hub that are remembered: more in a row do not make a pause longer."""
JOBS_KEPT = 4096
"""Jobs whose last trouble is known: each pass over the model reports it again, as long as the Job is there."""

SLOT_HELD = timedelta(hours=24)
"""For how long a Job holds its slot, longer than its pods can run: one whose volume is never bound waits without end,
and as many of them as there are slots would keep all other models from being fetched."""


class FetchQueue:
    """Slots for Jobs of one kind, by the model's name.

    `running` always has the hotkeys of the models whose Jobs run now, and `limit` is how many may.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {}
        self._reserved: dict[str, str] = {}

    def ask(self, model: Waiting, running: Mapping[str, str], *, limit: int, give: bool = True) -> Turn | None:
        """Reserve a slot for a model, or make it wait; return why it waits. `give`: whether slots are given now."""
        name, others = model.model, {**running, **self._reserved}
        if name in self._reserved:
            return None
        others.pop(name, None)
        self._waiting[name] = model
        free = limit - len(others) if give else 0
        if free > 0 or len(self._waiting) <= SHOWN_PLACES:
            order = [w.model for w in in_turn(self._waiting.values(), others.values())]
            place = order.index(name)
            if place < free:
                self._reserve(name)
                return None
            return Turn(len(others), len(order), place + 1, settling=not give)
        return Turn(len(others), len(self._waiting), settling=not give)

    def leave(self, name: str) -> None:
        """Forget a model that needs no slot now."""
        self._waiting.pop(name, None)

    def release(self, name: str) -> None:
        """Release what a pass over a model has reserved."""
        self._reserved.pop(name, None)

    def end(self, name: str, running: Mapping[str, str], *, limit: int) -> list[str]:
        """Release what a pass over a model has reserved; return the models whose turn it is now."""
        self.release(name)
        taken = {**running, **self._reserved}
        free = limit - len(taken)
        if free <= 0:
            return []
        called = [w.model for w in in_turn(self._waiting.values(), taken.values())][:free]
        for each in called:
            self._reserve(each)
        return called

    def __len__(self) -> int:
        return len(self._waiting)

    def _reserve(self, name: str) -> None:
        self._reserved[name] = self._waiting.pop(name).hotkey


class Arrivals:
    """Whose pass is awaited before slots are given: at first that of every model, and later of those that were held."""

    def __init__(self, *, at_start: bool = True) -> None:
        """`at_start`: whether every model's pass is awaited first."""
        self._seen: set[str] | None = set() if at_start else None
        """Models that have had a pass since the start; None once all have."""
        self._held: set[str] = set()
        self._held_now: set[str] = set()
        """Those that were held in the pass that they have now."""

    def hold(self, name: str) -> None:
        """Await a model's next pass: a pause of the hub holds it."""
        self._held.add(name)
        self._held_now.add(name)

    def end(self, name: str) -> None:
        """End a pass over a model."""
        if self._seen is not None:
            self._seen.add(name)
        if name in self._held_now:
            self._held_now.discard(name)
        else:
            self._held.discard(name)

    def complete(self, models: int, *, paused: bool) -> bool:
        """Whether all have come. `models`: how many there are; `paused`: those that are held cannot come yet."""
        if self._seen is not None and len(self._seen) >= models:
            self._seen = None
        return self._seen is None and (paused or not self._held)


class HubState:
    """The troubles that fetches have met at the hub since it last worked."""

    def __init__(self) -> None:
        self._troubles: dict[str, HubTrouble] = {}
        self._reported: dict[str, datetime] = {}

    def failed(self, trouble: HubTrouble, *, now: datetime) -> None:
        """Remember the last trouble of a Job, once: the hub may have worked since.

        Its time may be of a node whose clock is ahead: it was at the latest when it is seen first.
        """
        reported = self._reported.get(trouble.job)
        if reported is not None and trouble.at <= reported:
            return
        self._reported[trouble.job] = trouble.at
        if len(self._reported) > JOBS_KEPT:
            del self._reported[next(iter(self._reported))]
        self._troubles[trouble.job] = replace(trouble, at=min(trouble.at, now))
        if len(self._troubles) > TROUBLES_KEPT:
            del self._troubles[min(self._troubles, key=lambda job: self._troubles[job].at)]

    def answered(self, at: datetime) -> None:
        """Forget earlier troubles: the hub answered. What it limits, it limits until the pause is over."""
        pause = pause_after(list(self._troubles.values()))
        over = pause is None or pause.until <= at
        self._troubles = {
            job: trouble
            for job, trouble in self._troubles.items()
            if trouble.at > at or (trouble.reason is Reason.HUB_RATE_LIMITED and not over)
        }

    def pause(self, now: datetime) -> HubPause | None:
        """Return the pause that holds now."""
        found = pause_after(list(self._troubles.values()))
        return found if found is not None and found.until > now else None


@dataclass(frozen=True)
class Fetches:
    """The queues of both kinds of fetch Jobs, and the state of the hub."""

    files: FetchQueue = field(default_factory=FetchQueue)
    resolutions: FetchQueue = field(default_factory=FetchQueue)
    hub: HubState = field(default_factory=HubState)
    arrivals: Arrivals = field(default_factory=Arrivals)

    def begin(self, name: str) -> None:
        """Begin a pass over a model: it waits for a slot only if this pass asks for one."""
        self.files.leave(name)
        self.resolutions.leave(name)

    def turns(
        self,
        model: ModelObject,
        plan: ModelPlan,
        *,
        urgent: bool,
        jobs: Iterable[JobObject],
        hotkey_of: Callable[[str], str],
        limits: Fetching,
        now: datetime,
        models: int = 0,
    ) -> Turns:
        """Take in what a plan has learned of the hub, and return what keeps the Jobs that it starts from starting.

        `models`: how many there are.
        """
        for trouble in plan.troubles:
            self.hub.failed(trouble, now=now)
        if plan.answered is not None:
            self.hub.answered(plan.answered)
        if plan.fetch is None and plan.resolve is None:
            return Turns()
        pause = self.hub.pause(now) if model.spec.source.hugging_face is not None else None
        if pause is not None:
            self.arrivals.hold(model.meta.name)
            held = Turn(pause=pause)
            return Turns(held if plan.fetch is not None else None, held if plan.resolve is not None else None)
        name = model.meta.name
        waiting = Waiting(name, hotkey_of(name), model.meta.created, urgent)
        files, resolutions = _running(jobs, hotkey_of, now)
        give = self._gives(models, now)
        fetch, resolve = None, None
        if plan.fetch is not None and plan.fetch.facts_only:
            fetch = self.resolutions.ask(waiting, resolutions, limit=limits.max_resolutions, give=give)
        elif plan.fetch is not None:
            fetch = self.files.ask(waiting, files, limit=limits.max_parallel, give=give)
        if plan.resolve is not None:
            resolve = self.resolutions.ask(waiting, resolutions, limit=limits.max_resolutions, give=give)
        return Turns(fetch, resolve)

    def end(
        self,
        name: str,
        *,
        jobs: Iterable[JobObject],
        hotkey_of: Callable[[str], str],
        limits: Fetching,
        now: datetime,
        models: int = 0,
    ) -> list[str]:
        """End a pass over a model; return the models whose turn it is now. `models`: how many there are."""
        self.arrivals.end(name)
        if not self._gives(models, now):
            self.files.release(name)
            self.resolutions.release(name)
            return []
        if not self.files and not self.resolutions:
            jobs = ()
        files, resolutions = _running(jobs, hotkey_of, now)
        return [
            *self.files.end(name, files, limit=limits.max_parallel),
            *self.resolutions.end(name, resolutions, limit=limits.max_resolutions),
        ]

    def _gives(self, models: int, now: datetime) -> bool:
        """Whether slots are given now; in a pause, to models that are not on the hub."""
        return self.arrivals.complete(models, paused=self.hub.pause(now) is not None)


def _running(
    jobs: Iterable[JobObject], hotkey_of: Callable[[str], str], now: datetime
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the hotkeys of the models whose files are fetched now, and of those whose revision or size is found.

    The Jobs of rewriters do not count: they start without a turn, and at their end no model has a pass.
    """
    files: dict[str, str] = {}
    resolutions: dict[str, str] = {}
    for job in jobs:
        labels, name = job.meta.labels, job.meta.labels.get(MODEL_LABEL)
        if name is None or labels.get(COMPONENT_LABEL) != Component.FETCH:
            continue
        if job.ended is None and not job.meta.deleting and now < job.meta.created + SLOT_HELD:
            short = RESOLVE_LABEL in labels or FACTS_LABEL in labels
            (resolutions if short else files)[name] = hotkey_of(name)
    return files, resolutions
