"""Shares of the evaluation Jobs that all rounds of a namespace may run at once, where no queue decides.

A slot that is free goes to the round with the fewest Jobs for its weight, among those that could start one: weighted
max-min fairness. Of equal ones it is the round whose last Job started first, so that rounds take turns even if there
are more of them than slots. No Job is ended for another round: shares become fair as Jobs end. A round never has more
than its own `workload.parallelism`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction


@dataclass(frozen=True)
class Claim:
    """What one round has of the shared slots, and asks for."""

    round: str
    weight: int
    holds: int
    """Jobs that hold GPUs."""
    waits: int
    """Further Jobs that it could start now."""
    served: datetime
    """When its last Job was created; its start, if it has none."""


def rooms(claims: Iterable[Claim], bound: int) -> dict[str, int]:
    """Return how many Jobs each round may start now, so that not more than `bound` hold GPUs. Names are unique."""
    claims = list(claims)
    found = dict.fromkeys((claim.round for claim in claims), 0)
    free = bound - sum(claim.holds for claim in claims)
    heap = [(_turn(claim, 0), claim) for claim in claims if claim.waits > 0]
    heapq.heapify(heap)
    while free > 0 and heap:
        _, claim = heapq.heappop(heap)
        found[claim.round] += 1
        free -= 1
        if found[claim.round] < claim.waits:
            heapq.heappush(heap, (_turn(claim, found[claim.round]), claim))
    return found


def in_turn(claims: Iterable[Claim]) -> list[str]:
    """Return the rounds that wait for a slot, in the order in which the next free ones go to them."""
    return [claim.round for claim in sorted((c for c in claims if c.waits > 0), key=lambda c: _turn(c, 0))]


def _turn(claim: Claim, given: int) -> tuple[Fraction, datetime, str]:
    """Return what the rounds are ordered by: Jobs for its weight, then the last turn."""
    return Fraction(claim.holds + given, claim.weight), claim.served, claim.round


@dataclass(frozen=True)
class Share:
    """What one round sees of the shared slots during a pass."""

    bound: int
    """Jobs of all rounds that may hold GPUs at once."""
    own: Claim
    """The round's claim, without what this pass finds out."""
    others: tuple[Claim, ...] = ()

    def room(self, *, holds: int, waits: int) -> int:
        """Return how many Jobs the round may start that holds so many and could start as many more as `waits`."""
        return rooms((replace(self.own, holds=holds, waits=waits), *self.others), self.bound)[self.own.round]

    def message(self, *, holds: int, waits: int) -> str:
        """Return what the round has and when its turn comes; empty if it waits for nothing."""
        if waits <= 0:
            return ""
        text = f"all rounds share {self.bound} evaluation Jobs at once (evaluations.maxParallel): this one has {holds}"
        if holds:
            return text
        order = in_turn((replace(self.own, holds=holds, waits=waits), *self.others))
        return f"{text}, and is number {order.index(self.own.round) + 1} of those that wait"
