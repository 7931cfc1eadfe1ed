"""What a complete round says about each hotkey: which of its models counts, and what is kept of earlier rounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.model_result import ResultState
from bitagent_crds.validator import Competition
from bitagent_validator.competitions.scores import as_frozen, counting, entrants, in_order, participants, record
from bitagent_validator.objects import Round, RoundPhase, parse_round
from bitagent_validator.state.scores import HotkeyScore, RoundResult, ScoredRound, Submission

SUBMISSIONS = {
    "m1": Submission(hotkey="a", block=5),
    "m2": Submission(hotkey="a", block=9),
    "m3": Submission(hotkey="b"),
}
Make = Callable[..., Any]


def result(model: str, state: str = "Succeeded", score: str | None = None, **more: Any) -> dict[str, Any]:
    return {"model": model, "state": state, "reason": "Evaluated"} | ({"score": score} if score else {}) | more


@pytest.fixture
def complete(eval_round: Make) -> Callable[..., Round]:
    """Make a complete round from its results."""

    def make(*results: dict[str, Any], baseline: str | None = None) -> Round:
        obj = eval_round(list(results), Complete="True")
        if baseline:
            digest = "sha256:" + "0" * 64
            obj["status"]["taskSet"] = {"digest": digest, "count": 10, "uri": "x", "baseline": baseline}
        return parse_round(obj)

    return make


@pytest.fixture
def recorded(competition: Make, neuron: Make) -> Callable[..., ScoredRound]:
    """Record a round of hotkeys a and b, registered at block 3."""

    def make(round_: Round, known: ScoredRound | None = None, **changes: Any) -> ScoredRound:
        neurons = changes.pop("neurons", {h: neuron(h, registered_at=3) for h in "ab"})
        submissions = changes.pop("submissions", SUBMISSIONS)
        return record(known, round_, competition=competition(**changes), submissions=submissions, neurons=neurons)

    return make


def test_recorded_submissions_follow_what_the_round_froze(complete: Callable[..., Round]) -> None:
    frozen = {"modelUid": "u", "hotkey": "5" * 48, "commitBlock": 20}
    round_ = complete(result("m1", **frozen), result("m2"), result("m3", modelUid="v"))
    found = as_frozen(SUBMISSIONS, round_.results)
    assert list(found.items()) == [("m2", SUBMISSIONS["m2"]), ("m1", Submission(hotkey="5" * 48, block=20))]
    assert as_frozen(SUBMISSIONS, complete(result("m2")).results) is SUBMISSIONS


def test_a_model_that_a_retry_has_selected_is_not_left_out(complete: Callable[..., Round]) -> None:
    hotkey = "5" * 48
    frozen = {"modelUid": "u", "hotkey": hotkey}
    results = complete(result("m1"), result("new", **frozen), result("refused", **frozen)).results
    found = as_frozen(SUBMISSIONS, results, refused={"refused"})
    assert found == {**SUBMISSIONS, "new": Submission(hotkey=hotkey, block=None)}


@pytest.mark.parametrize(
    ("submitted", "last"),
    [
        pytest.param([("x", 5, "3"), ("y", 9, "1")], "y", id="by the block of the commitment"),
        pytest.param([("x", 9, "1"), ("y", 5, "3")], "x", id="whatever the order of the objects"),
        pytest.param([("x", None, "2"), ("y", None, "1")], "x", id="without commitments by the time of creation"),
        pytest.param([("x", None, "1"), ("y", None, "1")], "y", id="then by name"),
        pytest.param([("x", 1, "1"), ("y", None, "2")], "x", id="a commitment is after none"),
        pytest.param([("x", 5, "1"), ("y", 5, "2")], "y", id="two models of one commitment"),
    ],
)
def test_the_last_commitment_is_last(submitted: list[tuple[str, int | None, str]], last: str) -> None:
    ordered = in_order((name, Submission(hotkey="a", block=block), created) for name, block, created in submitted)
    assert list(ordered)[-1] == last


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param(
            [result("m1", score="0.900000"), result("m2", score="0.300000")],
            {"a": ("Succeeded", 0.3)},
            id="the last commitment, not the best of several",
        ),
        pytest.param(
            [result("m1", score="0.900000"), result("m2", "Rejected")], {"a": ("Rejected", 0)}, id="even if rejected"
        ),
        pytest.param(
            [result("m1", score="0.900000"), result("m2", "Rejected", reason="CommitTooLate")],
            {"a": ("Succeeded", 0.9)},
            id="but not one that came too late for the round",
        ),
        pytest.param([result("m1", score="0.900000")], {"a": ("Succeeded", 0.9)}, id="nor one that is not in the set"),
        pytest.param(
            [result("m1", score="0.900000"), result("m2", "Duplicate", duplicateOf="m1")],
            {"a": ("Succeeded", 0.9)},
            id="a copy of an own earlier model has its score",
        ),
        pytest.param(
            [result("m2", "Duplicate", duplicateOf="m3"), result("m3", score="0.500000")],
            {"a": ("Duplicate", 0), "b": ("Succeeded", 0.5)},
            id="a copy of another's has none",
        ),
        pytest.param([result("m1", "ModelFault", "0.000000")], {"a": ("ModelFault", 0)}, id="a model's own fault"),
        pytest.param([result("m1", "Unscored")], {"a": ("Unscored", 0)}, id="no score this round"),
        pytest.param([result("m1", "Rejected", "0.900000")], {"a": ("Rejected", 0)}, id="whatever it reports"),
        pytest.param([result("unowned", score="0.900000")], {}, id="a model without a miner"),
    ],
)
def test_one_model_of_a_hotkey_counts(
    complete: Make, recorded: Make, results: list[dict[str, Any]], expected: dict[str, tuple[str, float]]
) -> None:
    scores = recorded(complete(*results)).scores
    assert {h: (s.last.state.value, s.last.score) for h, s in scores.items()} == expected


@given(scores=st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_more_models_are_not_more_attempts(scores: list[float]) -> None:
    """Whatever the scores of a hotkey's models are, one that is fixed by the commitments counts."""
    submissions = {f"m{n}": Submission(hotkey="a", block=n) for n in range(len(scores))}
    results = [
        {"model": f"m{n}", "state": "Succeeded", "reason": "Evaluated", "score": f"{score:.6f}"}
        for n, score in enumerate(scores)
    ]
    obj = {
        "metadata": {"name": "r", "uid": "u"},
        "spec": {
            "models": {"matchLabels": {}},
            "tasks": {"sources": [{"bfcl": {"categories": ["multiple"]}}], "count": 10, "seed": "s"},
        },
        "status": {"results": results},
    }
    assert counting(parse_round(obj), submissions)["a"].score == f"{scores[-1]:.6f}"


