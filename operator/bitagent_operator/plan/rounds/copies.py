"""Near copies among the models of a round: which one follows which, with the evidence.

Exact copies, by their weights digest, are duplicates before a GPU is used (`evaluations`). Here two models are compared
by the sketches of their weights and of their answers, when the round completes. A later model is a near copy

- if it has the function of an earlier one in another form: its neurons permuted, scales moved, the hidden state
  rotated. Only rounding is left as a difference of the weights (`SAME_FUNCTION`), and the answers are the same;
- if it has the base of an earlier one (`SAME_BASE`), and makes its mistakes. Models that were trained from one base are
  about as close as a copy with noise, and good models agree in what is right, but each has mistakes of its own.
- if it gives the answers of an earlier one and makes its mistakes, whatever its weights (`OTHER_WEIGHTS_MISTAKES`):
  heads and neurons that cancel each other move every property of a sketch, and no answer.

What others of this base have in common in this round raises the bar of the first two.

docs/decisions/020-copies.md has the measurements behind the constants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import NormalDist

from bitagent_crds.model_result import CopyEvidence, ModelResult, ResultState
from bitagent_crds.sketches import SAME_BASE, SAME_FUNCTION, AnswerSketch, SketchError, WeightsSketch
from bitagent_crds.texts import score_text
from bitagent_operator.observed.objects import ChainClock, ModelObject, changed
from bitagent_operator.plan.rounds.seniority import seniority

SAME_ANSWERS = (0.98, 0.995)
"""Bounds of the agreement of answers that goes with SAME_FUNCTION. Fine-tunes of one base agreed in at most 0.979."""
SAME_MISTAKES = (0.75, 0.9)
"""Bounds of the share of common mistakes from which a model is a near copy. Fine-tunes of one base shared at most 0.56,
copies with noise that costs no skill 0.81 and more."""
OTHER_WEIGHTS_MISTAKES = 8
"""Wrong answers that each of two models must have, if they are to be called copies by answers and mistakes alone. Two
models that are right wherever the tasks are may share the few mistakes of the tasks themselves."""
FEWEST_MISTAKES = 5
"""Wrong answers that each of the two models must have for a comparison of mistakes."""
_DEVIATIONS = 4
"""How far above the usual share of its base a share must be, in standard deviations."""
_USUAL = NormalDist()
_LOWEST, _LOW = 0.1, 0.25
"""Quantiles of what others have in common with a pair, from which the usual is estimated. Copies only share more, so
they must be three quarters of a base's models in the round to be what is usual for it."""
_ANSWERS_ERROR, _MISTAKES_ERROR = 0.01, 0.06
"""Standard errors of what sketches say, around the lower bounds: values are never less scattered than that."""
_OTHERS = 32
"""Models of the same base that a pair is compared with at most."""
_SEARCHED = 256
"""Models among which these are looked for, the earliest."""
_BUCKET_BITS = 5
_LEAST_AGREEMENT = 0.5
"""Agreement without which no share of common mistakes reaches SAME_MISTAKES."""


@dataclass(frozen=True)
class Candidate:
    """What is compared of one evaluated model."""

    model: str
    weights: WeightsSketch
    answers: AnswerSketch | None
    """None with losses."""
    mistakes: int
    """Number of wrong answers."""
    loss: float | None = None
    """Mean loss, where losses were measured."""


def flagged(
    results: Sequence[ModelResult], models: Mapping[str, ModelObject], *, clock: ChainClock | None, tasks: int
) -> list[ModelResult]:
    """Return the results of a round that is about to complete, with near copies named. `tasks` is their number.

    A model whose object has no facts about the commit that was evaluated is compared by its answers alone: its branch
    may have moved since, or its miner has withdrawn it.
    """
    entries = {r.model: r for r in results if r.state == ResultState.SUCCEEDED}
    keys = seniority(entries.values(), models, clock)
    ordered = sorted(entries.values(), key=lambda entry: keys[entry.model])
    candidates = [c for entry in ordered if (c := _candidate(entry, models.get(entry.model), tasks)) is not None]
    found = near_copies(candidates)
    return [
        changed(r, near_copy_of=found[r.model][0], evidence=found[r.model][1])
        if r.model in found
        else changed(r, near_copy_of=None, evidence=None)
        for r in results
    ]


def _candidate(entry: ModelResult, model: ModelObject | None, tasks: int) -> Candidate | None:
    facts = model.status.resolved if model is not None else None
    if entry.score is None:
        return None
    evaluated = facts is not None and (facts.commit, facts.model_digest) == (entry.commit, entry.model_digest)
    weights = _sketch(facts.similarity if facts is not None and evaluated else None)
    try:
        answers = AnswerSketch.decode(entry.answer_sketch) if entry.answer_sketch is not None else None
    except SketchError:
        return None
    loss = float(entry.loss) if entry.loss is not None else None
    return Candidate(entry.model, weights, answers, max(0, tasks - (entry.passed or 0)), loss)


def _sketch(text: str | None) -> WeightsSketch:
    """Return a sketch of weights; one that is like no other without any, as a miner can cause.

    Numbers that no part of a model writes to may be so large that no property of its layers is finite.
    """
    try:
        return WeightsSketch.decode(text) if text is not None else WeightsSketch(())
    except SketchError:
        return WeightsSketch(())


