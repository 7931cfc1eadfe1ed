"""Evaluations of a round: Jobs within the slots, the results of their ends, and the owner of equal weights."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import EvaluateSummary, termination_message
from bitagent_crds.model_result import ModelResult
from bitagent_operator.plan.identity import not_admitted
from bitagent_operator.plan.rounds.attempts import Update
from bitagent_operator.plan.rounds.round import BATCH
from bitagent_operator.plan.shares import Claim, Share

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make, Plan


def test_slots_bound_what_runs(make: Make, plan: Plan) -> None:
    models = [make.model(f"m{i}", fetched=True, weights=str(i)) for i in range(5)]
    observed = make.started(*(m.meta.name for m in models), workload={"parallelism": 2})
    first = plan(observed, models)
    assert [e.entry.model for e in first.evaluate] == ["m0", "m1"]
    assert first.states["m2"] == ("Pending", "WaitingForSlot")
    running = [make.evaluation(make.key("0"), active=1), make.evaluation(make.key("1"), active=1)]
    assert plan(observed, models, jobs=running, pods=[make.pod(job) for job in running]).evaluate == ()
    pods = [make.pod(running[0], code=0, message=make.scored()), make.pod(running[1])]
    assert [e.entry.model for e in plan(observed, models, jobs=running, pods=pods).evaluate] == ["m2"]


@pytest.mark.parametrize(
    ("now", "pod", "shares", "left"),
    [
        pytest.param(59, None, True, (2, 0, True), id="its pods may still come"),
        pytest.param(60, None, True, (1, 0, False), id="its pods are refused: its slot is for other rounds"),
        pytest.param(60, {"waiting": ("ContainerCreating", "")}, True, (2, 0, False), id="it has a pod"),
        pytest.param(60, None, False, (2, 1, False), id="no shared slots"),
    ],
)
def test_a_job_without_pods_leaves_its_shared_slot(
    make: Make,
    plan: Plan,
    now: float,
    pod: dict[str, Any] | None,
    shares: bool,
    left: tuple[int, int, bool],
) -> None:
    models = [make.model(f"m{i}", fetched=True, weights=str(i)) for i in range(3)]
    jobs = [make.evaluation(make.key("0"), started=0), make.evaluation(make.key("1"), started=0)]
    pods = [make.pod(jobs[0]), *([make.pod(jobs[1], **pod)] if pod is not None else [])]
    share = Share(2, Claim("r", 1, 0, 0, make.at(0))) if shares else None
    observed = make.started(*(m.meta.name for m in models), workload={"parallelism": 3})
    found = plan(
        observed,
        models,
        jobs=jobs,
        pods=pods,
        now=now,
        share=share,
        events=dict.fromkeys(each.meta.uid for each in (*jobs, *pods)),
    )
    assert (found.held, len(found.evaluate), found.requeue_after == 1.0) == left
    assert found.waits_for_slots == (1 if left[0] == 2 and shares else 0)


def test_a_queue_gets_all_at_once_in_batches(make: Make, plan: Plan) -> None:
    models = [make.model(f"m{i:03}", fetched=True, weights=str(i)) for i in range(BATCH + 6)]
    observed = make.started(*(m.meta.name for m in models), workload={"queueName": "gpu", "parallelism": 1})
    found = plan(observed, models)
    assert (len(found.evaluate), found.requeue_after) == (BATCH, 0.0)


def test_without_tasks_nothing_runs(make: Make, plan: Plan) -> None:
    found = plan(make.started("a", tasks=False), [make.model("a", fetched=True)])
    assert found.evaluate == ()


def test_a_score(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"))
    pods = [make.pod(job, code=0, message=make.scored("0.250000"), at=50)]
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=pods)
    result = found.results["a"]
    assert (result.state, result.score, result.rank, result.finished_at) == (
        "Succeeded",
        "0.250000",
        1,
        make.at(50),
    )
    assert found.status.phase == "Complete"
    assert [n.reason for n in found.events] == ["ModelEvaluated", "RoundComplete"]


def test_a_models_fault_scores_zero(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), ended="Failed", reason="PodFailurePolicy")
    pods = [make.pod(job, code=78, message=make.evaluate_fault("NonFiniteWeights"))]
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=pods)
    result = found.results["a"]
    assert (result.state, result.reason, result.score, result.rank) == (
        "ModelFault",
        "NonFiniteWeights",
        "0.000000",
        1,
    )
    assert found.status.phase == "Complete"


def test_a_models_fault_without_a_summary_scores_zero_too(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), ended="Failed", reason="PodFailurePolicy")
    pods = [make.pod(job, code=78, message="Segmentation fault", at=50)]
    result = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=pods).results["a"]
    assert (result.state, result.reason, result.score) == ("ModelFault", "ModelLoadFailed", "0.000000")
    assert (result.passed, result.finished_at) == (0, make.at(50))
    assert "Segmentation fault" in result.message


def test_an_infrastructure_fault_fails_the_round_at_its_end(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), ended="Failed", reason="BackoffLimitExceeded")
    models = [make.model("a", fetched=True), make.model("b", fetched=True, weights="2")]
    found = plan(make.started("a", "b"), models, jobs=[job])
    assert found.states == {"a": ("InfraFault", "AttemptsExhausted"), "b": ("Pending", "WaitingForSlot")}
    assert found.status.finished_at is None
    other = make.evaluation(make.key("2"))
    pods = [make.pod(other, code=0, message=make.scored())]
    end = plan(make.started("a", "b"), models, jobs=[job, other], pods=pods)
    assert end.condition("Failed").reason == "InfrastructureFaults"
    assert end.condition("Complete").status == "False"
    assert end.results["b"].rank is None


def test_a_lost_result_is_evaluated_again_until_attempts_are_used_up(make: Make, plan: Plan) -> None:
    models = [make.model("a", fetched=True)]
    jobs = [make.evaluation(make.key("1"), ended="Complete")]
    assert plan(make.started("a"), models, jobs=jobs, sure=False).reads.pods_of_jobs == {jobs[0].meta.uid}
    assert [e.attempt for e in plan(make.started("a"), models, jobs=jobs).evaluate] == [2]
    jobs += [make.evaluation(make.key("1"), attempt=n, ended="Complete") for n in (2, 3)]
    assert plan(make.started("a"), models, jobs=jobs).states == {"a": ("InfraFault", "ResultLost")}


def test_a_summary_without_a_score_is_no_result(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), ended="Complete")
    pods = [make.pod(job, code=0, message=make.evaluate_fault("Evaluated"))]
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=pods)
    assert [e.attempt for e in found.evaluate] == [2]
    assert found.results["a"].finished_at is None


def test_what_is_recorded_stays_without_job_and_pod(make: Make, plan: Plan) -> None:
    done = {"a": {"state": "Succeeded", "score": "0.500000", "weightsDigest": make.digest("1")}}
    found = plan(make.started("a", "b", results=done), [make.model("a", fetched=True), make.model("b")])
    assert found.results["a"].score == "0.500000"
    assert found.evaluate == ()


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        pytest.param({"waiting": ("ImagePullBackOff", "no image")}, "ImagePullFailed", id="image"),
        pytest.param({"unschedulable": -1000}, "Unschedulable", id="no node"),
    ],
)
def test_delays_are_reported_while_it_waits(make: Make, plan: Plan, pod: dict[str, Any], reason: str) -> None:
    job = make.evaluation(make.key("1"), active=1)
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=[make.pod(job, **pod)])
    assert found.states == {"a": ("Pending", reason)}


def test_the_plan_looks_again_when_a_pod_will_have_waited_too_long(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"), active=1)
    pods = [make.pod(job, unschedulable=50)]
    assert plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=pods).requeue_after == 250


def test_the_earliest_commit_owns(make: Make, plan: Plan) -> None:
    models = [
        make.model("a", fetched=True, commit_block=20),
        make.model("b", fetched=True, commit_block=10),
        make.model("c", fetched=True),
    ]
    found = plan(make.started("a", "b", "c"), models)
    assert [e.entry.model for e in found.evaluate] == ["b"]
    assert {r.model: r.duplicate_of for r in found.status.results} == {"a": "b", "b": None, "c": "b"}
    assert found.states["a"] == ("Duplicate", "DuplicateWeights")


@pytest.mark.parametrize(
    ("created", "owner"), [pytest.param((5, 1), "b", id="older object"), pytest.param((1, 1), "a", id="name")]
)
def test_ties(make: Make, plan: Plan, created: tuple[int, int], owner: str) -> None:
    models = [make.model(n, fetched=True, created=c) for n, c in zip("ab", created, strict=True)]
    found = plan(make.started("a", "b"), models)
    assert [e.entry.model for e in found.evaluate] == [owner]


FILES, OTHER_FILES = "sha256:" + "5" * 64, "sha256:" + "6" * 64


@pytest.mark.parametrize(
    ("files", "commit"),
    [pytest.param(FILES, "b" * 40, id="the same files"), pytest.param(None, "a" * 40, id="the same commit")],
)
def test_a_late_first_takes_over_the_score_of_the_same_identity(
    make: Make, plan: Plan, files: str | None, commit: str
) -> None:
    done = {"state": "Succeeded", "reason": "Evaluated", "score": "0.500000", "attempts": 1, "node": "n1"}
    done |= make.admitted("copy", commit=commit, modelDigest=files)
    observed = make.started("copy", "first", "z", results={"copy": done})
    facts = {"modelDigest": files} if files else {}
    models = [make.model(n, fetched=True, commit_block=c, facts=facts) for n, c in (("copy", 9), ("first", 1))]
    found = plan(observed, [*models, make.model("z")])
    assert found.states["copy"] == ("Duplicate", "DuplicateWeights")
    first = found.results["first"]
    assert (first.score, first.attempts, first.node) == ("0.500000", 1, "n1")
    assert found.results["copy"].score is None
    assert found.evaluate == ()


@pytest.mark.parametrize(
    ("first", "copy"),
    [
        pytest.param({"facts": {"modelDigest": OTHER_FILES}}, {"modelDigest": FILES}, id="another tokenizer"),
        pytest.param({}, {"commit": "b" * 40}, id="unknown files of another commit"),
        pytest.param({"facts": {"modelDigest": FILES}}, {"modelDigest": FILES, "promptFormat": "Bfcl"}, id="format"),
        pytest.param(
            {"facts": {"modelDigest": FILES}}, {"modelDigest": FILES, "engine": {"dtype": "Float32"}}, id="engine"
        ),
    ],
)
def test_a_score_never_moves_to_a_model_with_other_files_or_choices(
    make: Make, plan: Plan, first: dict[str, Any], copy: dict[str, Any]
) -> None:
    """Or a rival's weights with a broken tokenizer, committed earlier, would be his score."""
    done = {"state": "Succeeded", "reason": "Evaluated", "score": "0.100000"} | make.admitted("copy", **copy)
    models = [
        make.model("copy", fetched=True, commit_block=9),
        make.model("first", fetched=True, commit_block=1, **first),
    ]
    found = plan(make.started("copy", "first", results={"copy": done}), models)
    assert found.states == {"copy": ("Duplicate", "DuplicateWeights"), "first": ("Pending", "WaitingForSlot")}
    (start,) = found.evaluate
    assert (start.entry.model, start.key) == ("first", found.results["first"].evaluation_key)
    assert start.key != ModelResult.model_validate(done).evaluation_key
    assert [r.score for r in found.status.results] == [None, None]


