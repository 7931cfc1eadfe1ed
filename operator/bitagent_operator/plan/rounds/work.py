"""What one pass over a round's evaluations works on: its Jobs by key, its results so far, and its free slots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bitagent_crds.evalround import FetchControl
from bitagent_crds.evaluation import Workload
from bitagent_crds.model_result import ModelResult
from bitagent_operator import naming
from bitagent_operator.observed.objects import ModelObject, RoundObject
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.inputs import Pass, Refusal
from bitagent_operator.plan.interface import StartEvaluation
from bitagent_operator.plan.shares import Share

_REFUSED_AT_ONCE = 16
"""Refused Jobs of a round with a queue, beyond which no further ones are tried."""


_SHARED = "waits for the round's share of the evaluation Jobs that all rounds run at once (evaluations.maxParallel)"
_WITHOUT_PODS = "waits until the Jobs of this round that have no pods get them; until then other rounds use its share"


@dataclass
class Slots:
    """Evaluation Jobs that may still be created; `free` is None if a queue decides instead.

    A refused Job holds a slot until it may be tried again: a quota that refuses it refuses the others as well.
    """

    free: int | None
    refused: int = 0
    """How many do so."""
    limited: str = ""
    """Why there are fewer than the round's own; empty: there are not."""
    waits: int = 0
    """Evaluations that found no slot, as far as the round's own bound allows them."""
    own: int = 0
    """Slots that the round has by its own bound."""
    start: list[StartEvaluation] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        workload: Workload,
        running: int,
        refusals: Iterable[Refusal],
        now: datetime,
        share: Share | None = None,
        *,
        left: int = 0,
    ) -> Slots:
        """Return the slots of a round with `running` Jobs; `share`: what all rounds share.

        `left`: Jobs among them that have left their slots to other rounds, since they have no pods. While there are
        such Jobs, others of the round would wait for pods as well.
        """
        refused = sum(r.retry_at is not None and r.retry_at > now for r in refusals)
        if workload.queue_name is not None:
            return cls(None if refused < _REFUSED_AT_ONCE else 0, refused)
        own = max(0, workload.parallelism - running - refused)
        if share is None:
            return cls(own, refused, own=own)
        if left:
            return cls(0, refused, _WITHOUT_PODS)
        free = min(own, share.room(holds=running, waits=own))
        return cls(free, refused, _SHARED if free < own else "", own=own)

    def hold(self) -> None:
        """Keep a slot free for a Job that is refused until it may be tried again."""
        self.refused += 1
        if self.free is not None:
            self.free, self.own = max(0, self.free - 1), max(0, self.own - 1)

    def take(self, evaluation: StartEvaluation) -> bool:
        """Start the evaluation if a slot is free; whether there was one."""
        if self.free is not None and len(self.start) >= self.free:
            self.waits = max(0, min(self.waits + 1, self.own - len(self.start)))
            return False
        self.start.append(evaluation)
        return True


@dataclass
class Work:
    """One pass over the evaluations of a round."""

    observed: RoundObject
    models: Mapping[str, ModelObject]
    jobs: Mapping[str, list[JobObject]]
    """Jobs of the present series by key, ordered by attempt; of a pack, the part that each of its keys has."""
    pods: Sequence[PodObject]
    pass_: Pass
    results: list[ModelResult]
    fetch_controls: list[FetchControl] | None = None
    """Models that were or are fetched again as controls, if that has changed."""
    busy: frozenset[str] = frozenset()
    """Keys that an earlier Job holds: two pods must never write to the same directory."""

    def known_refusal(self, key: str, attempt: int) -> Refusal | None:
        """Return the last refusal of the Job of an attempt, whether or not it is time to try again."""
        return self.pass_.refusals.get(self._name(key, attempt))

    def refusal(self, key: str, attempt: int) -> Refusal | None:
        """Return why the Job of an attempt may not be created now."""
        return self.pass_.refusal(self._name(key, attempt))

    def _name(self, key: str, attempt: int) -> str:
        series, indexed = self.observed.status.series, self.observed.spec.workload.shards is not None
        return naming.round_job_name(self.observed.meta.name, key=key, attempt=attempt, series=series, indexed=indexed)