def near_copies(candidates: Sequence[Candidate]) -> dict[str, tuple[str, CopyEvidence]]:
    """Return for each near copy the earliest model that it copies, and the evidence.

    `candidates` are in the order of their seniority, the earliest first.
    """
    numbers = [_buckets(candidate.weights) for candidate in candidates]
    found: dict[str, tuple[str, CopyEvidence]] = {}
    for i, later in enumerate(candidates):
        for j, earlier in enumerate(candidates[:i]):
            agreement = _agreement(earlier, later)
            if agreement < _LEAST_AGREEMENT:
                continue
            shared = _shared_mistakes(earlier, later)
            close = agreement >= SAME_ANSWERS[0] and _may_be_rewritten(numbers[i], numbers[j])
            is_copy = (
                (close and _is_rewritten(earlier, later, agreement, candidates))
                or (shared >= SAME_MISTAKES[0] and _is_derived(earlier, later, shared, candidates))
                or _answers_alike(earlier, later, agreement, shared)
            )
            if is_copy:
                found[later.model] = earlier.model, _evidence(earlier, later, agreement, shared)
                break
    return found


def _buckets(sketch: WeightsSketch) -> frozenset[int]:
    """Return the sketch's numbers without their lowest bits, for a test that costs little."""
    return frozenset(number >> _BUCKET_BITS for row in sketch.rows for number in row)


def _may_be_rewritten(a: frozenset[int], b: frozenset[int]) -> bool:
    """Whether so many numbers are the same as in rewritten models; in others hardly any are."""
    return len(a & b) * 4 >= min(len(a), len(b))


def _is_rewritten(earlier: Candidate, later: Candidate, agreement: float, others: Sequence[Candidate]) -> bool:
    return earlier.weights.distance(later.weights) <= SAME_FUNCTION and agreement >= _bar(
        earlier, later, others, _agreement, SAME_ANSWERS, error=_ANSWERS_ERROR
    )


def _is_derived(earlier: Candidate, later: Candidate, shared: float, others: Sequence[Candidate]) -> bool:
    return earlier.weights.similarity(later.weights) >= SAME_BASE and shared >= _bar(
        earlier, later, others, _shared_mistakes, SAME_MISTAKES, error=_MISTAKES_ERROR
    )


def _answers_alike(earlier: Candidate, later: Candidate, agreement: float, shared: float) -> bool:
    """Whether answers and mistakes are those of one model, in weights that show nothing of it."""
    enough = min(earlier.mistakes, later.mistakes) >= OTHER_WEIGHTS_MISTAKES
    return enough and agreement >= SAME_ANSWERS[0] and shared >= SAME_MISTAKES[1]


def _evidence(earlier: Candidate, later: Candidate, agreement: float, shared: float) -> CopyEvidence:
    return CopyEvidence(
        weights=score_text(earlier.weights.similarity(later.weights), 1),
        answers=score_text(agreement, 1),
        mistakes=score_text(shared, 1) if shared else None,
    )


def _agreement(a: Candidate, b: Candidate) -> float:
    """Return the share of equal answers; with losses, how close they are, as a ratio."""
    if a.answers is not None and b.answers is not None:
        return a.answers.agreement(b.answers)
    if a.loss is None or b.loss is None or not (0.0 < a.loss < float("inf") and 0.0 < b.loss < float("inf")):
        return 0.0
    return min(a.loss, b.loss) / max(a.loss, b.loss)


def _shared_mistakes(a: Candidate, b: Candidate) -> float:
    """Return the share of mistakes that both models make; 0 if there are too few to tell."""
    if a.answers is None or b.answers is None or min(a.mistakes, b.mistakes) < FEWEST_MISTAKES:
        return 0.0
    return a.answers.shared_mistakes(b.answers) or 0.0


def _bar(
    a: Candidate,
    b: Candidate,
    candidates: Sequence[Candidate],
    measure: Callable[[Candidate, Candidate], float],
    bounds: tuple[float, float],
    *,
    error: float,
) -> float:
    """Return the value of a measure, within bounds, from which the pair is out of the ordinary.

    The ordinary is what other models of this base have in common with the two. Those above the upper bound do not
    count, so that many close copies do not make copying ordinary. Copies between the bounds can, if they outnumber the
    other models of the base three to one.
    """
    least, highest = bounds
    others = (candidate for candidate in candidates[:_SEARCHED] if candidate.model not in (a.model, b.model))
    measured = ((other, [measure(a, other), measure(b, other)]) for other in others)
    unlike = ((other, values) for other, values in measured if max(values) < highest)
    of_base = (values for other, values in unlike if a.weights.similarity(other.weights) >= SAME_BASE)
    usual = [value for values in islice(of_base, _OTHERS) for value in values]
    return min(highest, max(least, _usual_at_most(usual, error))) if usual else least


def _usual_at_most(values: Sequence[float], error: float) -> float:
    """Return what a usual value hardly ever exceeds, by a normal distribution through the lowest quarter of values."""
    lowest, low = _quantile(values, _LOWEST), _quantile(values, _LOW)
    step = _USUAL.inv_cdf(_LOW) - _USUAL.inv_cdf(_LOWEST)
    deviation = max(error, (low - lowest) / step)
    return low + (_DEVIATIONS - _USUAL.inv_cdf(_LOW)) * deviation


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    return ordered[below] + (ordered[min(below + 1, len(ordered) - 1)] - ordered[below]) * (place - below)
