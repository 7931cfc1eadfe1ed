"""Rounds judged by scorer Loss: losses from summary to status, ranks by loss, and the Job's document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.evalround import ModelResult, TaskSetStatus
from bitagent_crds.evaluation import LossParameters
from bitagent_crds.jobs import ANY_JOB, EvaluateJob, EvaluateSummary, termination_message
from bitagent_crds.layout import evaluation_key
from bitagent_operator.plan.evaluations import Evaluation
from bitagent_operator.plan.ranking import best, rank
from bitagent_operator.pods import evaluate_job

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan

DIGEST = "sha256:" + "1".rjust(64, "0")
BATCHES = ["0.100000", "inf"]


def result(model: str, score: str | None, loss: str | None, state: str = "Succeeded") -> ModelResult:
    return ModelResult.model_validate({"model": model, "score": score, "loss": loss, "state": state})


def test_losses_reach_the_status(make: Make, plan: Plan) -> None:
    job = make.evaluation(evaluation_key(DIGEST))
    summary = {"reason": "Evaluated", "score": "0.870000", "loss": "0.139262", "batchLosses": BATCHES}
    pod = make.pod(job, code=0, message=termination_message(EvaluateSummary.model_validate(summary)), at=50)
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=[pod])
    (entry,) = found.status.results
    assert (entry.score, entry.loss, entry.batch_losses, entry.rank) == ("0.870000", "0.139262", BATCHES, 1)
    assert found.status.best == "a loss 0.139262"


def test_losses_move_with_the_owner(make: Make, plan: Plan) -> None:
    done = {
        "state": "Succeeded", "reason": "Evaluated", "score": "0.870000", "weightsDigest": DIGEST, "attempts": 1,
        "commit": "b" * 40, "loss": "0.139262", "batchLosses": BATCHES,
    }  # fmt: skip
    observed = make.started("copy", "first", "z", results={"copy": done})
    models = [make.model("copy", fetched=True, commit_block=9), make.model("first", fetched=True, commit_block=1)]
    found = plan(observed, [*models, make.model("z")]).results
    assert (found["first"].loss, found["first"].batch_losses) == ("0.139262", BATCHES)
    assert (found["copy"].loss, found["copy"].batch_losses) == (None, None)
    assert ModelResult.model_validate(found["copy"].to_wire()) == found["copy"]


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
    found = [result(f"m{i}", *entry, state) for i, (entry, state) in enumerate(zip(entries, states, strict=True))]
    assert [r.rank for r in rank(found)] == ranks
    assert best(found) == leader


def test_the_job_says_how_losses_are_measured(make: Make) -> None:
    work = Evaluation("k" * 12, 1, make.model("a", fetched=True), "a" * 40, DIGEST)
    tasks = TaskSetStatus.model_validate(make.TASK_SET)

    def document(**evaluation: Any) -> EvaluateJob:
        job = evaluate_job.build(make.config(), make.round(evaluation=evaluation), work, tasks)
        parsed = ANY_JOB.validate_json(job["spec"]["template"]["metadata"]["annotations"]["bitagent.io/job"])
        assert isinstance(parsed, EvaluateJob)
        return parsed

    measured = document(scorer="Loss", loss={"sequenceLength": 512, "batches": 4})
    assert (measured.scorer, measured.loss) == ("Loss", LossParameters(sequence_length=512, batches=4))
    assert document().loss is None
