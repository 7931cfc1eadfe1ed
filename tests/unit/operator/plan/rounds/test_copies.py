"""Near copies among the models of a round: rewritten ones, those that share mistakes, and those that do not."""

from __future__ import annotations

import random
from typing import Any

import pytest

from bitagent_crds.model_result import ModelResult
from bitagent_crds.sketches import ANSWER_BITS, MISTAKE_HASHES, AnswerSketch, WeightsSketch
from bitagent_operator.plan.rounds.copies import Candidate, flagged, near_copies

CIRCLE = 1 << 16
LAYERS, WIDTH = 24, 3


def weights(base: int, *, steps: int = 0, seed: int = 0) -> WeightsSketch:
    """Return a sketch of a model of `base` whose numbers are about so many steps from those of the base."""
    of_base, of_model = random.Random(base), random.Random(f"{base} {seed}")
    rows = [[of_base.randrange(CIRCLE) for _ in range(WIDTH)] for _ in range(LAYERS)]
    moved = [tuple((n + of_model.choice((-1, 1)) * steps) % CIRCLE for n in row) for row in rows]
    return WeightsSketch(tuple(moved))


def answers(family: int, *, agreement: float = 1.0, mistakes: float = 1.0, seed: int = 0) -> AnswerSketch:
    """Return a sketch that shares so much with that of its family: of all answers, and of the wrong ones."""
    of_family, of_model = random.Random(family), random.Random(f"{family} {seed}")
    bits, hashes = of_family.getrandbits(ANSWER_BITS), bytearray(of_family.randbytes(MISTAKE_HASHES))
    for i in of_model.sample(range(ANSWER_BITS), round((1 - agreement) * ANSWER_BITS / 2)):
        bits ^= 1 << i
    for i in of_model.sample(range(MISTAKE_HASHES), round((1 - mistakes) * MISTAKE_HASHES)):
        hashes[i] = (hashes[i] + of_model.randrange(1, 256)) % 256
    return AnswerSketch(bits.to_bytes(ANSWER_BITS // 8), bytes(hashes))


def candidate(name: str, base: int = 1, *, wrong: int = 40, loss: float | None = None, **more: Any) -> Candidate:
    seed = sum(map(ord, name))
    chosen = {key: more.pop(key) for key in ("agreement", "mistakes") if key in more}
    sketch = answers(more.pop("family", base), seed=seed, **chosen) if loss is None else None
    return Candidate(name, weights(base, seed=seed, **more), sketch, wrong, loss)


@pytest.mark.parametrize(
    ("later", "is_copy"),
    [
        pytest.param({"steps": 1}, True, id="rewritten"),
        pytest.param({"steps": 1, "wrong": 0}, True, id="rewritten, both nearly perfect"),
        pytest.param({"steps": 7}, True, id="rewritten and rounded"),
        pytest.param({"steps": 1, "agreement": 0.96, "mistakes": 0.4}, False, id="same layers, other answers"),
        pytest.param({"steps": 60, "agreement": 0.99, "mistakes": 0.9}, True, id="with little noise"),
        pytest.param({"steps": 400, "agreement": 0.97, "mistakes": 0.8}, True, id="quantised"),
        pytest.param({"steps": 60, "agreement": 0.97, "mistakes": 0.55}, False, id="the closest honest fine-tune"),
        pytest.param({"steps": 900, "agreement": 0.92, "mistakes": 0.2}, False, id="an honest fine-tune"),
        pytest.param({"steps": 60, "agreement": 1.0, "mistakes": 1.0, "wrong": 4}, False, id="too few mistakes"),
        pytest.param({"base": 2, "family": 1, "mistakes": 1.0, "wrong": 8}, True, id="other weights, all mistakes"),
        pytest.param({"base": 2, "family": 1, "mistakes": 0.9}, False, id="other weights, most mistakes"),
        pytest.param({"base": 2, "family": 1, "mistakes": 1.0, "wrong": 7}, False, id="other weights, few mistakes"),
        pytest.param(
            {"base": 2, "family": 1, "mistakes": 1.0, "agreement": 0.96}, False, id="other weights, other answers"
        ),
    ],
)
def test_a_pair(later: dict[str, Any], is_copy: bool) -> None:
    found = near_copies([candidate("a"), candidate("b", **later)])
    assert found.keys() == ({"b"} if is_copy else set())
    if is_copy:
        assert found["b"][0] == "a"


def test_evidence_has_what_was_compared() -> None:
    found = near_copies([candidate("a"), candidate("b", steps=400, agreement=0.97, mistakes=0.8)])["b"][1]
    assert float(found.weights) == pytest.approx(0.95, abs=0.01)
    assert float(found.answers) == pytest.approx(0.97, abs=0.01)
    assert found.mistakes is not None and float(found.mistakes) == pytest.approx(0.8, abs=0.03)


def test_all_copies_name_the_earliest() -> None:
    found = near_copies([candidate("a"), *(candidate(f"c{i}", steps=30, mistakes=0.95) for i in range(8))])
    assert {name: of for name, (of, _) in found.items()} == {f"c{i}": "a" for i in range(8)}


def test_what_is_usual_for_a_base_raises_the_bar() -> None:
    honest = [candidate(f"m{i}", steps=300, mistakes=0.88 + 0.01 * (i % 3)) for i in range(6)]
    pair = [candidate("a"), candidate("b", steps=300, mistakes=0.8)]
    assert near_copies(pair).keys() == {"b"}
    assert "b" not in near_copies([*pair, *honest])


def test_many_copies_do_not_make_copying_usual() -> None:
    copies = [candidate(f"c{i}", steps=30, mistakes=0.96) for i in range(20)]
    honest = [candidate(f"m{i}", steps=900, agreement=0.9, mistakes=0.2) for i in range(3)]
    assert near_copies([candidate("a"), *copies, *honest]).keys() == {f"c{i}" for i in range(20)}


@pytest.mark.parametrize(
    ("honest", "found"),
    [
        pytest.param(4, 8, id="a third is honest"),
        pytest.param(8, 8, id="half is honest"),
        pytest.param(0, 0, id="no other model of the base: what remains"),
    ],
)
def test_copies_that_share_most_mistakes_do_not_hide_each_other(honest: int, found: int) -> None:
    """Each shares 0.82 with the original, and 0.68 with the other copies."""
    copies = [candidate(f"c{i}", steps=300, agreement=0.97, mistakes=0.82) for i in range(8)]
    others = [candidate(f"m{i}", steps=900, agreement=0.92, mistakes=0.3) for i in range(honest)]
    assert near_copies([candidate("a"), *copies, *others]).keys() == {f"c{i}" for i in range(found)}


@pytest.mark.parametrize("shared", [0.75, 0.8, 0.85])
def test_models_of_one_base_that_share_most_mistakes_are_not_copies(shared: float) -> None:
    """The mistakes may be those of the tasks, which good models make whatever their base."""
    models = [candidate(f"m{i}", steps=900, agreement=0.95, mistakes=shared**0.5) for i in range(6)]
    assert near_copies(models) == {}


@pytest.mark.parametrize(
    ("steps", "loss", "is_copy"),
    [(1, 2.01, True), (1, 2.5, False), (60, 2.0, False), (1, float("inf"), False)],
)
def test_losses_tell_rewritten_models_only(steps: int, loss: float, is_copy: bool) -> None:
    found = near_copies([candidate("a", loss=2.0), candidate("b", steps=steps, loss=loss)])
    assert found.keys() == ({"b"} if is_copy else set())


def entry(make: Any, name: str, **more: Any) -> ModelResult:
    made = {"state": "Succeeded", "score": "0.800000", "passed": 160, "commit": "a" * 40} | more
    return ModelResult.model_validate({"model": name, "answerSketch": answers(1).encode()} | made)


def model(make: Any, name: str, *, block: int, **facts: Any) -> Any:
    sketch = {"similarity": weights(1).encode()} | facts
    return make.model(name, fetched=True, commit_block=block, facts=sketch)


def test_results_name_the_model_that_was_committed_first(make: Any) -> None:
    models = {"a": model(make, "a", block=20), "b": model(make, "b", block=10)}
    found = flagged([entry(make, "a"), entry(make, "b")], models, clock=None, tasks=200)
    assert [(r.model, r.near_copy_of) for r in found] == [("a", "b"), ("b", None)]
    assert found[0].evidence is not None and found[0].evidence.weights == "1.000000"
    assert found[0].score == "0.800000"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"state": "ModelFault", "score": "0.000000"}, id="not evaluated"),
        pytest.param({"answerSketch": None}, id="no sketch of the answers"),
    ],
)
def test_without_answers_nothing_is_claimed(make: Any, change: dict[str, Any]) -> None:
    models = {"a": model(make, "a", block=20), "b": model(make, "b", block=10)}
    found = flagged([entry(make, "a", **change), entry(make, "b")], models, clock=None, tasks=200)
    assert [r.near_copy_of for r in found] == [None, None]


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        pytest.param({}, {"similarity": None}, id="no sketch"),
        pytest.param({}, {"similarity": "AAAA"}, id="a sketch of another version"),
        pytest.param({"commit": "b" * 40}, {}, id="facts about another commit"),
        pytest.param({"modelDigest": "sha256:" + "5" * 64}, {}, id="facts about other files"),
        pytest.param({"commitBlock": 20}, None, id="an object that is gone"),
    ],
)
@pytest.mark.parametrize(("mistakes", "is_copy"), [(1.0, True), (0.85, False)])
def test_a_model_without_a_sketch_of_its_weights_is_known_by_its_answers(
    make: Any, change: dict[str, Any], facts: dict[str, Any] | None, mistakes: float, is_copy: bool
) -> None:
    """A miner can make a sketch impossible, by huge numbers that nothing writes to, or move its branch meanwhile."""
    models = {"b": model(make, "b", block=10)}
    if facts is not None:
        models["a"] = model(make, "a", block=20, **facts)
    sketch = answers(1, mistakes=mistakes).encode()
    found = flagged([entry(make, "a", answerSketch=sketch, **change), entry(make, "b")], models, clock=None, tasks=200)
    assert [r.near_copy_of for r in found] == ["b" if is_copy else None, None]
    if is_copy:
        assert found[0].evidence is not None and found[0].evidence.weights == "0.000000"


def test_an_earlier_claim_is_withdrawn(make: Any) -> None:
    claimed = entry(make, "a", nearCopyOf="gone", evidence={"weights": "1.000000", "answers": "1.000000"})
    found = flagged([claimed], {"a": model(make, "a", block=20)}, clock=None, tasks=200)
    assert (found[0].near_copy_of, found[0].evidence) == (None, None)
