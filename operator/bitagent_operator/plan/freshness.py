"""What is known of a model's files, and whether that is recent enough for a round.

A commit never changes: fetched once, it stays fetched until an evaluation failed that may have missed its files, and its fault stays its
fault until the spec changes. A branch, a tag or a directory may change, and what the hub does not show may appear: each round that starts
wants to know anew, unless it was asked just before. A fault of the infrastructure is asked again by the next round.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.minermodel import MinerModelSpec
from bitagent_operator.conditions import find
from bitagent_operator.observed import ModelObject
from bitagent_operator.plan.results import INFRASTRUCTURE

RECENT = timedelta(seconds=60)
"""What was asked this short before a round started is the round's own: models are often applied together with their first round."""
RESOLVING = frozenset({Reason.REPOSITORY_NOT_FOUND, Reason.REVISION_NOT_FOUND, Reason.ACCESS_DENIED})
"""Reasons for which the hub shows nothing of a model. They are no commit's own: what is private or not there yet may be public tomorrow."""
_COMMIT = re.compile(r"^[0-9a-f]{40}$")


@dataclass(frozen=True)
class Settled:
    """The last fetch of the present spec came to an end."""

    fetched: bool
    reason: Reason
    message: str
    at: datetime

    @property
    def infrastructure(self) -> bool:
        """Whether it failed through nobody's fault."""
        return not self.fetched and self.reason in INFRASTRUCTURE


def pinned(spec: MinerModelSpec) -> bool:
    """Whether the source names a commit, which cannot change."""
    hub = spec.source.hugging_face
    return hub is not None and _COMMIT.match(hub.revision) is not None


def settled(model: ModelObject) -> Settled | None:
    """How the last fetch of the present spec ended; None while it has not."""
    c = find(model.status.conditions, ConditionType.FETCHED)
    if c is None or c.observed_generation != model.meta.generation or c.status == ConditionStatus.UNKNOWN:
        return None
    if c.status == ConditionStatus.FALSE:
        return Settled(False, c.reason, c.message, c.last_transition_time)
    resolved = model.status.resolved
    return None if resolved is None else Settled(True, c.reason, c.message, resolved.at)


def fresh(model: ModelObject, *, since: datetime) -> Settled | None:
    """`settled`, if it holds for a round that started at `since`."""
    found = settled(model)
    if found is None:
        return None
    if found.infrastructure:
        return found if found.at >= since else None
    lasting = pinned(model.spec) and found.reason not in RESOLVING
    return found if lasting or found.at >= since - RECENT else None
