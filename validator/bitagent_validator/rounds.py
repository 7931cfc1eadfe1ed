"""Which rounds to create and to delete. Pure: a competition, the present block and the rounds seen, to a plan.

One round runs at a time in a competition. When an epoch begins while the last round still runs, no other is piled up:
the round of whatever epoch is then current starts once it has finished. Its seed was public since that epoch began,
so miners who change a model between the two have seen it; a RoundCurrent condition that is False says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from bitagent_crds.evalround import EvalRoundSpec
from bitagent_crds.rounds import COMPETITION_LABEL, EPOCH_LABEL, VALIDATOR_LABEL, round_name
from bitagent_crds.schema import API_VERSION
from bitagent_crds.validator import Competition
from bitagent_validator.epochs import Epoch, epoch_at

MANAGER = "bitagent-validator"
BLOCK_ANNOTATION = "bitagent.io/epoch-block"
"""On an EvalRound: the first block of its epoch."""


class Outcome(Enum):
    """How far a round is."""

    UNFINISHED = auto()
    COMPLETE = auto()
    FAILED = auto()


@dataclass(frozen=True)
class SeenRound:
    """A round of one competition, as observed."""

    name: str
    epoch: int
    block: int
    """The epoch's first block. Rounds are ordered by it: numbers jump when the schedule is changed, blocks do not."""
    outcome: Outcome


@dataclass(frozen=True)
class RoundPlan:
    """What is to be done for one competition, and how it stands."""

    competition: str
    current: Epoch | None
    """The epoch that the present block belongs to; None before the first."""
    latest: SeenRound | None
    """The latest round, before anything in this plan is done."""
    create: Epoch | None = None
    """The epoch whose round is to be created."""
    delete: tuple[str, ...] = ()
    """Names of finished rounds beyond the history limit."""


def plan_rounds(
    competition: Competition, *, block: int, seen: Sequence[SeenRound], scored_block: int | None
) -> RoundPlan:
    """Decide for one competition.

    `scored_block` is the first block of the last round whose scores were taken over: that round is never run again,
    even if its EvalRound is gone, and only complete rounds up to it may be deleted.
    """
    schedule = competition.schedule
    current = epoch_at(block, every_blocks=schedule.every_blocks, offset=schedule.offset)
    ordered = sorted(seen, key=lambda r: r.block)
    latest = ordered[-1] if ordered else None
    done = max(latest.block if latest else -1, -1 if scored_block is None else scored_block)
    running = any(r.outcome is Outcome.UNFINISHED for r in ordered)
    create = current if current and not running and current.block > done else None
    return RoundPlan(
        competition.id,
        current,
        latest,
        create=create,
        delete=_surplus(ordered, limit=competition.history_limit, scored_block=scored_block),
    )


def _surplus(ordered: Sequence[SeenRound], *, limit: int, scored_block: int | None) -> tuple[str, ...]:
    finished = [r for r in ordered if r.outcome is not Outcome.UNFINISHED]
    complete = [r for r in finished if r.outcome is Outcome.COMPLETE]
    last_complete = complete[-1].block if complete else None
    return tuple(
        r.name
        for r in finished[: max(0, len(finished) - limit)]
        if r.outcome is Outcome.FAILED
        or (r.block != last_complete and scored_block is not None and r.block <= scored_block)
    )


def round_manifest(
    competition: Competition, epoch: Epoch, *, seed: str, validator: str, namespace: str, owner: Mapping[str, object]
) -> dict[str, object]:
    """The EvalRound of one epoch. Making it twice is harmless: its name follows from validator, competition and epoch.

    `owner` is the ownerReference to the Validator: its rounds go with it.
    """
    template = competition.round.to_wire()
    spec = EvalRoundSpec.model_validate({**template, "tasks": {**template["tasks"], "seed": seed}})
    return {
        "apiVersion": API_VERSION,
        "kind": "EvalRound",
        "metadata": {
            "name": round_name(validator, competition.id, epoch.number),
            "namespace": namespace,
            "labels": {
                VALIDATOR_LABEL: validator,
                COMPETITION_LABEL: competition.id,
                EPOCH_LABEL: str(epoch.number),
                "app.kubernetes.io/managed-by": MANAGER,
            },
            "annotations": {BLOCK_ANNOTATION: str(epoch.block)},
            "ownerReferences": [dict(owner)],
        },
        "spec": spec.to_wire(),
    }
