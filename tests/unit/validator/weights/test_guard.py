"""The guard: which rows are held, and what a person has accepted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import Guard
from bitagent_validator.state.rows import Row
from bitagent_validator.weights.computed import ComputedWeights
from bitagent_validator.weights.guard import Acceptance, accepted_as, guard_obstacle


def computed(weights: Mapping[str, int], models: int) -> ComputedWeights:
    return ComputedWeights({}, Row.planned(weights, ("val-fc-8",)), scored={"fc": models})


BEFORE = Row.planned({"b": 65535, "a": 30000}, ("val-fc-7",)).as_pending(since=1, account="x", uids={"a": 1, "b": 2})
BEFORE = BEFORE.as_accepted(block=2, at=datetime(2026, 1, 1, tzinfo=UTC), extrinsic="x")


@pytest.mark.parametrize(
    ("guard", "found", "accepts", "held"),
    [
        pytest.param({}, computed({"a": 1}, 1), "", False, id="V30 without a guard"),
        pytest.param({"minimumModels": 2}, computed({"a": 1}, 1), "", True, id="V30: one model of two"),
        pytest.param({"minimumModels": 2}, computed({"a": 1}, 2), "", False, id="as many as asked"),
        pytest.param({"minimumModels": 2}, computed({"a": 1}, 1), "val-fc-8", False, id="a person accepts"),
        pytest.param({"minimumModels": 2}, computed({"a": 1}, 1), "val-fc-7", True, id="a person accepted another"),
        pytest.param({"maximumChangePercent": 50}, computed({"a": 1}, 9), "", True, id="most of it moves"),
        pytest.param({"maximumChangePercent": 70}, computed({"a": 1}, 9), "", False, id="less than allowed moves"),
        pytest.param({"maximumChangePercent": 1}, computed({"b": 65535, "a": 30000}, 9), "", False, id="the same row"),
    ],
)
def test_a_row_is_held(guard: Any, found: ComputedWeights, accepts: str, held: bool) -> None:
    accepted = Acceptance({0: accepts})
    obstacle = guard_obstacle(Guard.model_validate(guard), found, BEFORE.weights, accepted=accepted)
    assert (obstacle is not None) is held
    if obstacle:
        assert obstacle.reason is Reason.GUARD_HELD
        assert "accept-weights-0=val-fc-8" in obstacle.message


def test_a_first_row_changes_nothing() -> None:
    guard = Guard(maximum_change_percent=1)
    assert guard_obstacle(guard, computed({"a": 1}, 9), {}, accepted=Acceptance({})) is None


def test_a_row_of_fixed_shares_is_accepted_once() -> None:
    one, other = (accepted_as(Row.planned({hotkey: 1}, ())) for hotkey in "ab")
    assert one.startswith("fixed-")
    assert one != other, "an annotation that stays accepts no later row"


ROUNDS, FIXED = Row.planned({"a": 1}, ("val-fc-8", "val-x-2")), Row.planned({"a": 1}, ())
VALUE = accepted_as(FIXED)


@pytest.mark.parametrize(
    ("row", "accepted", "mechanisms"),
    [
        pytest.param(ROUNDS, Acceptance({1: "val-fc-8,val-x-2"}, single=False), {1}, id="a row of one mechanism"),
        pytest.param(FIXED, Acceptance({1: VALUE}, single=False), {1}, id="equal rows in all: in one only"),
        pytest.param(FIXED, Acceptance({0: VALUE, 1: VALUE}, single=False), {0, 1}, id="in two"),
        pytest.param(ROUNDS, Acceptance({}, "val-fc-8,val-x-2", single=False), {0, 1, 7}, id="rounds of one mechanism"),
        pytest.param(FIXED, Acceptance({}, VALUE, single=False), set(), id="no number, and several mechanisms"),
        pytest.param(FIXED, Acceptance({}, VALUE), {0, 1, 7}, id="no number, and one mechanism"),
        pytest.param(ROUNDS, Acceptance({1: "val-fc-8"}), set(), id="a part of the rounds"),
    ],
)
def test_what_is_accepted_is_a_row_of_a_mechanism(row: Row, accepted: Acceptance, mechanisms: set[int]) -> None:
    assert {number for number in (0, 1, 7) if accepted.accepts(row, mechanism=number)} == mechanisms
    computed = ComputedWeights({}, row, scored={"fc": 1})
    for number in (0, 1, 7):
        held = guard_obstacle(Guard(minimum_models=2), computed, {}, accepted=accepted, mechanism=number)
        assert (held is None) == (number in mechanisms)
        if held:
            assert f"accept-weights-{number}=" in held.message


def test_an_annotation_without_a_number_is_refused_with_a_sentence() -> None:
    accepted = Acceptance({}, VALUE, single=False)
    held = guard_obstacle(Guard(minimum_models=2), ComputedWeights({}, FIXED, scored={"fc": 1}), {}, accepted=accepted)
    assert held
    assert accepted.problem(FIXED) in held.message
    assert (bool(accepted.problem(FIXED)), accepted.problem(ROUNDS)) == (True, "")
