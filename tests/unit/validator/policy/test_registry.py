"""Policies by name: built-in ones, those of installed packages, and what happens when one cannot be applied."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.model_result import ResultState
from bitagent_crds.policies import BuiltinPolicy, Standing
from bitagent_crds.validator import Competition
from bitagent_validator.chain.facts import Neuron
from bitagent_validator.policy import bitagent, registry
from bitagent_validator.policy.eligibility import Standings
from bitagent_validator.policy.interface import Candidate, Pay, PolicyError, PolicyInput
from bitagent_validator.policy.registry import BUILT_IN, apply_policy, find_policy, pay, terms_of
from bitagent_validator.state.scores import HotkeyScore, OnlineMean, OnlineState, RoundResult, ScoredRound

GIVEN = PolicyInput({h: Candidate(score) for h, score in (("a", 0.9), ("b", 0.1), ("c", 0.05))})
SUCCEEDED, UNSCORED = ResultState.SUCCEEDED, ResultState.UNSCORED


def known(*results: tuple[ResultState, float] | None) -> HotkeyScore:
    found = tuple(None if each is None else RoundResult(state=each[0], score=each[1]) for each in results)
    return HotkeyScore(registered_at=10, results=found)


def standings(scores: dict[str, HotkeyScore], **changes: Any) -> Standings:
    scored = ScoredRound(round="r", epoch=1, block=100, scores=scores, baselines=(0.2,))
    return Standings(scored, **changes)


@pytest.fixture
def neurons(neuron: Callable[..., Neuron]) -> dict[str, Neuron]:
    return {hotkey: neuron(hotkey, uid=uid) for uid, hotkey in enumerate("abc")}


def package(folder: Path, name: str, *, code: str, policy: str = "Theirs") -> None:
    """Install a package of one module with one policy."""
    info = folder / f"{name}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[bitagent.policies]\n{policy} = {name}:policy\n")
    (folder / f"{name}.py").write_text(code)


def test_every_policy_of_the_contract_has_a_row() -> None:
    assert set(BUILT_IN) == set(BuiltinPolicy)
    assert find_policy("BitAgent") is bitagent.shares


def test_an_unknown_name_is_refused_with_the_known_ones(neurons: dict[str, Neuron]) -> None:
    with pytest.raises(PolicyError, match=r"EqualShares.*known policies: BitAgent, Fixed, WinRate, WinnerTakesAll$"):
        apply_policy("EqualShares", GIVEN, neurons)


@pytest.mark.usefixtures("example_plugin")
def test_a_package_adds_a_policy(neurons: dict[str, Neuron]) -> None:
    assert apply_policy("EqualShares", GIVEN, neurons) == pytest.approx(dict.fromkeys("abc", 1 / 3))
    with pytest.raises(PolicyError, match=r"known policies: BitAgent, EqualShares, Fixed, WinRate, WinnerTakesAll$"):
        find_policy("Unheard")


@pytest.mark.usefixtures("example_plugin")
def test_a_competition_names_the_policy_of_a_package(
    competition: Callable[..., Competition], neurons: dict[str, Neuron]
) -> None:
    """It is given the hotkeys above the baseline only, and its parameters."""
    scores = {"a": known((SUCCEEDED, 0.9)), "b": known((SUCCEEDED, 0.5)), "c": known((SUCCEEDED, 0.2))}
    ours = competition(policy="EqualShares", policyParameters={"plugin": {"best": "1"}})
    assert pay(ours, standings(scores), neurons) == {
        "a": Pay(Standing.PAID, 1.0, score=0.9),
        "b": Pay(Standing.NOT_CHOSEN, score=0.5),
        "c": Pay(Standing.AT_BASELINE),
    }


def test_what_each_hotkey_earns_and_why(
    competition: Callable[..., Competition], neurons: dict[str, Neuron], neuron: Callable[..., Neuron]
) -> None:
    more = neurons | {"new": neuron("new", registered_at=150), "old": neuron("old")}
    scores = {"a": known((SUCCEEDED, 0.9)), "b": known((SUCCEEDED, 0.6), (UNSCORED, 0)), "gone": known((SUCCEEDED, 1))}
    result = pay(competition(), standings(scores, entrants=frozenset({"new", "old"})), more)
    assert {hotkey: (each.standing, each.share > 0, each.score) for hotkey, each in result.items()} == {
        "a": (Standing.PAID, True, 0.9),
        "b": (Standing.CARRIED_FORWARD, True, 0.6),
        "gone": (Standing.NOT_REGISTERED, False, None),
        "new": (Standing.NEWCOMER, True, None),
        "old": (Standing.AWAITS_SCORE, False, None),
    }
    assert sum(each.share for each in result.values()) == pytest.approx(1)
    none = competition(policyParameters={"bitAgent": {"newcomerPercent": 0}})
    unpaid = pay(none, standings(scores, entrants=frozenset({"new"})), more)["new"]
    assert unpaid == Pay(Standing.AWAITS_SCORE)


@pytest.mark.parametrize("policy", sorted(set(BuiltinPolicy) - {BuiltinPolicy.FIXED}))
def test_no_hotkey_is_paid_before_a_round_is_complete(
    competition: Callable[..., Competition], neurons: dict[str, Neuron], policy: str
) -> None:
    result = pay(competition(policy=policy), Standings(None, entrants=frozenset("ab")), neurons)
    assert result == {"a": Pay(Standing.AWAITS_SCORE), "b": Pay(Standing.AWAITS_SCORE)}


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param({"policy": "BitAgent", "policyParameters": {"bitAgent": {"validatorStake": 10}}}, id="BitAgent"),
        pytest.param(
            {"policy": "WinnerTakesAll", "policyParameters": {"winnerTakesAll": {"validatorStake": 10}}},
            id="WinnerTakesAll",
        ),
    ],
)
def test_the_stake_of_a_validator_is_a_parameter(
    competition: Callable[..., Competition], neuron: Callable[..., Neuron], parameters: dict[str, Any]
) -> None:
    neurons = {"a": neuron("a"), "v": neuron("v", permit=True, stake=11 * 10**9)}
    scores = {"a": known((SUCCEEDED, 0.5)), "v": known((SUCCEEDED, 0.9))}
    result = pay(competition(**parameters), standings(scores), neurons)
    assert (result["v"], result["a"].share) == (Pay(Standing.VALIDATOR), 1.0)
    assert pay(competition(), standings(scores), neurons)["v"].standing is Standing.PAID


def test_a_built_in_policy_cannot_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, "one", code="policy = dict", policy="BitAgent")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_policy("BitAgent") is bitagent.shares


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        pytest.param("import a_module_that_is_missing", "cannot be loaded: ModuleNotFoundError", id="import fails"),
        pytest.param("other = 1", "cannot be loaded: AttributeError", id="no such function"),
        pytest.param("policy = 'text'", "neither a class nor a function", id="not a function"),
        pytest.param("def policy(given, neurons): raise RuntimeError('boom')", "RuntimeError: boom", id="raises"),
        pytest.param("def policy(given, neurons): return None", "failed: AttributeError", id="returns nothing"),
    ],
)
def test_a_broken_package_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, neurons: dict[str, Neuron], code: str, problem: str
) -> None:
    name = f"broken_{abs(hash(code))}"
    package(tmp_path, name, code=code)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PolicyError, match=problem):
        apply_policy("Theirs", GIVEN, neurons)


def test_two_packages_with_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second"):
        package(tmp_path, name, code="policy = dict")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PolicyError, match="first and second"):
        find_policy("Theirs")


@pytest.mark.parametrize(
    ("shares", "problem"),
    [
        pytest.param({"a": 0.5, "gone": 0.5}, "not registered: gone", id="a hotkey that is not registered"),
        pytest.param({"a": 1.5, "b": -0.5}, "not above 0", id="a negative share"),
        pytest.param({"a": 1.0, "b": 0.0}, "not above 0", id="a share of 0"),
        pytest.param({"a": float("nan")}, "not above 0", id="not a number"),
        pytest.param({"a": float("inf")}, "sum to inf", id="infinite"),
        pytest.param({"a": 0.4, "b": 0.4}, "sum to 0.8", id="less than 1 in total"),
        pytest.param({"a": "much"}, "failed: ValueError", id="text"),
    ],
)
def test_shares_that_are_no_distribution_are_refused(
    monkeypatch: pytest.MonkeyPatch, neurons: dict[str, Neuron], shares: dict[str, Any], problem: str
) -> None:
    def policy(_: PolicyInput, __: Mapping[str, Neuron]) -> dict[str, Any]:
        return shares

    monkeypatch.setattr(registry, "BUILT_IN", {"Theirs": policy})
    with pytest.raises(PolicyError, match=problem):
        apply_policy("Theirs", GIVEN, neurons)


def test_a_policy_may_pay_no_hotkey(monkeypatch: pytest.MonkeyPatch, neurons: dict[str, Neuron]) -> None:
    monkeypatch.setattr(registry, "BUILT_IN", {"Theirs": lambda _, __: {}})
    assert apply_policy("Theirs", GIVEN, neurons) == {}


@pytest.mark.parametrize(
    ("changes", "percent"),
    [
        pytest.param({}, 0, id="no online evaluation"),
        pytest.param({"online": {}}, 50, id="the default"),
        pytest.param({"online": {}, "policyParameters": {"bitAgent": {"onlinePercent": 20}}}, 20, id="a parameter"),
        pytest.param({"online": {}, "policy": "EqualShares"}, 0, id="a package decides by itself"),
    ],
)
def test_the_part_of_online_answers(
    competition: Callable[..., Competition], changes: dict[str, Any], percent: int
) -> None:
    assert terms_of(competition(**changes)).online_percent == percent


def test_online_answers_change_shares_and_are_reported(
    competition: Callable[..., Competition], neurons: dict[str, Neuron]
) -> None:
    """Two equal models: the one that answers better earns more, by exp(5 x) less the baseline's part."""
    means = {h: OnlineMean(registered_at=10, mean=mean, count=1, block=9) for h, mean in (("a", 0.9), ("b", 0.3))}
    given = standings(
        {h: known((SUCCEEDED, 0.8)) for h in "ab"}, online=OnlineState(block=9, baseline=0.1, means=means)
    )
    found = pay(competition(online={}), given, neurons)
    assert {h: (each.rounds, each.online) for h, each in found.items()} == {"a": (0.8, 0.9), "b": (0.8, 0.3)}
    assert {h: each.score for h, each in found.items()} == {"a": pytest.approx(0.85), "b": pytest.approx(0.55)}
    raised = {h: math.exp(5 * x) - math.exp(5 * 0.15) for h, x in (("a", 0.85), ("b", 0.55))}
    assert found["a"].share == pytest.approx(raised["a"] / sum(raised.values()))
    alone = pay(competition(), given, neurons)
    assert alone["a"].share == pytest.approx(0.5)
