"""Which fetch of a model is wanted, if what is known of its files will not do.

It is wanted for the present spec, once; for a round that started after what may change was asked; and after an evaluation that failed as it
fails without the model's files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import ResultState
from bitagent_operator import naming
from bitagent_operator.observed import ModelObject, RoundObject
from bitagent_operator.plan.freshness import fresh, settled

_MISSED = (ResultState.INFRA_FAULT, Reason.INFRASTRUCTURE_FAULT)
_NEVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class Fetch:
    """A fetch Job to create."""

    need: str
    since: datetime
    """What is found must be found after this: the start of a round that needs it, the end of one that missed it; 1970 when there is no such bound."""
    attempt: int


def wanted(model: ModelObject, rounds: Iterable[RoundObject]) -> Fetch | None:
    """The fetch that is wanted now, none if what is known will do."""
    identity, rounds = (model.meta.uid, str(model.meta.generation)), list(rounds)
    over = settled(model)
    if over is None:
        return Fetch(naming.short_hash(*identity), _NEVER, 1)
    missed = [
        (r.status.finished_at, r.meta.uid)
        for r in rounds
        if r.status.finished_at is not None and r.status.finished_at > over.at and _missed(r, model)
    ]
    if over.fetched and missed:
        since, uid = max(missed)
        return Fetch(naming.short_hash(*identity, uid, "missed"), since, 1)
    waiting = [
        (r.status.started_at, r.meta.uid)
        for r in rounds
        if r.status.started_at is not None and r.status.finished_at is None and not r.spec.suspend and _waits(r, model)
    ]
    if not waiting:
        return None
    since, uid = max(waiting)
    return None if fresh(model, since=since) else Fetch(naming.short_hash(*identity, uid), since, 1)


def _missed(observed: RoundObject, model: ModelObject) -> bool:
    """Whether the evaluation failed in the way in which it also fails without the model's files.

    The cache makes room by what was used longest ago, and its volume may be another one after an installation. Where the files are still
    there the fetch finds them at once.
    """
    return observed.status.counts.infra_faults > 0 and any(
        r.model == model.meta.name and (r.state, r.reason) == _MISSED and r.weights_digest is not None
        for r in observed.status.results
    )


def _waits(observed: RoundObject, model: ModelObject) -> bool:
    return any(
        r.model == model.meta.name and r.state == ResultState.PENDING and r.commit is None
        for r in observed.status.results
    )