def test_what_is_kept_of_earlier_rounds(complete: Make, recorded: Make) -> None:
    known = None
    for number in range(7):
        good = [result("m1", score=f"0.{number}00000")] if number != 5 else [result("m3", score="0.400000")]
        known = recorded(complete(*good, baseline=f"0.0{number}0000"), known)
    assert known.baselines == (0.02, 0.03, 0.04, 0.05, 0.06), "of five rounds"
    assert [each.score if each else None for each in known.scores["a"].results] == [0.2, 0.3, 0.4, None, 0.6]
    assert [each.score if each else None for each in known.scores["b"].results] == [0.4, None], "since its first"
    assert known.scores["a"].block == 5


def test_hotkeys_that_are_not_registered_are_dropped(complete: Make, recorded: Make, neuron: Make) -> None:
    first = recorded(complete(result("m1", score="0.500000"), result("m3", score="0.500000")))
    only_b = {"b": neuron("b", registered_at=3)}
    assert set(recorded(complete(result("m1", score="0.500000")), first, neurons=only_b).scores) == {"b"}


def test_a_new_registration_begins_with_nothing(complete: Make, recorded: Make, neuron: Make) -> None:
    first = recorded(complete(result("m1", score="0.900000"), result("m3", score="0.900000")))
    again = {h: neuron(h, registered_at=50) for h in "ab"}
    second = recorded(complete(result("m1", score="0.100000")), first, neurons=again)
    assert second.scores == {
        "a": HotkeyScore(registered_at=50, block=5, results=(RoundResult(state=ResultState.SUCCEEDED, score=0.1),))
    }


def test_a_near_copy_by_way_of_an_own_earlier_model(complete: Make, recorded: Make) -> None:
    """m2 resembles m1, of the same hotkey, which is itself a near copy of another's model."""
    own = [result("m1", score="0.500000", nearCopyOf="m3"), result("m2", score="0.500000", nearCopyOf="m1")]
    assert recorded(complete(*own, result("m3", score="0.500000"))).scores["a"].last.near_copy
    circle = [result("m1", score="0.500000", nearCopyOf="m2"), result("m2", score="0.500000", nearCopyOf="m1")]
    assert not recorded(complete(*circle)).scores["a"].last.near_copy


@pytest.mark.parametrize(
    ("of", "near_copy"),
    [
        pytest.param("m3", True, id="of another hotkey's model"),
        pytest.param("m1", False, id="of an own earlier model: an improvement"),
        pytest.param("public", True, id="of a model without a miner"),
        pytest.param(None, False, id="of none"),
    ],
)
def test_near_copies(complete: Make, recorded: Make, of: str | None, near_copy: bool) -> None:
    mine = result("m2", score="0.500000", **({"nearCopyOf": of} if of else {}))
    assert recorded(complete(mine)).scores["a"].last.near_copy is near_copy


WEIGHTS, FILES = ("sha256:" + digit * 64 for digit in "ab")


