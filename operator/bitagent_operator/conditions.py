"""Conditions: set one, read one. Pure; the clock is an argument."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from bitagent_crds.conditions import Condition, ConditionStatus, ConditionType, Reason

MESSAGE_BYTES = 1024


def clip(text: str, limit: int) -> str:
    """The text, cut to `limit` characters with a sign of it."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def find(conditions: Iterable[Condition], kind: ConditionType) -> Condition | None:
    """The condition of a type, if there is one."""
    return next((c for c in conditions if c.type == kind), None)


def holds(conditions: Iterable[Condition], kind: ConditionType) -> bool:
    """Whether the condition is True."""
    return any(c.type == kind and c.status == ConditionStatus.TRUE for c in conditions)


class Conditions:
    """The conditions of one object, being rewritten; `lastTransitionTime` moves only with the status."""

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
        """Set one. `not_before`: an observation made then; an older transition to the same status is not this one."""
        old = self._by_type.get(kind)
        since = self._now if old is None or old.status != status else old.last_transition_time
        if not_before is not None and since < not_before:
            since = not_before
        self._by_type[kind] = Condition(
            type=kind,
            status=status,
            reason=reason,
            message=clip(message, MESSAGE_BYTES),
            observed_generation=self._generation,
            last_transition_time=since,
        )

    def get(self, kind: ConditionType) -> Condition | None:
        """The condition as it stands now."""
        return self._by_type.get(kind)

    def all(self) -> list[Condition]:
        """All, in the order of the vocabulary."""
        order = list(ConditionType)
        return sorted(self._by_type.values(), key=lambda c: order.index(c.type))
