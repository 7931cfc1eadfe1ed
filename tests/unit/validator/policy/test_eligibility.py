"""Who may be paid, and why the others may not; what a score is over several rounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.model_result import ResultState
from bitagent_crds.policies import Duplicates, Standing, Unscored
from bitagent_validator.chain.facts import RAO, Neuron
from bitagent_validator.policy.eligibility import Standings, Terms, assess
from bitagent_validator.policy.interface import Candidate
from bitagent_validator.state.scores import HotkeyScore, OnlineMean, OnlineState, RoundResult, ScoredRound

BLOCK = 100
none = Candidate(0.0)
U, FAULT, REJECTED, COPY = (
    ResultState.UNSCORED,
    ResultState.MODEL_FAULT,
    ResultState.REJECTED,
    ResultState.DUPLICATE,
)
Given = float | ResultState | RoundResult | None


def found(each: Given) -> RoundResult | None:
    if isinstance(each, float | int):
        return RoundResult(state=ResultState.SUCCEEDED, score=each)
    return RoundResult(state=each) if isinstance(each, ResultState) else each


def history(*results: Given) -> HotkeyScore:
    return HotkeyScore(registered_at=10, results=tuple(found(each) for each in results))


def near(score: float) -> RoundResult:
    return RoundResult(state=ResultState.SUCCEEDED, score=score, near_copy=True)


def scored(scores: dict[str, HotkeyScore], *baselines: float) -> ScoredRound:
    return ScoredRound(round="r", epoch=1, block=BLOCK, scores=scores, baselines=baselines)


@pytest.fixture
def outcome(neuron: Callable[..., Neuron]) -> Callable[..., float | Standing]:
    """The score of one hotkey with these results, or why it has none."""

    def make(*results: Given, baselines: tuple[float, ...] = (), **terms: Any) -> float | Standing:
        result = assess(Standings(scored({"a": history(*results)}, *baselines)), {"a": neuron("a")}, Terms(**terms))
        return result.candidates["a"].score if result.candidates else result.excluded["a"]

    return make


@pytest.mark.parametrize(
    ("results", "terms", "expected"),
    [
        pytest.param((0.6,), {}, 0.6, id="one round"),
        pytest.param((0.3, 0.6, 0.9), {}, 0.6, id="the mean of three"),
        pytest.param((0.0, 0.3, 0.6, 0.9), {}, 0.6, id="older ones do not count"),
        pytest.param((0.3, 0.9), {"rounds": 1}, 0.9, id="the last alone"),
        pytest.param((0.6, None, 0.8), {}, 0.7, id="a round without a model does not count"),
        pytest.param((0.6, REJECTED, 0.8), {}, 0.7, id="nor one in which it was rejected"),
        pytest.param((0.6, COPY, 0.8), {}, 0.7, id="nor one in which it was a copy"),
        pytest.param((0.9, FAULT, 0.6), {}, 0.5, id="the model's own fault is 0"),
        pytest.param((0.9, None), {}, Standing.NOT_IN_ROUND, id="no model in the last round"),
        pytest.param((0.9, FAULT), {}, Standing.MODEL_FAULT, id="a fault in the last round"),
        pytest.param((0.9, REJECTED), {}, Standing.REJECTED, id="rejected in the last round"),
        pytest.param((0.9, COPY), {}, Standing.DUPLICATE, id="a copy in the last round"),
        pytest.param((0.0,), {}, Standing.AT_BASELINE, id="nothing solved"),
    ],
)
def test_the_score_over_rounds(outcome: Any, results: Any, terms: Any, expected: Any) -> None:
    assert outcome(*results, **terms) == (pytest.approx(expected) if isinstance(expected, float) else expected)


@pytest.mark.parametrize(
    ("results", "baselines", "expected"),
    [
        pytest.param((0.2,), (0.2,), Standing.AT_BASELINE, id="at the baseline"),
        pytest.param((0.200001,), (0.2,), 0.200001, id="above it"),
        pytest.param((0.2, 0.8), (0.2, 0.2), 0.4, id="a round at its baseline counts as 0"),
        pytest.param((0.2, 0.8), (0.1, 0.2), 0.5, id="each round has its own baseline"),
        pytest.param((0.9, 0.2), (0.0, 0.2), Standing.AT_BASELINE, id="earlier scores do not lift the last one"),
        pytest.param((0.0, 0.0, 0.3), (0.2, 0.2, 0.2), Standing.AT_BASELINE, id="nor one lucky round"),
    ],
)
def test_nothing_is_paid_at_or_below_the_baseline(outcome: Any, results: Any, baselines: Any, expected: Any) -> None:
    expected = pytest.approx(expected) if isinstance(expected, float) else expected
    assert outcome(*results, baselines=baselines) == expected


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param((0.9, U), 0.9, id="once"),
        pytest.param((0.6, 0.8, U, U), 0.7, id="twice: the mean of the scores before"),
        pytest.param((0.9, U, U, U), Standing.UNSCORED, id="no third time"),
        pytest.param((0.9, U, U, U, U), Standing.UNSCORED, id="nor later"),
        pytest.param((U,), Standing.UNSCORED, id="nothing to carry"),
        pytest.param((0.9, U, 0.3), 0.6, id="it does not count in the mean"),
        pytest.param((0.9, REJECTED, U, U), Standing.UNSCORED, id="two rounds after it at most, whatever they are"),
        pytest.param((0.9, FAULT, U), 0.45, id="a fault of the model counts as 0 before it"),
        pytest.param((0.9, REJECTED, U), 0.9, id="carried over a round in which it was rejected"),
    ],
)
def test_a_score_is_carried_forward(outcome: Any, results: Any, expected: Any) -> None:
    assert outcome(*results) == (pytest.approx(expected) if isinstance(expected, float) else expected)
    ends_unscored = results[-1] is U
    assert not ends_unscored or outcome(*results, unscored=Unscored.NOTHING) is Standing.UNSCORED


@given(lived=st.lists(st.sampled_from([U, 0.01, None, REJECTED, FAULT]), min_size=4, max_size=4))
def test_an_old_score_does_not_live_for_ever(neuron: Callable[..., Neuron], lived: list[Given]) -> None:
    """Whatever a hotkey does after a score of 1: for two rounds it is worth 1, then half, and later nothing."""
    worth = []
    for age in range(1, 5):
        given_ = Standings(scored({"a": history(1.0, *lived[:age])}))
        candidate = assess(given_, {"a": neuron("a")}, Terms()).candidates.get("a")
        worth.append(candidate.score if candidate else 0.0)
    assert max(worth[2:]) <= 0.51
    assert worth.count(1.0) <= 2
    five_later = ScoredRound(round="r", epoch=1, block=BLOCK, scores={"a": history(*lived, lived[-1])})
    assert assess(Standings(five_later), {"a": neuron("a")}, Terms()).candidates.get("a", none).score < 0.02


@pytest.mark.parametrize(
    ("duplicates", "results", "expected"),
    [
        pytest.param(Duplicates.FLAG, (near(0.8),), 0.8, id="flagged only"),
        pytest.param(Duplicates.EARLIEST_EARNS, (near(0.8),), Standing.NEAR_COPY, id="the earliest earns"),
        pytest.param(
            Duplicates.EARLIEST_EARNS, (near(0.8), near(0.8), 0.1), 0.1, id="a copy's scores do not help another model"
        ),
        pytest.param(Duplicates.EARLIEST_EARNS, (near(0.8), U), Standing.UNSCORED, id="nor are they carried forward"),
    ],
)
def test_near_copies(outcome: Any, duplicates: Duplicates, results: Any, expected: Any) -> None:
    assert outcome(*results, duplicates=duplicates) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"permit": True, "stake": 4097 * RAO}, Standing.VALIDATOR, id="a permit and more than the limit"),
        pytest.param({"permit": True, "stake": 4096 * RAO}, None, id="a permit and exactly the limit"),
        pytest.param({"permit": False, "stake": 9000 * RAO}, None, id="stake without a permit"),
        pytest.param({"registered_at": 90}, Standing.REGISTERED_AGAIN, id="registered again since it was scored"),
    ],
)
def test_who_holds_the_slot(neuron: Callable[..., Neuron], changes: dict[str, Any], expected: Standing | None) -> None:
    result = assess(Standings(scored({"a": history(0.5)})), {"a": neuron("a", **changes)}, Terms())
    assert result.excluded.get("a") is expected
    assert ("a" in result.candidates) is (expected is None)


@pytest.mark.parametrize(("limit", "left_out"), [(6000, False), (4000, True)], ids=["below the limit", "above it"])
def test_who_counts_as_a_validator_is_a_parameter(neuron: Callable[..., Neuron], limit: int, left_out: bool) -> None:
    """Miners with much stake get permits as well."""
    holder = {"a": neuron("a", permit=True, stake=5000 * RAO)}
    result = assess(Standings(scored({"a": history(0.9)})), holder, Terms(validator_stake=limit))
    assert result.excluded == ({"a": Standing.VALIDATOR} if left_out else {})


def test_a_slot_that_changed_hands_does_not_inherit_a_score(neuron: Callable[..., Neuron]) -> None:
    result = assess(Standings(scored({"a": history(0.5)})), {"z": neuron("z", uid=1)}, Terms())
    assert (result.candidates, result.excluded) == ({}, {"a": Standing.NOT_REGISTERED})


@pytest.mark.parametrize(
    ("registered_at", "known", "tried", "expected"),
    [
        pytest.param(150, False, False, None, id="registered since the round began"),
        pytest.param(100, False, False, Standing.AWAITS_SCORE, id="registered in its first block"),
        pytest.param(150, False, True, Standing.AWAITS_SCORE, id="its model was in a round that failed"),
        pytest.param(150, True, False, Standing.REGISTERED_AGAIN, id="scored before, under another registration"),
    ],
)
def test_newcomers(
    neuron: Callable[..., Neuron], registered_at: int, known: bool, tried: bool, expected: Standing | None
) -> None:
    scores = {"a": history(0.5)} | ({"new": history(0.9)} if known else {})
    given_ = Standings(scored(scores), entrants=frozenset({"new"}), tried=frozenset({"new"} if tried else ()))
    result = assess(given_, {"a": neuron("a"), "new": neuron("new", registered_at=registered_at)}, Terms())
    assert (result.newcomers, result.excluded.get("new")) == ({"new"} if expected is None else set(), expected)


@pytest.mark.parametrize("state", [REJECTED, U, FAULT, COPY])
def test_a_hotkey_whose_first_round_gave_no_score_is_no_newcomer(
    neuron: Callable[..., Neuron], state: ResultState
) -> None:
    given_ = Standings(scored({"new": history(state)}), entrants=frozenset({"new"}))
    assert assess(given_, {"new": neuron("new")}, Terms()).newcomers == set()


def test_a_hotkey_without_a_model_is_not_mentioned(neuron: Callable[..., Neuron]) -> None:
    result = assess(Standings(scored({"a": history(0.5)})), {h: neuron(h, registered_at=150) for h in "xyz"}, Terms())
    assert (result.newcomers, set(result.excluded)) == (set(), {"a"})


def online(baseline: float = 0.0, **means: float) -> OnlineState:
    found = {h: OnlineMean(registered_at=10, mean=mean, count=1, block=9) for h, mean in means.items()}
    return OnlineState(block=9, baseline=baseline, means=found)


@pytest.mark.parametrize(
    ("percent", "state", "expected"),
    [
        pytest.param(50, online(a=0.2), 0.5, id="half and half"),
        pytest.param(25, online(a=0.4), 0.7, id="a quarter"),
        pytest.param(100, online(a=0.3), 0.3, id="answers alone"),
        pytest.param(0, online(a=0.2), 0.8, id="no part"),
        pytest.param(50, online(b=0.2, c=0.6, d=0.4), 0.6, id="not asked yet: the median"),
        pytest.param(50, online(), 0.8, id="before the first step"),
        pytest.param(50, None, 0.8, id="no online evaluation"),
        pytest.param(50, online(0.9, a=0.1), Standing.AT_BASELINE, id="below the baseline of both"),
    ],
)
def test_online_answers_are_a_part_of_the_score(
    neuron: Callable[..., Neuron], percent: int, state: OnlineState | None, expected: float | Standing
) -> None:
    given = Standings(scored({"a": history(0.8)}, 0.2), online=state)
    found = assess(given, {"a": neuron("a")}, Terms(online_percent=percent))
    if isinstance(expected, Standing):
        assert found.excluded == {"a": expected}
        assert found.baseline == pytest.approx(0.55)
        return
    assert found.candidates["a"].score == pytest.approx(expected)
    counted = bool(state and state.means and percent)
    assert (found.candidates["a"].online is not None, found.candidates["a"].rounds) == (
        counted,
        0.8 if counted else None,
    )


@pytest.mark.parametrize(
    ("last", "standing"),
    [
        pytest.param(0.1, Standing.AT_BASELINE, id="a model at the baseline"),
        pytest.param(COPY, Standing.DUPLICATE, id="a copy"),
        pytest.param(REJECTED, Standing.REJECTED, id="a rejected model"),
        pytest.param(None, Standing.NOT_IN_ROUND, id="no model"),
    ],
)
def test_answers_alone_pay_no_hotkey(neuron: Callable[..., Neuron], last: Given, standing: Standing) -> None:
    """One endpoint may answer for many hotkeys."""
    given = Standings(scored({"a": history(0.8, last)}, 0.2), online=online(a=1.0))
    found = assess(given, {"a": neuron("a")}, Terms(online_percent=50))
    assert (found.candidates, found.excluded) == ({}, {"a": standing})
