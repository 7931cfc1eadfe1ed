"""The guard: a row that rests on few models, or differs much from the last one, is held for a person. Pure.

A person accepts one row of one mechanism by an annotation of the Validator, `bitagent.io/accept-weights-M`, with the
value that the condition names. The annotation without a number, of earlier versions, accepts the row of the rounds that
it names, in whichever mechanism they are; rows that rest on no round can be equal in several, and so need the number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import Guard
from bitagent_validator.objects import ACCEPT_WEIGHTS_ANNOTATION
from bitagent_validator.state.rows import Row, counted
from bitagent_validator.weights.computed import ComputedWeights
from bitagent_validator.weights.fill import change_between
from bitagent_validator.weights.obstacles import Obstacle

FIXED = "fixed-"


@dataclass(frozen=True)
class Acceptance:
    """What a person has accepted."""

    by_mechanism: Mapping[int, str]
    anywhere: str = ""
    """The value of the annotation without a number."""
    single: bool = True
    """Whether weights are set in one mechanism only, which that annotation then means."""

    def accepts(self, row: Row, *, mechanism: int) -> bool:
        """Whether this row of a mechanism is accepted."""
        value = accepted_as(row)
        return self.by_mechanism.get(mechanism) == value or (self.anywhere == value and not self._unclear(value))

    def problem(self, row: Row) -> str:
        """Return why the annotation without a number does not accept a row that it names; empty if it names another."""
        value = accepted_as(row)
        if self.anywhere != value or not self._unclear(value):
            return ""
        return f"the annotation {ACCEPT_WEIGHTS_ANNOTATION}={value} names no mechanism, so that it accepts nothing"

    def _unclear(self, value: str) -> bool:
        return value.startswith(FIXED) and not self.single


def accepted_as(row: Row) -> str:
    """Return the value of the annotation that lets a held row pass: one that rests on no round is named by its hash."""
    return ",".join(row.rounds) or f"{FIXED}{row.digest.rpartition(':')[2][:12]}"


def guard_obstacle(
    guard: Guard, computed: ComputedWeights, last: Mapping[str, int], *, accepted: Acceptance, mechanism: int = 0
) -> Obstacle | None:
    """Return why a mechanism's row is held for a person; None if it is not. `last` are the weights set last."""
    row = computed.row
    if row is None or accepted.accepts(row, mechanism=mechanism):
        return None
    found = []
    least = guard.minimum_models
    few = {name: count for name, count in computed.scored.items() if least is not None and count < least}
    found += [
        f"competition {name} has {counted(count, 'model')} with a score, fewer than {least}"
        for name, count in few.items()
    ]
    limit = guard.maximum_change_percent
    change = 100 * change_between(last, row.weights)
    if limit is not None and change > limit:
        found.append(f"{change:.0f} % of the weights would go to other hotkeys, more than {limit} %")
    if not found:
        return None
    annotation = f"{ACCEPT_WEIGHTS_ANNOTATION}-{mechanism}={accepted_as(row)}"
    held = f"{row.source} are held until a person accepts: kubectl annotate validator NAME --overwrite {annotation}"
    problem = accepted.problem(row)
    return Obstacle(Reason.GUARD_HELD, f"{'; '.join(found)}: {held}{f' ({problem})' if problem else ''}")