@pytest.mark.parametrize(
    ("copies", "expected"),
    [
        pytest.param(
            [result("m2", "Duplicate", duplicateOf="liar"), result("m3", "Duplicate", duplicateOf="liar")],
            {"a": ("Succeeded", 0.6, False), "b": ("Duplicate", 0, False)},
            id="the earliest exact copy has its result",
        ),
        pytest.param(
            [result("m2", "Duplicate", duplicateOf="liar", weightsDigest=WEIGHTS, modelDigest=FILES)],
            {"a": ("Unscored", 0, False)},
            id="but not that of other files",
        ),
        pytest.param(
            [result("m2", score="0.500000", nearCopyOf="liar"), result("m3", score="0.550000", nearCopyOf="liar")],
            {"a": ("Succeeded", 0.5, False), "b": ("Succeeded", 0.55, True)},
            id="the earliest near copy is none any more",
        ),
        pytest.param(
            [
                result("liar", score="0.600000", nearCopyOf="m3"),
                result("m2", "Duplicate", duplicateOf="liar"),
                result("m3", score="0.550000"),
            ],
            {"a": ("Succeeded", 0.6, True), "b": ("Succeeded", 0.55, False)},
            id="an exact copy is what the refused one is",
        ),
        pytest.param(
            [
                result("liar", score="0.600000", nearCopyOf="m3"),
                result("m2", score="0.500000", nearCopyOf="liar"),
                result("m3", score="0.550000"),
            ],
            {"a": ("Succeeded", 0.5, False), "b": ("Succeeded", 0.55, False)},
            id="a near copy is like the refused one alone",
        ),
        pytest.param(
            [
                result("a-liar", score="0.600000"),
                result("liar", score="0.600000", nearCopyOf="a-liar"),
                result("m2", "Duplicate", duplicateOf="liar"),
            ],
            {"a": ("Succeeded", 0.6, False)},
            id="what is like two refused ones alone is none",
        ),
    ],
)
def test_a_false_claim_makes_no_copies_of_others(
    complete: Make,
    competition: Make,
    neuron: Make,
    copies: list[dict[str, Any]],
    expected: dict[str, tuple[str, float, bool]],
) -> None:
    """The refused models claim to be the earliest, and have no submission; m2 has a commitment, m3 none."""
    round_ = complete(*({"liar": result("liar", score="0.600000")} | {each["model"]: each for each in copies}).values())
    neurons = {h: neuron(h, registered_at=3) for h in "ab"}
    scored = record(
        None, round_, competition=competition(), submissions=SUBMISSIONS, neurons=neurons, refused=("liar", "a-liar")
    )
    found = {h: (s.last.state.value, s.last.score, s.last.near_copy) for h, s in scored.scores.items() if s.last}
    assert found == expected


LOSS = {"evaluation": {"scorer": "Loss"}}


def test_win_rates_of_those_that_may_be_paid(complete: Make, recorded: Make, neuron: Make, competition: Make) -> None:
    """A model at the baseline, a near copy, a failed one and a validator's do not play, and so move no win rate."""
    submissions = {f"m-{h}": Submission(hotkey=h, block=n) for n, h in enumerate("abcdefg")}
    good = {"batchLosses": ["1.000000", "1.000000"]}
    results = [
        result("m-a", score="0.500000", batchLosses=["0.500000", "1.500000"]),
        result("m-b", score="0.400000", **good),
        result("m-c", score="0.200000", **good),
        result("m-d", score="0.500000", nearCopyOf="m-a", **good),
        result("m-e", "ModelFault", score="0.000000"),
        result("m-f", score="0.500000", **good),
        result("m-g", score="0.500000"),
    ]
    neurons = {h: neuron(h, permit=h == "f", stake=10**15) for h in "abcdefg"}
    template = competition().round.to_wire() | LOSS
    scored = recorded(
        complete(*results, baseline="0.200000"),
        policy="WinRate",
        duplicates="EarliestEarns",
        round=template,
        submissions=submissions,
        neurons=neurons,
    )
    rates = {hotkey: each.last.win_rate for hotkey, each in scored.scores.items()}
    assert rates == {"a": 0.5, "b": 0.5, "c": None, "d": None, "e": None, "f": None, "g": None}


@pytest.mark.parametrize("phase", [RoundPhase.UNFINISHED, RoundPhase.FAILED])
def test_no_scores_from_rounds_that_are_not_complete(
    competition: Callable[..., Competition], phase: RoundPhase
) -> None:
    with pytest.raises(ValueError, match="complete rounds only"):
        record(None, Round("r", 1, 100, phase), competition=competition(), submissions={}, neurons={})


def test_entrants_are_miners_whose_model_may_still_score(eval_round: Make) -> None:
    results = [result("m2", "Pending"), result("m3", "Rejected"), result("unowned", "Running")]
    assert entrants(parse_round(eval_round(results)), submissions=SUBMISSIONS) == {"a"}
    none_left = [result("m2", "ModelFault"), result("m3", "Duplicate")]
    assert entrants(parse_round(eval_round(none_left)), submissions=SUBMISSIONS) == set()
    unscored = [result("m1", "Running"), result("m2", "Unscored")]
    assert entrants(parse_round(eval_round(unscored)), submissions=SUBMISSIONS) == set(), "an older model does not help"


def test_participants_are_registered_miners_with_any_result(eval_round: Make, neuron: Make) -> None:
    round_ = parse_round(eval_round([result("m1", "InfraFault"), result("m3", "Rejected")], Failed="True"))
    assert participants(round_, submissions=SUBMISSIONS, neurons={"a": neuron("a")}) == {"a"}
