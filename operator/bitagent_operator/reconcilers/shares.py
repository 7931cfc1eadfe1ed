"""The claims of the rounds of a namespace on the shared slots for evaluation Jobs, in memory; see `plan.shares`.

After a restart every round is planned again, and claims again; until then what it holds is counted from the cache. A
pass reads the claims and records its own without interruption, so that two rounds never take the same slot.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from bitagent_crds.names import COMPONENT_LABEL, Component
from bitagent_operator.observed.cache import Cache, Key, Kind
from bitagent_operator.observed.objects import RoundObject
from bitagent_operator.plan.interface import RoundPlan
from bitagent_operator.plan.rounds.holders import holders, leave_slots_at
from bitagent_operator.plan.shares import Claim, Share, in_turn, rooms


@dataclass
class Shares:
    """Claims by round, and what followed from them."""

    _claims: dict[str, Claim] = field(default_factory=dict)
    _turns: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    """Room and, of a round that holds nothing, place, as of the last change."""
    _left: set[str] = field(default_factory=set)
    """Rounds that have no passes any more while their Jobs or pods still hold slots."""

    def of(self, observed: RoundObject, cache: Cache, *, bound: int, now: datetime) -> Share | None:
        """Return what a round sees of the slots; None if they do not concern it."""
        if not bound or not _shares(observed):
            return None
        for name in self._left - {observed.meta.name}:
            # Time alone may end what they hold, as on a lost node, and no pass of their own sees that.
            self._recount(name, cache, now)
        for other in cache.rounds:
            if other.meta.name not in self._claims and _shares(other):
                self._claims[other.meta.name] = _held(other, cache, now)
        others = tuple(claim for name, claim in self._claims.items() if name != observed.meta.name)
        return Share(bound, _held(observed, cache, now), others)

    def settle(self, observed: RoundObject, share: Share, plan: RoundPlan, *, now: datetime) -> list[Key]:
        """Record what a plan leaves to its round; return the other rounds that may start more or have another place."""
        held = share.own.holds if plan.held is None else plan.held
        self._left.discard(observed.meta.name)
        claim = replace(share.own, holds=held + len(plan.evaluate), waits=plan.waits_for_slots)
        self._claims[observed.meta.name] = replace(claim, served=now) if plan.evaluate else claim
        return self._called(share.bound, but=observed.meta.name)

    def leave(self, name: str, cache: Cache, *, bound: int, now: datetime) -> list[Key]:
        """Record that a round is gone or cannot be planned; what its Jobs still hold counts.

        Return the rounds that may start more.
        """
        if name not in self._claims:
            return []
        self._recount(name, cache, now)
        return self._called(bound, but=name)

    def _recount(self, name: str, cache: Cache, now: datetime) -> None:
        """Count what a round that asks for nothing holds; forget it if that is nothing."""
        holds = _holding(name, cache, now)
        if holds and name in self._claims:
            self._claims[name] = replace(self._claims[name], holds=holds, waits=0)
            self._left.add(name)
        else:
            self._claims.pop(name, None)
            self._left.discard(name)

    def _called(self, bound: int, *, but: str) -> list[Key]:
        before, claims = self._turns, list(self._claims.values())
        room, order = rooms(claims, bound), in_turn(claims)
        places = {name: place for place, name in enumerate(order) if not self._claims[name].holds}
        self._turns = {claim.round: (room[claim.round], places.get(claim.round)) for claim in claims}
        waiting = [name for name in order if name != but]
        return [
            Key(Kind.ROUND, name)
            for name in waiting
            if self._turns[name][0] > before.get(name, (0, None))[0]
            or places.get(name) != before.get(name, (0, None))[1]
        ]


def _shares(observed: RoundObject) -> bool:
    """Whether the round's Jobs use the slots: they hold GPUs, and no queue decides about them."""
    workload = observed.spec.workload
    return workload.queue_name is None and workload.resources.gpus > 0


def _held(observed: RoundObject, cache: Cache, now: datetime) -> Claim:
    key = Key(Kind.ROUND, observed.meta.name)
    jobs = [job for job in cache.jobs.of(key) if job.meta.labels.get(COMPONENT_LABEL) == Component.EVALUATE]
    begun = observed.status.started_at or observed.meta.created
    served = max((job.meta.created for job in jobs), default=begun)
    return Claim(observed.meta.name, observed.spec.workload.weight, _holding(key.name, cache, now), 0, served)


def _holding(name: str, cache: Cache, now: datetime) -> int:
    """Return how many slots a round's Jobs hold."""
    key = Key(Kind.ROUND, name)
    own = [job for job in cache.jobs.of(key) if job.meta.labels.get(COMPONENT_LABEL) == Component.EVALUATE]
    pods = [pod for pod in cache.pods.of(key) if pod.meta.labels.get(COMPONENT_LABEL) == Component.EVALUATE]
    observed = cache.rounds.get(key)
    times = leave_slots_at(own, pods, observed.status.results if observed is not None else ())
    return len(holders(own, pods, now).keys() - {uid for uid, due in times.items() if due <= now})