def test_what_is_evaluated_is_frozen_at_admission(make: Make, plan: Plan) -> None:
    model = make.model("a", fetched=True, commit_block=7, facts={"modelDigest": FILES})
    found = plan(make.started("a", evaluation={"promptFormat": "Hammer"}), [model]).results["a"]
    assert (found.repo, found.model_digest, found.prompt_format) == ("org/a", FILES, "Hammer")
    assert (found.hotkey, found.model_uid) == ("5" * 48, "uid-a")
    assert found.engine == model.spec.engine


def test_another_object_of_the_same_name_takes_no_part(make: Make, plan: Plan) -> None:
    """Deleted and created again, with another source: what was evaluated stays, what waited is out."""
    entries = {
        "done": make.admitted("done", weights="2") | {"state": "Succeeded", "score": "0.500000"},
        "waits": make.admitted("waits"),
    }
    models = [make.model("done", fetched=True, weights="2", uid="new"), make.model("waits", fetched=True, uid="new")]
    found = plan(make.started("done", "waits", results=entries), models)
    assert found.states["waits"] == ("Rejected", "ModelReplaced")
    assert found.results["done"].score == "0.500000"
    assert found.status.phase == "Complete"


def test_a_duplicate_inherits_when_the_owner_is_deleted(make: Make, plan: Plan) -> None:
    digest = make.digest("1")
    duplicate = {"state": "Duplicate", "duplicateOf": "a", "finishedAt": "2026-01-01T00:00:07Z"}
    entries = {
        "a": {"state": "Running", "weightsDigest": digest, "commit": "a" * 40},
        "b": {"weightsDigest": digest, "commit": "a" * 40} | duplicate,
    }
    job = make.evaluation(make.key("1"), active=1)
    pods = [make.pod(job)]
    found = plan(
        make.started("a", "b", results=entries), [make.model("b", fetched=True)], jobs=[job], pods=pods, gone=["a"]
    )
    assert found.states == {"a": ("Rejected", "ModelDeleted"), "b": ("Running", "Evaluating")}
    assert (found.results["b"].duplicate_of, found.results["b"].finished_at) == (None, None)
    assert found.delete == ()


