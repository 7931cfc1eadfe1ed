"""Copies of weights that another hotkey had in an earlier round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bitagent_crds.model_result import ModelResult
from bitagent_crds.seeds import SeedFrom
from bitagent_validator.competitions.earlier_weights import remembered
from bitagent_validator.competitions.scores import record
from bitagent_validator.objects import Round, RoundPhase
from bitagent_validator.state.scores import WEIGHTS_MAX, ScoredRound, Submission, short_digest

OLD, NEW, THIRD = ("sha256:" + letter * 64 for letter in "abc")
MINER, COPIER, OTHER = "miner", "copier", "other"
SEED = 120
"""Block of the first round's seed; the miner committed the weights at block 100."""


def entry(hotkey: str, digest: str, state: str = "Succeeded", **more: Any) -> ModelResult:
    score = {"score": "0.800000"} if state == "Succeeded" else {}
    fields = {"model": f"{hotkey}-{digest[7]}", "state": state, "weightsDigest": digest, **score, **more}
    return ModelResult.model_validate(fields)


@pytest.fixture
def rounds(competition: Callable[..., Any], neuron: Callable[..., Any]) -> Callable[..., ScoredRound]:
    """Record rounds of entries with their commit blocks, at seeds of 120, 220, ..."""

    def make(*each: list[tuple[ModelResult, int | None]], registered: dict[str, int] | None = None) -> ScoredRound:
        known: ScoredRound | None = None
        for number, entries in enumerate(each):
            block = 100 * (number + 1)
            seed = SeedFrom.model_validate({"block": block + 20, "secretDigest": "sha256:" + "0" * 64})
            results = tuple(result for result, _ in entries)
            round_ = Round(f"r{number}", number, block, RoundPhase.COMPLETE, results=results, seed_from=seed)
            submissions = {
                result.model: Submission(hotkey=result.model.partition("-")[0], block=at) for result, at in entries
            }
            last = number == len(each) - 1
            at = dict.fromkeys((MINER, COPIER, OTHER), 3) | ((registered or {}) if last else {})
            neurons = {hotkey: neuron(hotkey, registered_at=since) for hotkey, since in at.items()}
            known = record(known, round_, competition=competition(), submissions=submissions, neurons=neurons)
        assert known is not None
        return known

    return make


def last(scored: ScoredRound, hotkey: str) -> tuple[str, float, bool] | None:
    found = scored.scores[hotkey].last
    return (found.state.value, found.score, found.near_copy) if found else None


FIRST = [(entry(MINER, OLD), 100)]
PAID, COPY = ("Succeeded", 0.8, False), ("Duplicate", 0.0, False)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(
            [(entry(MINER, NEW), 200), (entry(COPIER, OLD), 150)],
            {MINER: PAID, COPIER: COPY},
            id="the miner has committed a better model",
        ),
        pytest.param(
            [(entry(MINER, OLD, "Duplicate", duplicateOf="copier-a"), 200), (entry(COPIER, OLD), 150)],
            {MINER: PAID, COPIER: COPY},
            id="or the same weights again",
        ),
        pytest.param(
            [(entry(MINER, NEW, nearCopyOf="copier-a"), 200), (entry(COPIER, OLD), 150)],
            {MINER: PAID, COPIER: COPY},
            id="or a model that is like the copy of its own",
        ),
        pytest.param(
            [(entry(MINER, NEW, "ModelFault"), 200), (entry(COPIER, OLD), 150)],
            {COPIER: COPY},
            id="or one that fails",
        ),
        pytest.param(
            [(entry(MINER, NEW), 200), (entry(COPIER, OLD), SEED)],
            {MINER: PAID, COPIER: PAID},
            id="committed before the round had fixed them: who was first is the round's to say",
        ),
        pytest.param(
            [(entry(MINER, NEW), 200), (entry(COPIER, OLD), None)],
            {MINER: PAID, COPIER: COPY},
            id="without a commit block, as of a branch",
        ),
        pytest.param([(entry(COPIER, OLD), 150)], {COPIER: PAID}, id="the miner has left"),
        pytest.param([(entry(MINER, NEW), 200), (entry(COPIER, THIRD), 150)], {COPIER: PAID}, id="other weights"),
        pytest.param([(entry(MINER, OLD), 100)], {MINER: PAID}, id="its own weights"),
    ],
)
def test_weights_of_an_earlier_round(rounds: Any, now: Any, expected: dict[str, Any]) -> None:
    scored = rounds(FIRST, now)
    assert {hotkey: last(scored, hotkey) for hotkey in expected} == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({}, PAID, id="the same files"),
        pytest.param({"modelDigest": NEW}, ("Unscored", 0.0, False), id="another template or tokenizer"),
        pytest.param({"promptFormat": "Bfcl"}, ("Unscored", 0.0, False), id="another prompt format"),
    ],
)
def test_the_original_gets_the_result_of_its_own_files_only(rounds: Any, files: dict[str, str], expected: Any) -> None:
    """Else a copier could have a rival scored with the rival's weights and a broken tokenizer."""
    common = {"modelDigest": OLD, "promptFormat": "ChatTemplate"}
    original = entry(MINER, OLD, "Duplicate", duplicateOf="copier-a", **common)
    scored = rounds(FIRST, [(original, 200), (entry(COPIER, OLD, **(common | files)), 150)])
    assert (last(scored, MINER), last(scored, COPIER)) == (expected, COPY)


