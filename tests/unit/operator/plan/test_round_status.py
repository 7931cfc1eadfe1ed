"""The status of a round: messages that fit, ranks, the leader, and the leaderboard's digest."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.evalround import ModelResult, ResultState
from bitagent_crds.sketches import ANSWER_BITS, MISTAKE_HASHES, AnswerSketch, WeightsSketch
from bitagent_operator.plan.round_status import best, leaderboard_digest, with_ranks

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan


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


@pytest.mark.parametrize(
    ("character", "stored"),
    [("x", 1), ("é", 2), ("😀", 4), ("<", 6), ("\x01", 1.25), ('"', 2)],
    ids=["ascii", "two bytes", "four bytes", "markup", "control", "quote"],
)
@pytest.mark.parametrize("count", [1, 1024])
def test_messages_fit_together(make: Make, plan: Plan, count: int, character: str, stored: float) -> None:
    """`stored`: bytes of a character of the message in the JSON that the API server stores; Go escapes markup.

    A control character is shown as four, the first of which is a backslash.
    """
    names = [f"m{i:04}" for i in range(count)]
    models = [
        make.model(
            n,
            fetched="BadConfig",
            status={"conditions": [make.condition("Fetched", "False", "BadConfig", message=character * 1000)]},
        )
        for n in names
    ]
    found = plan(make.started(*names), models)
    message = found.status.results[0].message
    if count == 1:
        assert len(message) == 512
    else:
        assert 0.8 * 64 < (len(message) - 1) * stored + len("…".encode()) <= 64
        assert all(r.message == message for r in found.status.results)


@pytest.mark.parametrize(
    ("count", "kept"), [pytest.param(10, True, id="a small round"), pytest.param(1024, False, id="a full round")]
)
def test_a_full_round_of_near_copies_still_fits(make: Make, plan: Plan, count: int, *, kept: bool) -> None:
    """One miner can make all models of a round near copies; integration tests write as much to etcd."""
    names = [f"{'m' * 47}-{i:04}" for i in range(count)]
    frozen = {"modelDigest": make.digest("5"), "engine": {"dtype": "BFloat16", "maxModelLength": 131072}}
    done = {"state": "Succeeded", "reason": "Evaluated", "score": "0.500000", "message": "é" * 32, "node": "n" * 45}
    losses = {
        "loss": "12.345678",
        "batchLosses": ["12.345678"] * 32,
        "hotkey": "5" * 48,
        "resultDigest": frozen["modelDigest"],
    }
    times = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:00Z"}
    seconds = {"seconds": {"load": "12345.678", "generate": "12345.678", "score": "12345.678"}}
    sketch = {"answerSketch": "A" * 128}
    entries = {
        name: make.admitted(name, weights=f"{i}") | frozen | done | losses | times | seconds | sketch
        for i, name in enumerate(names)
    }
    found = plan(make.started(*names, results=entries), [make.model(n, weights=f"{i}") for i, n in enumerate(names)])
    assert found.status.phase == "Complete"
    assert {(r.node is not None, bool(r.message)) for r in found.status.results} == {(kept, kept)}
    assert {r.score for r in found.status.results} == {"0.500000"}


def test_near_copies_are_named_and_reported_when_the_round_completes(make: Make, plan: Plan) -> None:
    weights = WeightsSketch(tuple((i, 1000 + i, 2000 + i) for i in range(8))).encode()
    answers = AnswerSketch(bytes(ANSWER_BITS // 8), bytes(MISTAKE_HASHES)).encode()
    models = [
        make.model(name, fetched=True, weights=digest, created=created, facts={"similarity": weights})
        for name, digest, created in (("first", "1", 1), ("copy", "2", 5))
    ]
    done = {"state": "Succeeded", "reason": "Evaluated", "score": "0.500000", "answerSketch": answers, "passed": 100}
    entries = {
        "first": make.admitted("first", weights="1") | done,
        "copy": make.admitted("copy", weights="2") | done,
        "last": {"state": "Pending"},
    }
    running = plan(make.started("first", "copy", "last", results=entries), [*models, make.model("last")])
    assert running.results["copy"].near_copy_of is None, "others may turn out to be the original"
    entries["last"] = {"state": "Rejected", "reason": "CustomCode"}
    found = plan(make.started("first", "copy", "last", results=entries), models)
    assert {r.model: r.near_copy_of for r in found.status.results} == {"first": None, "copy": "first", "last": None}
    assert found.results["copy"].evidence is not None
    assert [e.reason for e in found.events] == ["NearCopyFound", "RoundComplete"]
    assert (found.results["copy"].score, found.results["copy"].rank) == ("0.500000", 1), "policies decide what it earns"
