"""The wait for models before the set is frozen, and what is frozen with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bitagent_operator.plan.rounds.start import MODELS_WAIT

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan

WAIT = MODELS_WAIT.total_seconds()


def test_models_that_come_after_their_round_are_waited_for(make: Make, plan: Plan) -> None:
    found = plan(make.round(), selected=True, now=10)
    assert (found.status.started_at, found.status.phase) == (None, "Pending")
    assert found.condition("Running").reason == "WaitingForModels"
    assert found.condition("Failed").status == "False"
    assert [e.reason for e in found.events] == ["RoundWaiting"]
    assert found.requeue_after == 5
    again = make.round(status=found.status.to_wire())
    same = plan(again, selected=True, now=15)
    assert (same.status, same.events) == (again.status, ()), "no write while it waits"
    assert list(plan(again, [make.model("a")], selected=True, now=20).results) == ["a"]


@pytest.mark.parametrize("now", [WAIT - 3, WAIT], ids=["just before", "over"])
def test_no_models_fail_the_round_when_the_wait_is_over(make: Make, plan: Plan, now: float) -> None:
    found = plan(make.round(), selected=True, now=now)
    if now < WAIT:
        assert (found.status.finished_at, found.requeue_after) == (None, 3)
        return
    assert (found.condition("Failed").status, found.condition("Failed").reason) == ("True", "NoModels")
    assert found.status.finished_at == make.at(now)
    assert [e.reason for e in found.events] == ["RoundFailed"]


def test_a_misspelt_name_is_not_called_deleted(make: Make, plan: Plan) -> None:
    observed, models = make.round(names=["a", "gohst"]), [make.model("a")]
    waiting = plan(observed, models, selected=True, now=10)
    assert (waiting.status.started_at, waiting.condition("Running").reason) == (None, "WaitingForModels")
    assert "gohst" in waiting.condition("Running").message
    found = plan(observed, models, selected=True, now=WAIT)
    assert found.states == {"a": ("Pending", "Pending"), "gohst": ("Rejected", "ModelNotFound")}
    running = plan(make.round(names=["a", "gohst"], status=found.status.to_wire()), [make.model("a")], now=WAIT)
    assert running.states["gohst"] == ("Rejected", "ModelNotFound"), "whatever is listed later"


def test_a_name_that_was_there_is_called_deleted(make: Make, plan: Plan) -> None:
    started = plan(make.round(names=["a"]), [make.model("a")], selected=True)
    found = plan(make.round(names=["a"], status=started.status.to_wire()), gone=["a"])
    assert found.states == {"a": ("Rejected", "ModelDeleted")}


def test_names_of_which_none_exists_fail_the_round(make: Make, plan: Plan) -> None:
    found = plan(make.round(names=["a", "b"]), selected=True, now=WAIT)
    assert found.condition("Failed").reason == "NoModels"
    assert set(found.states.values()) == {("Rejected", "ModelNotFound")}


def test_a_round_whose_seed_comes_with_a_block_does_not_wait(make: Make, plan: Plan) -> None:
    """Its Validator creates one in every epoch: a name that is gone must not delay each of them."""
    seeded = make.round(names=["a", "gone"], spec_tasks=make.seed_from())
    found = plan(seeded, [make.model("a")], selected=True, now=1)
    assert found.states["gone"] == ("Rejected", "ModelNotFound")
    assert plan(make.round(spec_tasks=make.seed_from()), selected=True, now=1).condition("Failed").status == "True"


def test_what_the_round_keeps_from_its_start(make: Make, plan: Plan) -> None:
    found = plan(make.round(), [make.model("a")], selected=True, image="e:1")
    assert found.status.image == "e:1"
    assert found.status.artifacts == "pvc://artifacts/rounds/uid-r"
    assert found.status.active_since == found.status.started_at == make.at(100)
