"""Ranks of results, the leader, and the leaderboard's digest."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.model_result import ModelResult, ResultState
from bitagent_operator.plan.rounds.leaderboard import best, leaderboard_digest, with_ranks


def result(model: str, score: str | None, state: str = "Succeeded", loss: str | None = None) -> ModelResult:
    return ModelResult.model_validate({"model": model, "score": score, "state": state, "loss": loss})


@pytest.mark.parametrize(
    ("scores", "ranks"),
    [
        pytest.param(["0.500000", "0.750000"], [2, 1], id="order"),
        pytest.param(["0.500000", "0.500000", "0.100000"], [1, 1, 3], id="equal scores share and skip"),
        pytest.param(["1.000000", "0.999999"], [1, 2], id="one is more than less than one"),
        pytest.param([None, "0.000000"], [None, 1], id="no score, no rank"),
    ],
)
def test_rank(scores: list[str | None], ranks: list[int | None]) -> None:
    states = ["Rejected" if s is None else "Succeeded" for s in scores]
    entries = [result(f"m{i}", s, state) for i, (s, state) in enumerate(zip(scores, states, strict=True))]
    assert [r.rank for r in with_ranks(entries)] == ranks


def test_a_models_fault_has_the_last_rank() -> None:
    found = with_ranks([result("bad", "0.000000", "ModelFault"), result("good", "0.100000")])
    assert [r.rank for r in found] == [2, 1]


@pytest.mark.parametrize("state", ["Pending", "Running", "InfraFault", "Rejected", "Duplicate"])
def test_only_an_outcome_of_the_models_own_is_ranked(state: str) -> None:
    """Whatever score the entry carries."""
    entries = [result("other", "0.900000", state), result("mine", "0.100000")]
    assert [r.rank for r in with_ranks(entries)] == [None, 1]
    assert best(entries) == "mine 0.100000"


def test_one_measured_loss_makes_losses_decide() -> None:
    """The scores of both losses are 0, as is that of the model at fault, which has no loss and comes last."""
    entries = [
        result("broken", "0.000000", "ModelFault"),
        result("worse", "0.000000", loss="30.000000"),
        result("better", "0.000000", loss="20.000000"),
    ]
    assert [r.rank for r in with_ranks(entries)] == [3, 2, 1]
    assert best(entries) == "better loss 20.000000"


def test_best_of_equals_is_the_first_by_name() -> None:
    assert best([result("b", "0.500000"), result("a", "0.500000")]) == "a 0.500000"
    assert best([result("a", None, "Rejected")]) == ""
    assert best([result("a", "0.000000", "ModelFault")]) == "", "while a round runs, its first result may be one"
    assert best([result("a", "0.000000", "ModelFault"), result("b", "0.000000")]) == "b 0.000000"


@given(
    st.lists(st.sampled_from(["0.000000", "0.250000", "0.500000", "1.000000"]), min_size=1, max_size=12), st.randoms()
)
def test_the_digest_does_not_depend_on_the_order(scores: list[str], rng: random.Random) -> None:
    entries = with_ranks([result(f"m{i}", s) for i, s in enumerate(scores)])
    shuffled = entries.copy()
    rng.shuffle(shuffled)
    assert leaderboard_digest(entries) == leaderboard_digest(shuffled)


def test_the_digest_depends_on_the_score() -> None:
    one, other = with_ranks([result("a", "0.100000")]), with_ranks([result("a", "0.200000")])
    assert leaderboard_digest(one) != leaderboard_digest(other)
    assert one[0].state == ResultState.SUCCEEDED


def test_the_digest_is_that_of_the_ranked_rows_best_first() -> None:
    entries = with_ranks([result("a", "0.100000"), result("b", "0.200000"), result("c", None, "Rejected")])
    text = '[[1,"b","0.200000",null,null,null],[2,"a","0.100000",null,null,null]]'
    assert leaderboard_digest(entries) == "sha256:" + hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("entries", "ranks", "leader"),
    [
        pytest.param(
            [("0.000000", "20.500000"), ("0.000000", "20.400000")], [2, 1], "m1 loss 20.400000", id="equal scores"
        ),
        pytest.param(
            [("0.904837", "0.100000"), ("0.367879", "10.000000"), ("0.904837", "0.100000")],
            [1, 3, 1],
            "m0 loss 0.100000",
            id="numbers, not texts; equal losses share",
        ),
        pytest.param(
            [("0.000000", "inf"), ("0.000000", None), ("0.000001", "13.800000")],
            [2, 2, 1],
            "m2 loss 13.800000",
            id="nothing finite is last, as is a model's fault",
        ),
        pytest.param([("0.500000", None), ("0.750000", None)], [2, 1], "m1 0.750000", id="without losses"),
    ],
)
def test_the_lowest_loss_is_first(entries: list[tuple[str, str | None]], ranks: list[int], leader: str) -> None:
    states = ["Succeeded" if loss or "loss" not in leader else "ModelFault" for _, loss in entries]
    found = [
        result(f"m{i}", entry[0], state, entry[1]) for i, (entry, state) in enumerate(zip(entries, states, strict=True))
    ]
    assert [r.rank for r in with_ranks(found)] == ranks
    assert best(found) == leader
