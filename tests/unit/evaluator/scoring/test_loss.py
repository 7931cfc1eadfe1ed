"""Scorer Loss: verdicts, means, batches, intervals; and the other scorers on tasks that have only a reference."""

from __future__ import annotations

import math

import pytest

from bitagent_crds.evaluation import BuiltinScorer, LossParameters
from bitagent_crds.results import Response, Verdict
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.scoring.aggregate import Aggregate
from bitagent_evaluator.scoring.scorers import aggregate, score

LOSS = BuiltinScorer.LOSS.value


def task(index: int, reference: str | None = "A reference.", category: str = "chat") -> Task:
    return Task(
        id=f"t{index}",
        source="stream",
        category=category,
        messages=[{"role": "user", "content": "Say it."}],
        functions=[],
        expects=Expects.ANY_CALL if reference is None else Expects.TEXT,
        reference=reference,
    )


def measured(index: int, loss: float | None) -> Response:
    return Response(
        id=f"t{index}",
        text="",
        finish_reason="measured",
        prompt_tokens=3,
        completion_tokens=0,
        loss=loss,
        loss_tokens=4,
    )


def judged(*losses: float, categories: str = "") -> list[Verdict]:
    names = categories or "c" * len(losses)
    tasks = [task(i, category=name) for i, name in enumerate(names)]
    return score(tasks, [measured(i, loss) for i, loss in enumerate(losses)], scorer=LOSS)


def total(*losses: float, batches: int = 16, seed: str | None = "s", categories: str = "") -> Aggregate:
    verdicts = judged(*losses, categories=categories)
    return aggregate(verdicts, seed=seed, scorer=LOSS, loss=LossParameters(batches=batches))


@pytest.mark.parametrize(
    ("reference", "loss", "error", "score_", "expected"),
    [
        pytest.param("x", 0.5, "", math.exp(-0.5), 0.5, id="finite"),
        pytest.param("x", 0.0, "", 1.0, 0.0, id="certain"),
        pytest.param("x", -1e-9, "", 1.0, 0.0, id="rounded above certain"),
        pytest.param("x", math.inf, "loss:not_finite", 0.0, math.inf, id="infinite"),
        pytest.param("x", math.nan, "loss:not_finite", 0.0, math.inf, id="no number"),
        pytest.param("x", None, "no_response", 0.0, math.inf, id="generated instead of measured"),
        pytest.param("", 0.5, "no_reference", 0.0, math.inf, id="empty reference"),
        pytest.param(None, 0.5, "no_reference", 0.0, math.inf, id="no reference"),
    ],
)
def test_verdict(reference: str | None, loss: float | None, error: str, score_: float, expected: float) -> None:
    (verdict,) = score([task(0, reference)], [measured(0, loss)], scorer=LOSS)
    assert (verdict.passed, verdict.error, verdict.loss) == (not error, error, expected)
    assert verdict.score == pytest.approx(score_)


def test_a_missing_response_is_an_infinite_loss() -> None:
    verdicts = score([task(0), task(1, None)], [], scorer=LOSS)
    assert [(v.error, v.loss, v.score) for v in verdicts] == [
        ("no_response", math.inf, 0.0),
        ("no_reference", math.inf, 0.0),
    ]


def test_an_infinite_loss_survives_a_file() -> None:
    (verdict,) = score([task(0)], [measured(0, math.inf)], scorer=LOSS)
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict
    assert Response.model_validate_json(measured(0, math.inf).model_dump_json()).loss == math.inf


def test_the_mean_loss_decides_and_not_the_mean_score() -> None:
    outcome = total(0.0, 2.0)
    assert (outcome.loss, outcome.score, outcome.passed) == ("1.000000", f"{math.exp(-1):.6f}", 2)
    assert outcome.in_words == "mean loss 1.000000, 2 of 2 tasks measured"


def test_categories_have_means_of_their_own() -> None:
    outcome = total(0.0, 2.0, 4.0, categories="aab")
    scores = {name: entry.score for name, entry in outcome.categories.items()}
    assert scores == {"a": f"{math.exp(-1):.6f}", "b": f"{math.exp(-4):.6f}"}


def test_one_failure_makes_the_mean_and_its_batch_infinite() -> None:
    outcome = total(1.0, 1.0, math.inf, 1.0, batches=2)
    assert (outcome.loss, outcome.score, outcome.interval, outcome.passed) == ("inf", "0.000000", None, 3)
    assert outcome.batch_losses == ("1.000000", "inf")


def test_batches_are_parts_of_the_task_set_in_order() -> None:
    """Of seven samples in three batches the first has three; categories do not matter."""
    outcome = total(1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 9.0, batches=3, categories="abababa")
    assert outcome.batch_losses == ("2.000000", "5.000000", "8.500000")


def test_interval_is_that_of_the_loss() -> None:
    outcome = total(*[0.1 * (i % 10) for i in range(200)])
    assert outcome.interval is not None and outcome.loss is not None
    low, high = map(float, outcome.interval)
    assert low < float(outcome.score) < high
    assert 0.3 < -math.log(high) < float(outcome.loss) < -math.log(low) < 0.6
    assert total(1.0, 2.0, seed=None).interval is None


def test_no_tasks_have_no_loss() -> None:
    outcome = aggregate([], seed="s", scorer=LOSS)
    assert (outcome.loss, outcome.batch_losses, outcome.score) == (None, (), "0.000000")


def test_other_scorers_have_no_loss() -> None:
    verdicts = [Verdict(id="t", category="c", passed=True, score=1.0)]
    outcome = aggregate(verdicts, seed="s")
    assert (outcome.loss, outcome.batch_losses, outcome.in_words) == (None, (), "1 of 1 tasks passed")
    assert "loss" not in verdicts[0].model_dump_json()


@pytest.mark.parametrize("scorer", [s.value for s in BuiltinScorer if s != BuiltinScorer.LOSS])
def test_other_scorers_fail_a_task_that_has_only_a_reference(scorer: str) -> None:
    tasks = [task(0), task(1)]
    answers = [Response(id="t0", text="[]", finish_reason="stop", prompt_tokens=1, completion_tokens=1)]
    verdicts = score(tasks, answers, scorer=scorer)
    assert [(v.passed, v.score, v.error) for v in verdicts] == [
        (False, 0.0, "no_ground_truth"),
        (False, 0.0, "no_response"),
    ]
    assert "scorer Loss" in verdicts[0].detail


def test_loss_needs_a_reference_of_a_task_with_calls() -> None:
    asked = task(0, None).model_copy(update={"expects": Expects.CALLS, "ground_truth": [{"f": {}}]})
    answers = [Response(id="t0", text="[f()]", finish_reason="stop", prompt_tokens=1, completion_tokens=1)]
    (verdict,) = score([asked], answers, scorer=LOSS)
    assert (verdict.error, verdict.loss) == ("no_reference", math.inf)