def test_an_owner_that_is_deleted_after_its_evaluation_keeps_the_score(make: Make, plan: Plan) -> None:
    """Even against a copy that claims the first block of all, which then was not there when it counted."""
    digest = make.digest("1")
    entries = {
        "first": {"state": "Succeeded", "score": "0.500000", "weightsDigest": digest, "commit": "a" * 40},
        "copy": {"state": "Duplicate", "weightsDigest": digest, "commit": "a" * 40, "duplicateOf": "first"},
    }
    models = [make.model("copy", fetched=True, commit_block=0)]
    found = plan(make.started("copy", "first", results=entries), models, gone=["first"])
    assert (found.results["first"].score, found.results["copy"].score) == ("0.500000", None)


def test_a_duplicate_is_dated_once(make: Make, plan: Plan) -> None:
    """Or each pass would write the status again."""
    models = [make.model(n, fetched=True) for n in ("a", "b")]
    digest = make.digest("1")
    known = {
        "state": "Duplicate",
        "weightsDigest": digest,
        "duplicateOf": "a",
        "finishedAt": "2026-01-01T00:00:07Z",
    }
    assert plan(make.started("a", "b"), models).results["b"].finished_at == make.at(100)
    assert plan(make.started("a", "b", results={"b": known}), models).results["b"].finished_at == make.at(7)


