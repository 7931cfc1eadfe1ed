"""Rounds of a competition: epochs, and which EvalRounds to create, to give their seed, and to delete. Pure.

One round runs at a time in a competition. If an epoch begins while the last round is still running, no second one is
started: the round of the epoch that is then current starts once the running one has finished, and the RoundCurrent
condition is False until then. Its seed does not lie open meanwhile: it needs a block that comes only after the round
was created, and a secret that is published only when the round's models are fixed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bitagent_crds.evalround import EvalRoundSpec
from bitagent_crds.names import (
    BLOCK_SECONDS_ANNOTATION,
    COMPETITION_LABEL,
    CREATED_BLOCK_ANNOTATION,
    EPOCH_BLOCK_ANNOTATION,
    EPOCH_LABEL,
    MANAGED_BY_LABEL,
    VALIDATOR_LABEL,
    round_name,
)
from bitagent_crds.schema import API_VERSION
from bitagent_crds.seeds import SeedFrom
from bitagent_crds.validator import Competition, Schedule
from bitagent_validator.objects import Round, RoundPhase

MANAGER = "bitagent-validator"
"""Field manager of everything that the validator writes."""


@dataclass(frozen=True)
class Epoch:
    """One period of a competition."""

    number: int
    """Counted from block 0, so that it names the same epoch on every validator and after every restart."""
    block: int
    """Its first block."""


def epoch_at(block: int, *, every_blocks: int, offset: int) -> Epoch | None:
    """Return the epoch that contains a block; None before the first one.

    An epoch begins at each block that is a multiple of `every_blocks`, plus `offset`. Raises ValueError if
    `every_blocks` is less than 1 or `offset` is negative.
    """
    if every_blocks < 1 or offset < 0:
        raise ValueError(f"an epoch has at least one block and no negative offset: {every_blocks=}, {offset=}")
    number = (block - offset) // every_blocks
    return Epoch(number, number * every_blocks + offset) if number >= 0 else None


def freeze_blocks(schedule: Schedule) -> int:
    """Return how many blocks a round has to fix its models: as scheduled, but at most half an epoch."""
    return min(schedule.freeze_blocks, max(1, schedule.every_blocks // 2))


def seed_block(schedule: Schedule, epoch: Epoch, *, block: int) -> int:
    """Return the block whose hash is part of the seed of a round that is created at `block`.

    It is `freeze_blocks` after the epoch's first block, or as many times that as leave the operator at least half of
    it: validators that create their rounds at about the same time use the same block.
    """
    length = freeze_blocks(schedule)
    times = max(1, math.ceil((block + (length + 1) // 2 - epoch.block) / length))
    return epoch.block + times * length


BOUND_EPOCHS = 2
"""Epochs after which a round fails that has not ended: a slow one may overrun its own."""
SHORTEST_BOUND = 86400
"""Seconds for which a round may run in any case: a failure of the cluster that passes within a day costs no round."""
_LONGEST_BOUND = 31536000


def bound_of(competition: Competition, *, block_seconds: float) -> int:
    """Return the seconds after which a round fails that has not ended: until then it keeps the next one from starting.

    A round that has failed may be retried, and pays if it completes before the next one does.
    """
    if competition.round.active_deadline_seconds is not None:
        return competition.round.active_deadline_seconds
    epochs = math.ceil(BOUND_EPOCHS * competition.schedule.every_blocks * block_seconds)
    return min(max(SHORTEST_BOUND, epochs), _LONGEST_BOUND)


AHEAD_OF_TIME_BLOCKS = 100
"""Blocks by which an epoch may begin after the present block, as where a node is behind. A round of a later one was
created at a height that is not believed any more: it gets no seed, and keeps no other round from starting."""


@dataclass(frozen=True)
class RoundPlan:
    """The rounds of one competition, and what to do about them."""

    competition: str
    current: Epoch | None
    """The epoch of the present block; None before the first one."""
    latest: Round | None
    """The latest round, before this plan is carried out."""
    create: Epoch | None = None
    """The epoch whose round is to be created."""
    skipped: int = 0
    """Epochs between the last round and the one to be created: they have none."""
    reveal: tuple[Round, ...] = ()
    """Rounds whose seed is to be published."""
    replace: tuple[Round, ...] = ()
    """Rounds whose seed other validators may have published before their set was frozen: to be deleted, and created
    again with a later block."""
    delete: tuple[str, ...] = ()
    """Names of finished rounds beyond the history limit."""


def plan_rounds(
    competition: Competition, *, block: int, rounds: Sequence[Round], scored_block: int | None
) -> RoundPlan:
    """Return which rounds of a competition to create, to give their seed, and to delete at a final block.

    A seed is published when its block is final and the round's models are fixed. A model that cannot be resolved delays
    it by `freeze_blocks` at most; a set that is not frozen delays it until it is. With a shared secret neither may
    delay it: the other validators publish the same seed.

    `scored_block` is the first block of the last round whose scores were recorded: that round is never run again, even
    if its EvalRound is gone, and only complete rounds up to it may be deleted. One that waits for its archive stays.
    """
    schedule = competition.schedule
    current = epoch_at(block, every_blocks=schedule.every_blocks, offset=schedule.offset)
    early = [r for r in rounds if r.block > block + AHEAD_OF_TIME_BLOCKS]
    ordered = sorted((r for r in rounds if r not in early), key=lambda r: r.block)
    latest = ordered[-1] if ordered else None
    done = max(latest.block if latest else -1, -1 if scored_block is None else scored_block)
    running = any(r.phase is RoundPhase.UNFINISHED for r in ordered)
    create = current if current and not running and current.block > done else None
    skipped = (create.block - done) // schedule.every_blocks - 1 if create and done >= 0 else 0
    shared = competition.round.tasks.secret_ref is not None
    patience = 0 if shared else freeze_blocks(schedule)
    waiting = [(r, block - r.seed_from.block) for r in ordered if r.seed_from is not None and _waits_for_seed(r)]
    return RoundPlan(
        competition.id,
        current,
        latest,
        create=create,
        skipped=max(0, skipped),
        reveal=tuple(r for r, late in waiting if r.frozen and late >= (0 if r.models_fixed else patience)),
        replace=tuple(r for r, late in waiting if shared and not r.frozen and late >= 0),
        delete=(
            *_surplus(ordered, limit=competition.history_limit, scored_block=scored_block),
            *sorted(r.name for r in early if r.phase is RoundPhase.FAILED and not r.unarchived),
        ),
    )


def _waits_for_seed(round_: Round) -> bool:
    seed_from = round_.seed_from
    return round_.phase is RoundPhase.UNFINISHED and seed_from is not None and not seed_from.revealed


def _surplus(ordered: Sequence[Round], *, limit: int, scored_block: int | None) -> tuple[str, ...]:
    finished = [r for r in ordered if r.phase is not RoundPhase.UNFINISHED]
    complete = [r for r in finished if r.phase is RoundPhase.COMPLETE]
    last_complete = complete[-1].block if complete else None
    return tuple(
        r.name
        for r in finished[: max(0, len(finished) - limit)]
        if not r.unarchived
        and (
            r.phase is RoundPhase.FAILED
            or (r.block != last_complete and scored_block is not None and r.block <= scored_block)
        )
    )


def round_manifest(
    competition: Competition,
    epoch: Epoch,
    *,
    seed_from: SeedFrom,
    created_block: int,
    block_seconds: float,
    validator: str,
    namespace: str,
    owner: Mapping[str, object],
) -> dict[str, object]:
    """Return the EvalRound of one epoch.

    Creating it twice is harmless, since its name follows from validator, competition and epoch. `created_block` is the
    last final block, and `block_seconds` the time between two: with them the operator compares blocks with times.
    `owner` is the ownerReference to the Validator, with which its rounds are deleted.
    """
    template = competition.round.to_wire()
    tasks = {name: value for name, value in template["tasks"].items() if name != "secretRef"}
    bound = {"activeDeadlineSeconds": bound_of(competition, block_seconds=block_seconds)}
    spec = EvalRoundSpec.model_validate({**template, **bound, "tasks": {**tasks, "seedFrom": seed_from.to_wire()}})
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
                MANAGED_BY_LABEL: MANAGER,
            },
            "annotations": {
                EPOCH_BLOCK_ANNOTATION: str(epoch.block),
                CREATED_BLOCK_ANNOTATION: str(created_block),
                BLOCK_SECONDS_ANNOTATION: f"{block_seconds:g}",
            },
            "ownerReferences": [dict(owner)],
        },
        "spec": spec.to_wire(),
    }
