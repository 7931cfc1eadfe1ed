"""Epochs, and which rounds are created, get their seed, and are deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.evalround import EvalRoundSpec
from bitagent_crds.names import round_name
from bitagent_crds.seeds import SeedFrom
from bitagent_crds.validator import Competition, Schedule
from bitagent_validator.competitions.rounds import (
    AHEAD_OF_TIME_BLOCKS,
    Epoch,
    bound_of,
    epoch_at,
    freeze_blocks,
    plan_rounds,
    round_manifest,
    seed_block,
)
from bitagent_validator.objects import Round, RoundPhase

UNFINISHED, COMPLETE, FAILED = RoundPhase.UNFINISHED, RoundPhase.COMPLETE, RoundPhase.FAILED
Make = Callable[..., Competition]


def seen(epoch: int, phase: RoundPhase, **more: Any) -> Round:
    return Round(f"val-fc-{epoch}", epoch, epoch * 100, phase, **more)


@pytest.mark.parametrize(
    ("rounds", "scored", "create"),
    [
        pytest.param([], None, 10, id="the first round starts in the running epoch"),
        pytest.param([seen(10, UNFINISHED)], None, None, id="the present round runs"),
        pytest.param([seen(10, COMPLETE)], None, None, id="the present round is done"),
        pytest.param([seen(10, FAILED)], None, None, id="a failed round is not run again in its epoch"),
        pytest.param([seen(9, COMPLETE)], 900, 10, id="the next epoch follows a complete round"),
        pytest.param([seen(9, FAILED)], None, 10, id="the next epoch follows a failed round"),
        pytest.param([seen(9, UNFINISHED)], None, None, id="no second round beside one that is late"),
        pytest.param([seen(4, UNFINISHED), seen(9, COMPLETE)], 900, None, id="however old it is"),
        pytest.param([seen(6, COMPLETE)], 600, 10, id="missed epochs are not made up for"),
        pytest.param([], 1000, None, id="deleted by hand after it was scored: not run again"),
        pytest.param([], 900, 10, id="deleted by hand in an earlier epoch"),
    ],
)
def test_what_is_created(competition: Make, rounds: list[Round], scored: int | None, create: int | None) -> None:
    plan = plan_rounds(competition(), block=1050, rounds=rounds, scored_block=scored)
    assert plan.create == (Epoch(create, create * 100) if create is not None else None)
    assert plan.current == Epoch(10, 1000)


@pytest.mark.parametrize(
    ("rounds", "scored", "skipped"),
    [
        pytest.param([], None, 0, id="the first round"),
        pytest.param([seen(9, COMPLETE)], 900, 0, id="the next one"),
        pytest.param([seen(6, COMPLETE)], 600, 3, id="the last one was slow"),
        pytest.param([], 700, 2, id="the last one was deleted after it was scored"),
        pytest.param([seen(6, UNFINISHED)], None, 0, id="none is created"),
    ],
)
def test_epochs_without_a_round(competition: Make, rounds: list[Round], scored: int | None, skipped: int) -> None:
    assert plan_rounds(competition(), block=1050, rounds=rounds, scored_block=scored).skipped == skipped


def test_nothing_is_created_before_the_first_epoch(competition: Make) -> None:
    late = competition(schedule={"everyBlocks": 100, "offset": 2000})
    plan = plan_rounds(late, block=1050, rounds=[], scored_block=None)
    assert (plan.current, plan.create) == (None, None)


def test_a_longer_schedule_continues_from_the_last_round_by_block(competition: Make) -> None:
    """Epoch numbers fall when epochs get longer; rounds continue all the same."""
    longer = competition(schedule={"everyBlocks": 1000})
    last = Round("val-fc-52", 52, 5200, COMPLETE)
    assert plan_rounds(longer, block=5900, rounds=[last], scored_block=5200).create is None
    assert plan_rounds(longer, block=6000, rounds=[last], scored_block=5200).create == Epoch(6, 6000)


@pytest.mark.parametrize(
    ("rounds", "scored", "deleted"),
    [
        pytest.param([seen(8, COMPLETE), seen(9, COMPLETE)], 900, [], id="within the limit"),
        pytest.param([seen(7, COMPLETE), seen(8, COMPLETE), seen(9, COMPLETE)], 900, [7], id="the oldest beyond it"),
        pytest.param([seen(7, COMPLETE), seen(8, FAILED), seen(9, FAILED)], 700, [], id="never the last complete one"),
        pytest.param([seen(6, FAILED), seen(7, COMPLETE), seen(8, FAILED), seen(9, FAILED)], 700, [6], id="around it"),
        pytest.param(
            [seen(7, COMPLETE), seen(8, COMPLETE), seen(9, COMPLETE)], None, [], id="never one not scored yet"
        ),
        pytest.param(
            [seen(7, COMPLETE), seen(8, COMPLETE), seen(9, COMPLETE)], 600, [], id="nor one newer than the scores"
        ),
        pytest.param(
            [seen(7, FAILED), seen(8, FAILED), seen(9, FAILED)], None, [7], id="failed rounds, which have no scores"
        ),
        pytest.param([seen(0, COMPLETE), seen(1, COMPLETE), seen(2, COMPLETE)], 0, [0], id="block 0 counts"),
        pytest.param(
            [seen(6, UNFINISHED), seen(7, COMPLETE), seen(8, COMPLETE)], 800, [], id="unfinished ones do not count"
        ),
        pytest.param(
            [
                seen(5, FAILED, unarchived=True),
                seen(6, COMPLETE, unarchived=True),
                *map(seen, (7, 8, 9), [COMPLETE] * 3),
            ],
            900,
            [7],
            id="none that is not archived yet",
        ),
    ],
)
def test_what_is_deleted(competition: Make, rounds: list[Round], scored: int | None, deleted: list[int]) -> None:
    plan = plan_rounds(competition(), block=1050, rounds=rounds, scored_block=scored)
    assert plan.delete == tuple(f"val-fc-{epoch}" for epoch in deleted)


@pytest.mark.parametrize(
    ("rounds", "create", "deleted"),
    [
        pytest.param([seen(11, UNFINISHED)], None, [], id="the next epoch's: the node may be behind"),
        pytest.param([seen(9, COMPLETE), seen(9000, UNFINISHED)], 10, [], id="of an invented height"),
        pytest.param([seen(9, COMPLETE), seen(9000, FAILED)], 10, [9000], id="which has failed for want of a seed"),
        pytest.param([seen(10, UNFINISHED), seen(9000, FAILED)], None, [9000], id="beside the one that runs"),
        pytest.param([seen(9000, FAILED, unarchived=True)], 10, [], id="which waits for its archive"),
    ],
)
def test_a_round_of_an_epoch_that_has_not_begun(
    competition: Make, rounds: list[Round], create: int | None, deleted: list[int]
) -> None:
    plan = plan_rounds(competition(), block=1050, rounds=rounds, scored_block=900)
    assert (plan.create.number if plan.create else None) == create
    assert plan.delete == tuple(f"val-fc-{epoch}" for epoch in deleted)


ROUNDS = st.lists(
    st.builds(seen, st.integers(0, 30), st.sampled_from(list(RoundPhase))), max_size=12, unique_by=lambda r: r.epoch
)


@given(rounds=ROUNDS, block=st.integers(0, 4000), scored=st.none() | st.integers(0, 30).map(lambda e: e * 100))
def test_plans_are_safe(competition: Make, rounds: list[Round], block: int, scored: int | None) -> None:
    plan = plan_rounds(competition(), block=block, rounds=rounds, scored_block=scored)
    by_name = {r.name: r for r in rounds}
    rounds = [r for r in rounds if r.block <= block + AHEAD_OF_TIME_BLOCKS]
    complete = [r.epoch for r in rounds if r.phase is COMPLETE]
    for name in plan.delete:
        assert by_name[name].phase is not UNFINISHED
        assert not complete or by_name[name].epoch != max(complete)
    if plan.create:
        assert all(r.phase is not UNFINISHED for r in rounds)
        assert all(r.epoch < plan.create.number for r in rounds)
        assert plan.create.block <= block
    again = list(reversed(by_name.values()))
    reordered = plan_rounds(competition(), block=block, rounds=again, scored_block=scored)
    assert reordered == plan, "the order in which rounds are seen does not matter"


def test_manifest_of_a_round(competition: Make) -> None:
    owner = {"kind": "Validator", "name": "val", "uid": "u1"}
    seed_from = SeedFrom(block=728, secret_digest="sha256:" + "0" * 64)
    made = round_manifest(
        competition(),
        Epoch(7, 703),
        seed_from=seed_from,
        created_block=704,
        block_seconds=12.0,
        validator="val",
        namespace="ns",
        owner=owner,
    )
    assert made["metadata"] == {
        "name": round_name("val", "fc", 7),
        "namespace": "ns",
        "labels": {
            "bitagent.io/validator": "val",
            "bitagent.io/competition": "fc",
            "bitagent.io/epoch": "7",
            "app.kubernetes.io/managed-by": "bitagent-validator",
        },
        "annotations": {
            "bitagent.io/epoch-block": "703",
            "bitagent.io/created-block": "704",
            "bitagent.io/block-seconds": "12",
        },
        "ownerReferences": [owner],
    }
    spec = EvalRoundSpec.model_validate(made["spec"])
    assert (spec.tasks.seed, spec.tasks.seed_from, spec.tasks.count) == (None, seed_from, 10)
    template = competition().round.to_wire()
    assert made["spec"] == {
        **template,
        "tasks": {**template["tasks"], "seedFrom": seed_from.to_wire()},
        "activeDeadlineSeconds": 86400,
        "tasksOnly": False,
        "suspend": False,
        "retry": 0,
    }


@pytest.mark.parametrize(
    ("every_blocks", "block_seconds", "own", "expected"),
    [
        pytest.param(360, 12.0, None, 86400, id="short epochs: a day"),
        pytest.param(7200, 12.0, None, 172800, id="two epochs"),
        pytest.param(7200, 12.0, 600, 600, id="the competition's own"),
        pytest.param(1_000_000, 600.0, None, 31536000, id="at most what the field takes"),
    ],
)
def test_every_round_has_a_bound(
    competition: Make, every_blocks: int, block_seconds: float, own: int | None, expected: int
) -> None:
    """Or a round that stands still keeps its competition from ever starting another one."""
    made = competition(schedule={"everyBlocks": every_blocks})
    made = made.model_copy(update={"round": made.round.model_copy(update={"active_deadline_seconds": own})})
    assert bound_of(made, block_seconds=block_seconds) == expected


@pytest.mark.parametrize(
    ("block", "every", "offset", "expected"),
    [
        pytest.param(0, 100, 0, Epoch(0, 0), id="the genesis begins epoch 0"),
        pytest.param(99, 100, 0, Epoch(0, 0), id="last block of an epoch"),
        pytest.param(100, 100, 0, Epoch(1, 100), id="first block of the next"),
        pytest.param(6, 100, 7, None, id="before the offset there is none"),
        pytest.param(7, 100, 7, Epoch(0, 7), id="the offset begins epoch 0"),
        pytest.param(106, 100, 7, Epoch(0, 7), id="the offset shifts the end too"),
        pytest.param(4_000_000, 1, 0, Epoch(4_000_000, 4_000_000), id="an epoch of one block"),
        pytest.param(250, 100, 150, Epoch(1, 250), id="an offset longer than an epoch"),
    ],
)
def test_epoch_of_a_block(block: int, every: int, offset: int, expected: Epoch | None) -> None:
    assert epoch_at(block, every_blocks=every, offset=offset) == expected


@given(block=st.integers(0, 2**40), every=st.integers(1, 10**6), offset=st.integers(0, 10**6))
def test_a_block_is_in_its_epoch_and_in_no_other(block: int, every: int, offset: int) -> None:
    epoch = epoch_at(block, every_blocks=every, offset=offset)
    if epoch is None:
        assert block < offset
        return
    assert epoch.block <= block < epoch.block + every
    assert (epoch.block - offset) % every == 0
    assert epoch_at(epoch.block, every_blocks=every, offset=offset) == epoch


@pytest.mark.parametrize(("every", "offset"), [(0, 0), (-1, 0), (10, -1)])
def test_impossible_schedules_are_refused(every: int, offset: int) -> None:
    with pytest.raises(ValueError, match="at least one block"):
        epoch_at(1, every_blocks=every, offset=offset)


@pytest.mark.parametrize(
    ("every", "scheduled", "length"),
    [
        pytest.param(7200, 25, 25, id="as scheduled"),
        pytest.param(40, 25, 20, id="half an epoch at most"),
        pytest.param(1, 25, 1, id="at least one block"),
    ],
)
def test_the_time_to_fix_the_models(every: int, scheduled: int, length: int) -> None:
    assert freeze_blocks(Schedule(every_blocks=every, freeze_blocks=scheduled)) == length


@given(
    late=st.integers(0, 10_000), every=st.integers(1, 10_000), freeze=st.integers(1, 500), number=st.integers(0, 100)
)
def test_the_block_of_a_seed_comes_after_the_round(late: int, every: int, freeze: int, number: int) -> None:
    schedule, epoch = Schedule(every_blocks=every, freeze_blocks=freeze), Epoch(number, number * every)
    length, now = freeze_blocks(schedule), epoch.block + late
    block = seed_block(schedule, epoch, block=now)
    assert block - now >= max(1, length // 2)
    assert block - now <= 2 * length, "nor does it wait for long"
    assert (block - epoch.block) % length == 0, "other validators use the same"


REVEALED = {"block_hash": "0x" + "0" * 64, "secret": "0" * 64}


@pytest.mark.parametrize(
    ("changes", "more", "block", "due"),
    [
        pytest.param({}, {}, 1024, False, id="its block is not final"),
        pytest.param({}, {}, 1025, True, id="its block is final"),
        pytest.param({"models_fixed": False}, {}, 1049, False, id="a model is being resolved"),
        pytest.param({"models_fixed": False}, {}, 1050, True, id="a model is resolved too late"),
        pytest.param({"models_fixed": False, "frozen": False}, {}, 5000, False, id="its set is not frozen"),
        pytest.param({"phase": FAILED}, {}, 1025, False, id="it has failed"),
        pytest.param({"seed_from": None}, {}, 1025, False, id="its seed was given"),
        pytest.param({}, REVEALED, 1025, False, id="it has its seed"),
    ],
)
def test_when_a_seed_is_published(
    competition: Make, changes: dict[str, Any], more: dict[str, str], block: int, due: bool
) -> None:
    seed_from = SeedFrom.model_validate({"block": 1025, "secret_digest": "sha256:" + "0" * 64, **more})
    found = {"phase": UNFINISHED, "seed_from": seed_from, "frozen": True, "models_fixed": True} | changes
    round_ = Round("val-fc-10", 10, 1000, **found)
    plan = plan_rounds(competition(), block=block, rounds=[round_], scored_block=None)
    assert plan.reveal == ((round_,) if due else ())


@pytest.mark.parametrize(
    ("state", "block", "reveal", "replace"),
    [
        pytest.param({}, 1024, False, False, id="before the block"),
        pytest.param({}, 1025, False, True, id="not frozen: others may publish the seed first"),
        pytest.param({"frozen": True}, 1025, True, False, id="a model is being resolved: it is too late"),
        pytest.param({"frozen": True, "models_fixed": True}, 1025, True, False, id="its models are fixed"),
    ],
)
def test_a_shared_secret_waits_for_no_one(
    competition: Make, state: dict[str, bool], block: int, reveal: bool, replace: bool
) -> None:
    template = competition().round.to_wire()
    template["tasks"]["secretRef"] = {"name": "shared", "key": "seed"}
    seed_from = SeedFrom(block=1025, secret_digest="sha256:" + "0" * 64)
    round_ = Round("val-fc-10", 10, 1000, UNFINISHED, seed_from=seed_from, **state)
    plan = plan_rounds(competition(round=template), block=block, rounds=[round_], scored_block=None)
    assert (plan.reveal, plan.replace) == ((round_,) if reveal else (), (round_,) if replace else ())