def test_a_duplicate_that_is_deleted_stays_one(make: Make, plan: Plan) -> None:
    """Though a deleted owner keeps its result, deleting a copy must not make it the owner."""
    digest = make.digest("1")
    entries = {
        "copy": {"state": "Duplicate", "weightsDigest": digest, "commit": "a" * 40, "duplicateOf": "first"},
        "first": {"state": "Succeeded", "score": "0.500000", "weightsDigest": digest, "commit": "a" * 40},
    }
    observed, models = make.started("copy", "first", results=entries), [make.model("first", fetched=True)]
    assert plan(observed, models).reads.models == {"copy"}
    found = plan(observed, models, gone=["copy"])
    assert (found.results["copy"].state, found.results["copy"].score) == ("Duplicate", None)
    assert (found.results["first"].state, found.results["first"].score) == ("Succeeded", "0.500000")


def test_losses_reach_the_status(make: Make, plan: Plan) -> None:
    job = make.evaluation(make.key("1"))
    summary = {"reason": "Evaluated", "score": "0.870000", "loss": "0.139262", "batchLosses": ["0.100000", "inf"]}
    summary |= {"interval": ["0.850000", "0.890000"]}
    pod = make.pod(job, code=0, message=termination_message(EvaluateSummary.model_validate(summary)), at=50)
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=[pod])
    (entry,) = found.status.results
    assert (entry.score, entry.loss, entry.batch_losses, entry.rank) == ("0.870000", "0.139262", ["0.100000", "inf"], 1)
    assert entry.interval == ["0.850000", "0.890000"]
    assert found.status.best == "a loss 0.139262"


