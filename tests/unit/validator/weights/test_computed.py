"""From all competitions to one row: each fails apart, and a row may be held for a person."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.model_result import ResultState
from bitagent_crds.policies import Standing
from bitagent_crds.validator import Competition, Guard, Weights
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.policy.eligibility import Standings
from bitagent_validator.policy.interface import Pay
from bitagent_validator.state.rows import Row
from bitagent_validator.state.scores import HotkeyScore, RoundResult, ScoredRound
from bitagent_validator.weights import computed as module
from bitagent_validator.weights.computed import ComputedWeights, accepted_as, compute_weights, guard_obstacle
from bitagent_validator.weights.notes import sent_version_key, with_notes
from bitagent_validator.weights.plan import Decision, Step

Make = Callable[..., Any]


def scored(name: str, **scores: float) -> Standings:
    def score(value: float) -> HotkeyScore:
        return HotkeyScore(registered_at=10, results=(RoundResult(state=ResultState.SUCCEEDED, score=value),))

    held = {hotkey: score(value) for hotkey, value in scores.items()}
    return Standings(ScoredRound(round=name, epoch=1, block=100, scores=held))


@pytest.fixture
def owned(subnet: Callable[..., Subnet], neuron: Make) -> Subnet:
    return subnet(neurons=subnet().neurons | {"own": neuron("own", uid=3)}, owner_hotkey="own")


@pytest.mark.parametrize(
    ("without", "held", "expected"),
    [
        pytest.param("Redistribute", {}, {"b": 1.0}, id="V18: the others get it"),
        pytest.param("Burn", {}, {"b": 0.4, "own": 0.6}, id="burnt"),
        pytest.param("Hold", {"x": {"a": 100}}, {"a": 0.6, "b": 0.4}, id="held"),
        pytest.param("Hold", {"x": {"gone": 100}}, {"b": 1.0}, id="held by one that has no slot"),
        pytest.param("Hold", {}, {"b": 1.0}, id="nothing to hold"),
    ],
)
def test_a_competition_without_a_result(
    competition: Callable[..., Competition], owned: Subnet, without: str, held: Any, expected: Any
) -> None:
    two = [competition(id="x", rewardShare=60, withoutResult=without), competition(id="y", rewardShare=40)]
    found = compute_weights(two, standings={"y": scored("r-y", b=0.5)}, subnet=owned, held=held)
    assert found.shares == pytest.approx(expected)


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(lambda *_: {"a": Pay(Standing.PAID, float("nan"))}, id="NaN"),
        pytest.param(lambda *_: {}["x"], id="KeyError"),
        pytest.param(lambda *_: 1 / 0, id="ZeroDivisionError"),
        pytest.param(lambda *_: sys.exit(3), id="SystemExit"),
    ],
)
def test_a_policy_that_fails_stops_no_other(
    competition: Callable[..., Competition], owned: Subnet, monkeypatch: pytest.MonkeyPatch, policy: Any
) -> None:
    real = module.pay
    monkeypatch.setattr(module, "pay", lambda c, *rest: policy() if c.id == "x" else real(c, *rest))
    two = [competition(id="x", rewardShare=60), competition(id="y", rewardShare=40)]
    standings = {"y": scored("r-y", b=0.5)}
    found = compute_weights(two, standings=standings, subnet=owned, held={"x": {"a": 65535}})
    assert found.shares == pytest.approx({"a": 0.6, "b": 0.4})
    noted = with_notes(Decision(Step.WAIT, True, Reason.WEIGHTS_SET, "set"), found)
    assert (noted.reason, noted.current) == (Reason.POLICY_FAILED, False)
    none = compute_weights(two, standings=standings, subnet=owned)
    assert (none.row, bool(none.policy_problem)) == (None, True), "its part must not go to the others"


@pytest.mark.parametrize(
    ("weights", "standing", "row"),
    [
        pytest.param({}, {"fc": scored("r")}, {"own": 65535}, id="V2: no score, burnt"),
        pytest.param({"fill": "None"}, {"fc": scored("r")}, None, id="no score, nothing set"),
        pytest.param({"fill": "Equal"}, {"fc": scored("r")}, dict.fromkeys(("a", "b", "own"), 65535), id="equal"),
        pytest.param(
            {"fill": "Equal", "burn": {"percentage": 80}},
            {"fc": scored("r")},
            {"a": 5041, "b": 5041, "own": 65535},
            id="no score, all equal, and four fifths are burnt beside its share",
        ),
        pytest.param({}, {}, None, id="no round yet: nothing is burnt for it"),
        pytest.param({"burn": {"percentage": 50}}, {"fc": scored("r", a=0.5)}, {"a": 65535, "own": 65535}, id="half"),
    ],
)
def test_what_is_set(
    competition: Callable[..., Competition], owned: Subnet, weights: Any, standing: Any, row: Any
) -> None:
    spec = Weights.model_validate(weights)
    found = compute_weights([competition()], standings=standing, subnet=owned, weights=spec)
    assert (found.row.weights if found.row else None) == row
    assert (found.owner == "own") == (row is not None and "own" in row)


def test_what_cannot_be_burnt_is_said(competition: Callable[..., Competition], subnet: Callable[..., Subnet]) -> None:
    spec = Weights.model_validate({"burn": {"percentage": 50}})
    found = compute_weights([competition()], standings={"fc": scored("r", a=0.5)}, subnet=subnet(), weights=spec)
    assert found.row == Row.planned({"a": 65535}, ("r",))
    noted = with_notes(Decision(Step.WAIT, True, Reason.WEIGHTS_SET, "set"), found)
    assert (noted.reason, noted.current) == (Reason.BURN_UNAVAILABLE, False)


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
    obstacle = guard_obstacle(Guard.model_validate(guard), found, BEFORE.weights, accepts=accepts)
    assert (obstacle is not None) is held
    if obstacle:
        assert obstacle.reason is Reason.GUARD_HELD
        assert "accept-weights=val-fc-8" in obstacle.message


def test_a_first_row_changes_nothing() -> None:
    guard = Guard(maximum_change_percent=1)
    assert guard_obstacle(guard, computed({"a": 1}, 9), {}, accepts="") is None


def test_a_row_of_fixed_shares_is_accepted_once() -> None:
    one, other = (accepted_as(Row.planned({hotkey: 1}, ())) for hotkey in "ab")
    assert one.startswith("fixed-")
    assert one != other, "an annotation that stays accepts no later row"


@pytest.mark.parametrize(
    ("own", "up_to", "subnets", "sent"),
    [(0, 0, 0, 0), (5, 0, 3, 5), (5, 0, 7, 5), (5, 7, 7, 7), (5, 7, 8, 5), (5, 9, 3, 5)],
)
def test_the_version_key_that_is_sent(own: int, up_to: int, subnets: int, sent: int) -> None:
    assert sent_version_key(Weights(version_key=own, follow_version_key_up_to=up_to), subnets) == sent


def test_mechanisms_have_rows_and_limits_of_their_own(subnet: Callable[..., Subnet]) -> None:
    from bitagent_validator.chain.facts import MechanismFacts

    facts = replace(subnet(), mechanisms={0: MechanismFacts({1: 65535}, 900), 1: MechanismFacts({2: 65535}, 700)})
    one = facts.on(1)
    assert (dict(one.weights), one.me.last_update if one.me else None) == ({"b": 65535}, 700)
    assert dict(facts.on(0).weights) == {"a": 65535}
