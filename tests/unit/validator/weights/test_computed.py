"""From all competitions to one row: each fails apart, and a row may be held for a person."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.model_result import ResultState
from bitagent_crds.policies import Standing
from bitagent_crds.validator import Competition, Guard, Weights
from bitagent_local.chain.keys import address
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.policy.eligibility import Standings
from bitagent_validator.policy.interface import Pay
from bitagent_validator.state.rows import Row
from bitagent_validator.state.scores import HotkeyScore, RoundResult, ScoredRound
from bitagent_validator.weights import computed as module
from bitagent_validator.weights.computed import compute_weights
from bitagent_validator.weights.guard import Acceptance, guard_obstacle
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
    monkeypatch.setattr(module, "pay", lambda c, *rest, **more: policy() if c.id == "x" else real(c, *rest, **more))
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


@pytest.mark.parametrize(
    ("weights", "standing", "burnt"),
    [
        pytest.param({"burn": {"percentage": 50}}, {"a": 0.5}, {"own": 65535}, id="beside a miner"),
        pytest.param({"burn": {"percentage": 50}}, {"own": 0.5}, {"own": 32768}, id="the owner is the miner"),
        pytest.param({}, {"a": 0.5}, {}, id="nothing is burnt"),
        pytest.param({}, {}, {"own": 65535}, id="no score"),
        pytest.param({"fill": "Equal", "burn": {"percentage": 80}}, {}, {"own": 60495}, id="beside an equal share"),
    ],
)
def test_what_is_burnt_is_recorded_beside_what_the_target_earns(
    competition: Callable[..., Competition], owned: Subnet, weights: Any, standing: Any, burnt: Any
) -> None:
    spec, known = Weights.model_validate(weights), {"fc": scored("r", **standing)}
    found = compute_weights([competition()], standings=known, subnet=owned, weights=spec)
    assert found.row is not None
    assert found.row.burnt == {hotkey: pytest.approx(units, abs=1) for hotkey, units in burnt.items()}


@pytest.mark.parametrize(
    ("fill", "other", "expected"),
    [
        pytest.param("Burn", None, {"own": 1.0}, id="burnt"),
        pytest.param("Equal", None, {"a": 1 / 3, "b": 1 / 3, "own": 1 / 3}, id="all are equal"),
        pytest.param("None", None, {}, id="nothing is set"),
        pytest.param("Burn", "BitAgent", {}, id="a competition that awaits its first round may pay"),
    ],
)
def test_named_hotkeys_that_are_all_gone(
    competition: Callable[..., Competition], owned: Subnet, fill: str, other: str | None, expected: Any
) -> None:
    """No round will change that."""
    named = {"fixed": {"shares": [{"hotkey": address("//gone"), "share": 1}]}}
    own = [competition(id="x", policy="Fixed", policyParameters=named)]
    own += [competition(id="y", policy=other)] if other else []
    weights = Weights.model_validate({"fill": fill})
    found = compute_weights(own, standings={}, subnet=owned, weights=weights)
    assert found.shares == pytest.approx(expected)


def test_a_filler_earns_nothing(competition: Callable[..., Competition], owned: Subnet) -> None:
    rules = replace(owned.rules, min_weights=2)
    known = {"fc": scored("r", a=0.5)}
    found = compute_weights([competition()], standings=known, subnet=replace(owned, rules=rules))
    assert found.row is not None
    assert (found.row.weights["own"], found.row.burnt) == (1, {"own": 1})


def test_a_policy_that_fails_is_not_called_few_models(
    competition: Callable[..., Competition], owned: Subnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.pay
    monkeypatch.setattr(module, "pay", lambda c, *rest, **more: {}["x"] if c.id == "x" else real(c, *rest, **more))
    two = [competition(id="x", rewardShare=60), competition(id="y", rewardShare=40)]
    known = {"x": scored("r-x", a=0.5, b=0.4), "y": scored("r-y", a=0.5, b=0.4)}
    found = compute_weights(two, standings=known, subnet=owned, held={"x": {"a": 65535}})
    assert found.scored == {"y": 2}
    obstacle = guard_obstacle(Guard(minimum_models=2), found, {}, accepted=Acceptance({}))
    assert obstacle is None, "the policy failed; the number of its models is as it was"
    noted = with_notes(Decision(Step.WAIT, True, Reason.WEIGHTS_SET, "set"), found)
    assert (noted.reason, noted.current) == (Reason.POLICY_FAILED, False)


def test_what_cannot_be_burnt_is_said(competition: Callable[..., Competition], subnet: Callable[..., Subnet]) -> None:
    spec = Weights.model_validate({"burn": {"percentage": 50}})
    found = compute_weights([competition()], standings={"fc": scored("r", a=0.5)}, subnet=subnet(), weights=spec)
    assert found.row == Row.planned({"a": 65535}, ("r",))
    noted = with_notes(Decision(Step.WAIT, True, Reason.WEIGHTS_SET, "set"), found)
    assert (noted.reason, noted.current) == (Reason.BURN_UNAVAILABLE, False)


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