@pytest.mark.parametrize(
    ("original", "block", "expected"),
    [
        pytest.param(entry(MINER, OLD, "Duplicate", duplicateOf="copier-a"), 150, (PAID, COPY), id="the same weights"),
        pytest.param(
            entry(MINER, OLD, "Duplicate", duplicateOf="copier-a"), None, (PAID, COPY), id="a copy without a block"
        ),
        pytest.param(entry(MINER, NEW), 150, (PAID, PAID), id="other weights: these were never entered here"),
        pytest.param(
            entry(MINER, OLD, "Duplicate", duplicateOf="copier-a"), 110, (COPY, PAID), id="a model that was earlier"
        ),
    ],
)
def test_weights_that_a_hotkey_had_in_another_competition(
    rounds: Any,
    competition: Any,
    neuron: Any,
    original: ModelResult,
    block: int | None,
    expected: tuple[tuple[str, float, bool], ...],
) -> None:
    """A copy that is entered in another competition first must not keep the original out of it."""
    entries = [(original, 200), (entry(COPIER, OLD), block)]
    scored = record(
        None,
        Round("r", 1, 200, RoundPhase.COMPLETE, results=tuple(result for result, _ in entries)),
        competition=competition(),
        submissions={r.model: Submission(hotkey=r.model.partition("-")[0], block=at) for r, at in entries},
        neurons={hotkey: neuron(hotkey, registered_at=3) for hotkey in (MINER, COPIER)},
        elsewhere=[rounds(FIRST)],
    )
    assert (last(scored, MINER), last(scored, COPIER)) == expected


def test_a_near_copy_of_such_a_copy_stays_one(rounds: Any) -> None:
    other = (entry(OTHER, THIRD, nearCopyOf="copier-a"), 180)
    scored = rounds(FIRST, [(entry(MINER, NEW), 200), (entry(COPIER, OLD), 150), other])
    assert last(scored, OTHER) == ("Succeeded", 0.8, True)


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        pytest.param(90, ("Succeeded", 0.8, True), id="as it was itself"),
        pytest.param(None, ("Succeeded", 0.8, True), id="of a model without a block"),
        pytest.param(SEED + 1, PAID, id="of one that came after it"),
    ],
)
def test_a_near_copy_stays_one_whoever_copies_it(
    rounds: Any, since: int | None, expected: tuple[str, float, bool]
) -> None:
    """A miner of two hotkeys copies his own near copy, and commits to it once more."""
    own, near = entry(MINER, OLD, "Duplicate", duplicateOf="copier-a"), entry(COPIER, OLD, nearCopyOf="other-c")
    scored = rounds(FIRST, [(own, 200), (near, 150), (entry(OTHER, THIRD), since)])
    assert last(scored, MINER) == expected


def test_what_is_like_the_copy_alone_is_an_improvement(rounds: Any) -> None:
    """The earliest that it is like is the copy, and so not what this one is a near copy of."""
    own, near = entry(MINER, NEW, nearCopyOf="copier-a"), entry(COPIER, OLD, nearCopyOf="other-c")
    assert last(rounds(FIRST, [(own, 200), (near, 150), (entry(OTHER, THIRD), 90)]), MINER) == PAID


def test_a_copy_of_a_copy_of_its_own_is_none(rounds: Any) -> None:
    both = [(entry(MINER, OLD), 100)], [(entry(MINER, NEW), 200)]
    again = (entry(MINER, NEW, "Duplicate", duplicateOf="copier-b"), 400)
    copies = [(entry(COPIER, NEW, nearCopyOf="other-a"), 300), (entry(OTHER, OLD), 130)]
    assert last(rounds(*both, [again, *copies]), MINER) == PAID


def test_a_copy_stays_one_in_later_rounds(rounds: Any) -> None:
    """What a copier had is remembered of no round in which it was a copy."""
    both = [(entry(MINER, NEW), 200), (entry(COPIER, OLD), 150)]
    scored = rounds(FIRST, both, both, both)
    assert last(scored, COPIER) == COPY
    assert scored.scores[COPIER].weights == {}
    assert scored.scores[MINER].weights == {short_digest(OLD): SEED, short_digest(NEW): 220}


def test_another_registration_of_the_hotkey_protects_nothing(rounds: Any) -> None:
    scored = rounds(FIRST, [(entry(MINER, NEW), 200), (entry(COPIER, OLD), 150)], registered={MINER: 130})
    assert last(scored, COPIER) == PAID


def test_of_two_that_had_the_weights_the_first_owns_them(rounds: Any) -> None:
    second = [(entry(COPIER, OLD), 110)]
    both = [(entry(MINER, OLD, "Duplicate", duplicateOf="copier-a"), 300), (entry(COPIER, OLD), 110)]
    scored = rounds(FIRST, second, both)
    assert last(scored, COPIER) == PAID


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (entry(MINER, OLD), 5),
        (entry(MINER, NEW), 7),
        (entry(MINER, NEW, "ModelFault"), None),
        (entry(MINER, NEW, "Duplicate"), None),
        (None, None),
    ],
    ids=["again", "new", "at fault", "a copy", "no model"],
)
def test_what_is_remembered(result: ModelResult | None, expected: int | None) -> None:
    before = {short_digest(OLD): 5, **{str(number): number for number in range(WEIGHTS_MAX - 1)}}
    after = remembered(before, result, fixed_at=7)
    assert len(after) <= WEIGHTS_MAX
    if expected is None:
        assert after == before
    else:
        assert result is not None
        assert list(after.items())[-1] == (short_digest(result.weights_digest or ""), expected)