def test_losses_move_with_the_owner(make: Make, plan: Plan) -> None:
    done = make.admitted("copy") | {
        "state": "Succeeded",
        "reason": "Evaluated",
        "score": "0.870000",
        "attempts": 1,
        "loss": "0.139262",
        "batchLosses": ["0.100000", "inf"],
    }
    observed = make.started("copy", "first", "z", results={"copy": done})
    models = [make.model("copy", fetched=True, commit_block=9), make.model("first", fetched=True, commit_block=1)]
    found = plan(observed, [*models, make.model("z")]).results
    assert (found["first"].loss, found["first"].batch_losses) == ("0.139262", ["0.100000", "inf"])
    assert (found["copy"].loss, found["copy"].batch_losses) == (None, None)
    assert ModelResult.model_validate(found["copy"].to_wire()) == found["copy"]


def test_an_update_has_every_field_of_a_result_but_those_of_the_model(make: Make) -> None:
    """Or a new field would be lost when the owner changes."""
    own = {"model", "key", "duplicate_of", "near_copy_of", "evidence", "rank", "progress"}
    own |= set(not_admitted(make.model("a")))
    assert {field.name for field in fields(Update)} | own == set(ModelResult.model_fields)


def test_a_lost_result_keeps_what_is_known_of_its_attempts(make: Make, plan: Plan) -> None:
    running = {"a": make.admitted("a") | {"state": "Running", "attempts": 1}}
    jobs = [make.evaluation(make.key("1"), ended="Complete")]
    found = plan(make.started("a", results=running), [make.model("a", fetched=True)], jobs=jobs)
    assert (found.states["a"], found.results["a"].attempts) == (("Pending", "WaitingForSlot"), 1)


@pytest.mark.parametrize(
    ("code", "summary", "expected"),
    [
        pytest.param(78, {"reason": "too_cold"}, ("ModelFault", "ModelLoadFailed"), id="no form of a reason"),
        pytest.param(78, {"reason": "Cold\n"}, ("ModelFault", "ModelLoadFailed"), id="a reason with a line break"),
        pytest.param(78, {"reason": "TooCold"}, ("ModelFault", "TooCold"), id="a later reason"),
        pytest.param(
            0,
            {"reason": "Evaluated", "score": "0.500000", "batchLosses": ["1.000000"] * 33},
            ("Pending", "WaitingForSlot"),
            id="more losses than a status holds",
        ),
    ],
)
def test_what_a_summary_says_can_be_written_to_a_status(
    make: Make, plan: Plan, code: int, summary: dict[str, Any], expected: tuple[str, str]
) -> None:
    ended = {"ended": "Failed", "reason": "PodFailurePolicy"} if code else {"ended": "Complete"}
    job = make.evaluation(make.key("1"), **ended)
    pods = [make.pod(job, code=code, message=json.dumps(summary))]
    found = plan(make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=pods)
    assert found.states["a"] == expected
