"""Which rounds are created and deleted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.evalround import EvalRoundSpec
from bitagent_crds.rounds import round_name
from bitagent_crds.validator import Competition
from bitagent_validator.epochs import Epoch
from bitagent_validator.rounds import Outcome, SeenRound, plan_rounds, round_manifest

UNFINISHED, COMPLETE, FAILED = Outcome.UNFINISHED, Outcome.COMPLETE, Outcome.FAILED
Make = Callable[..., Competition]


def seen(epoch: int, outcome: Outcome) -> SeenRound:
    return SeenRound(f"val-fc-{epoch}", epoch, epoch * 100, outcome)


@pytest.mark.parametrize(
    ("rounds", "scored", "create"),
    [
        pytest.param([], None, 10, id="the first round starts in the running epoch"),
        pytest.param([seen(10, UNFINISHED)], None, None, id="the present round runs"),
        pytest.param([seen(10, COMPLETE)], None, None, id="the present round is done"),
        pytest.param([seen(10, FAILED)], None, None, id="a failed round is not run again in its epoch"),
        pytest.param([seen(9, COMPLETE)], 900, 10, id="the next epoch follows a complete round"),
        pytest.param([seen(9, FAILED)], None, 10, id="the next epoch follows a failed round"),
        pytest.param([seen(9, UNFINISHED)], None, None, id="no second round beside one that runs late"),
        pytest.param([seen(4, UNFINISHED), seen(9, COMPLETE)], 900, None, id="however old it is"),
        pytest.param([seen(6, COMPLETE)], 600, 10, id="epochs that were missed are not made up for"),
        pytest.param([], 1000, None, id="deleted by hand after it was scored: not run again"),
        pytest.param([], 900, 10, id="deleted by hand in an earlier epoch"),
    ],
)
def test_what_is_created(competition: Make, rounds: list[SeenRound], scored: int | None, create: int | None) -> None:
    plan = plan_rounds(competition(), block=1050, seen=rounds, scored_block=scored)
    assert plan.create == (Epoch(create, create * 100) if create is not None else None)
    assert plan.current == Epoch(10, 1000)


def test_nothing_is_created_before_the_first_epoch(competition: Make) -> None:
    late = competition(schedule={"everyBlocks": 100, "offset": 2000})
    plan = plan_rounds(late, block=1050, seen=[], scored_block=None)
    assert (plan.current, plan.create) == (None, None)


def test_a_longer_schedule_goes_on_from_the_last_round_by_block(competition: Make) -> None:
    """Epoch numbers fall when epochs get longer; rounds go on all the same."""
    longer = competition(schedule={"everyBlocks": 1000})
    last = SeenRound("val-fc-52", 52, 5200, COMPLETE)
    assert plan_rounds(longer, block=5900, seen=[last], scored_block=5200).create is None
    assert plan_rounds(longer, block=6000, seen=[last], scored_block=5200).create == Epoch(6, 6000)


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
            [seen(7, FAILED), seen(8, FAILED), seen(9, FAILED)], None, [7], id="failed ones, of which none pays"
        ),
        pytest.param([seen(0, COMPLETE), seen(1, COMPLETE), seen(2, COMPLETE)], 0, [0], id="block 0 counts"),
        pytest.param(
            [seen(6, UNFINISHED), seen(7, COMPLETE), seen(8, COMPLETE)], 800, [], id="unfinished ones do not count"
        ),
    ],
)
def test_what_is_deleted(competition: Make, rounds: list[SeenRound], scored: int | None, deleted: list[int]) -> None:
    plan = plan_rounds(competition(), block=1050, seen=rounds, scored_block=scored)
    assert plan.delete == tuple(f"val-fc-{epoch}" for epoch in deleted)


ROUNDS = st.lists(
    st.builds(seen, st.integers(0, 30), st.sampled_from(list(Outcome))), max_size=12, unique_by=lambda r: r.epoch
)


@given(rounds=ROUNDS, block=st.integers(0, 4000), scored=st.none() | st.integers(0, 30).map(lambda e: e * 100))
def test_plans_are_safe(competition: Make, rounds: list[SeenRound], block: int, scored: int | None) -> None:
    plan = plan_rounds(competition(), block=block, seen=rounds, scored_block=scored)
    by_name = {r.name: r for r in rounds}
    complete = [r.epoch for r in rounds if r.outcome is COMPLETE]
    for name in plan.delete:
        assert by_name[name].outcome is not UNFINISHED
        assert not complete or by_name[name].epoch != max(complete)
    if plan.create:
        assert all(r.outcome is not UNFINISHED for r in rounds)
        assert all(r.epoch < plan.create.number for r in rounds)
        assert plan.create.block <= block
    again = plan_rounds(competition(), block=block, seen=list(reversed(rounds)), scored_block=scored)
    assert again == plan, "the order in which rounds are seen does not matter"


def test_manifest_of_a_round(competition: Make) -> None:
    owner = {"kind": "Validator", "name": "val", "uid": "u1"}
    made = round_manifest(competition(), Epoch(7, 703), seed="0xabc", validator="val", namespace="ns", owner=owner)
    assert made["metadata"] == {
        "name": round_name("val", "fc", 7),
        "namespace": "ns",
        "labels": {
            "bitagent.io/validator": "val",
            "bitagent.io/competition": "fc",
            "bitagent.io/epoch": "7",
            "app.kubernetes.io/managed-by": "bitagent-validator",
        },
        "annotations": {"bitagent.io/epoch-block": "703"},
        "ownerReferences": [owner],
    }
    spec = EvalRoundSpec.model_validate(made["spec"])
    assert (spec.tasks.seed, spec.tasks.count) == ("0xabc", 10)
    template = competition().round.to_wire()
    assert made["spec"] == {**template, "tasks": {**template["tasks"], "seed": "0xabc"}, "suspend": False}
