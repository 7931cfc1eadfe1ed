"""Status conditions: find one, set them, keep their transition times. Pure; the clock is an argument."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.printable import BREAKS, escape_unprintable
from bitagent_crds.status import Condition

MESSAGE_LENGTH = 1024
"""Characters of a condition's message."""


def clip(text: str, limit: int) -> str:
    """Make the text printable and cut it to `limit` characters; an ellipsis marks the cut."""
    text = escape_unprintable(text, keep=BREAKS)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def find(conditions: Iterable[Condition], kind: ConditionType) -> Condition | None:
    """Return the condition of a type, if there is one."""
    return next((c for c in conditions if c.type == kind), None)


def holds(conditions: Iterable[Condition], kind: ConditionType) -> bool:
    """Whether the condition is True."""
    return any(c.type == kind and c.status == ConditionStatus.TRUE for c in conditions)


def parse_conditions(wire: Iterable[Mapping[str, Any]]) -> list[Condition]:
    """Read the conditions of a status, those of a later version too; what is not a condition is left out."""
    found = []
    for each in wire:
        try:
            found.append(Condition.model_validate(each))
        except ValidationError:
            continue
    return found


@dataclass(frozen=True, slots=True)
class ConditionValue:
    """A condition without its history."""

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str = ""


class Conditions:
    """The conditions of one object while they are updated.

    `observedGeneration` is `generation` in every condition that is set; `lastTransitionTime` changes only with the
    status.
    """

    def __init__(self, conditions: Iterable[Condition], *, generation: int, now: datetime) -> None:
        self._by_type = {c.type: c for c in conditions}
        self._generation, self._now = generation, now

    def set(
        self,
        kind: ConditionType,
        status: ConditionStatus,
        reason: Reason,
        message: str = "",
        *,
        not_before: datetime | None = None,
    ) -> None:
        """Set one condition.

        `not_before` is when the status was observed: an older transition to the same status is replaced by it.
        """
        old = self._by_type.get(kind)
        since = self._now if old is None or old.status != status else old.last_transition_time
        if not_before is not None and since < not_before:
            since = not_before
        self._by_type[kind] = Condition(
            type=kind,
            status=status,
            reason=reason,
            message=clip(message, MESSAGE_LENGTH),
            observed_generation=self._generation,
            last_transition_time=since,
        )

    def get(self, kind: ConditionType) -> Condition | None:
        """Return the current condition of a type, if there is one."""
        return self._by_type.get(kind)

    def all(self) -> list[Condition]:
        """Return all conditions, in the order of `ConditionType`; those of a later version come last."""
        order = {kind: place for place, kind in enumerate(ConditionType)}
        return sorted(self._by_type.values(), key=lambda c: order.get(c.type, len(order)))


def update_conditions(
    values: Iterable[ConditionValue], *, previous: Iterable[Condition], generation: int, now: datetime
) -> list[Condition]:
    """Return conditions with these values, in this order.

    Transition times follow from `previous`; conditions of other types in it are left out.
    """
    conditions, types = Conditions(previous, generation=generation, now=now), []
    for value in values:
        conditions.set(value.type, value.status, value.reason, value.message)
        types.append(value.type)
    return [found for kind in types if (found := conditions.get(kind)) is not None]
