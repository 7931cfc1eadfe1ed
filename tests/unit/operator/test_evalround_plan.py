"""Plans for one EvalRound."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.conditions import Condition
from bitagent_crds.evalround import ModelResult
from bitagent_crds.layout import evaluation_key
from bitagent_operator.observed import JobObject, ModelObject, PodObject, RoundObject
from bitagent_operator.plan import evalround
from bitagent_operator.plan.evalround import BATCH, RoundPlan, RoundSettings
from bitagent_operator.plan.questions import Answers

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make


def plan(
    make: Make,
    observed: RoundObject,
    models: Iterable[ModelObject] = (),
    *,
    jobs: Iterable[JobObject] = (),
    pods: Iterable[PodObject] = (),
    selected: bool = False,
    gone: Iterable[str] = (),
    sure: bool = True,
    now: float = 100,
) -> RoundPlan:
    jobs = list(jobs)
    return evalround.plan(
        observed,
        models={m.meta.name: m for m in models},
        jobs=jobs,
        pods=list(pods),
        settings=RoundSettings("artifacts", timedelta(seconds=300)),
        answers=Answers(frozenset(j.meta.uid for j in jobs) if sure else frozenset(), frozenset(gone), selected),
        now=make.at(now),
    )


def results(found: RoundPlan) -> dict[str, ModelResult]:
    return {r.model: r for r in found.status.results}


def states(found: RoundPlan) -> dict[str, tuple[str, str]]:
    return {r.model: (r.state.value, r.reason.value) for r in found.status.results}


def condition(found: RoundPlan, kind: str) -> Condition:
    return next(c for c in found.status.conditions if c.type == kind)


def key(weights: str) -> str:
    return evaluation_key("sha256:" + weights.rjust(64, "0"))


class TestStart:
    def test_the_set_is_frozen_from_a_fresh_list_only(self, make: Make) -> None:
        assert plan(make, make.round(), [make.model("a")]).questions.selection

    def test_the_set_is_sorted_and_pending(self, make: Make) -> None:
        models = [make.model("b"), make.model("a"), make.model("c", suspend=True)]
        found = plan(make, make.round(), models, selected=True)
        assert states(found) == {"a": ("Pending", "Pending"), "b": ("Pending", "Pending")}
        assert found.status.started_at == make.at(100)
        assert (found.evaluate, found.tasks) == ((), None)

    def test_a_round_that_cannot_start_tells(self, make: Make) -> None:
        assert [n.reason for n in plan(make, make.round(), selected=True).notices] == ["RoundFailed"]

    def test_labels_select(self, make: Make) -> None:
        models = [make.model("a", labels={"x": "1", "y": "1"}), make.model("b", labels={"x": "2"})]
        found = plan(make, make.round(models={"matchLabels": {"x": "1"}}), models, selected=True)
        assert list(results(found)) == ["a"]

    def test_a_listed_name_that_does_not_exist_stays_in_the_set(self, make: Make) -> None:
        found = plan(make, make.round(names=["a", "ghost"]), [make.model("a")], selected=True)
        assert list(results(found)) == ["a", "ghost"]

    def test_no_models_fail_the_round(self, make: Make) -> None:
        found = plan(make, make.round(), selected=True)
        assert (condition(found, "Failed").status, condition(found, "Failed").reason) == ("True", "NoModels")
        assert found.status.finished_at is not None

    def test_a_suspended_round_does_not_start(self, make: Make) -> None:
        found = plan(make, make.round(suspend=True), [make.model("a")])
        assert not found.questions
        assert (found.status.phase, found.status.started_at) == ("Suspended", None)

    def test_models_applied_later_never_enter(self, make: Make) -> None:
        found = plan(make, make.started("a"), [make.model("a", fetched=True), make.model("b", fetched=True)])
        assert list(results(found)) == ["a"]


class TestModels:
    @pytest.mark.parametrize(
        ("model", "state"),
        [
            pytest.param({}, ("Pending", "WaitingForModel"), id="not fetched yet"),
            pytest.param({"fetched": True}, ("Pending", "WaitingForTasks"), id="fetched"),
            pytest.param(
                {"fetched": True, "revision": "main", "at": -61}, ("Pending", "WaitingForModel"), id="branch, not anew"
            ),
            pytest.param({"fetched": "CorruptWeights"}, ("Rejected", "CorruptWeights"), id="unsafe"),
            pytest.param({"fetched": "HubUnavailable"}, ("InfraFault", "HubUnavailable"), id="hub down"),
            pytest.param({"fetched": "HubUnavailable", "at": -1}, ("Pending", "WaitingForModel"), id="hub was down"),
            pytest.param({"suspend": True}, ("Rejected", "Suspended"), id="suspended meanwhile"),
            pytest.param({"fetched": True, "generation": 2}, ("Pending", "WaitingForModel"), id="spec changed"),
        ],
    )
    def test_way_to_admission(self, make: Make, model: dict[str, Any], state: tuple[str, str]) -> None:
        found = plan(make, make.started("a", "z", tasks=False), [make.model("a", **model), make.model("z")])
        assert states(found)["a"] == state

    def test_deleted_is_only_believed_after_a_live_look(self, make: Make) -> None:
        assert plan(make, make.started("a")).questions.models == {"a"}
        assert states(plan(make, make.started("a"), gone=["a"])) == {"a": ("Rejected", "ModelDeleted")}

    def test_a_deleted_model_keeps_its_evaluation(self, make: Make) -> None:
        done = {
            "a": {
                "state": "Succeeded",
                "reason": "Evaluated",
                "score": "0.500000",
                "weightsDigest": "sha256:" + "1" * 64,
            }
        }
        found = plan(make, make.started("a", results=done))
        assert results(found)["a"].score == "0.500000"
        assert found.status.phase == "Complete"

    def test_a_running_evaluation_of_a_deleted_model_is_stopped(self, make: Make) -> None:
        running = {"a": {"state": "Running", "commit": "a" * 40, "weightsDigest": "sha256:" + "1".rjust(64, "0")}}
        job = make.evaluation(key("1"))
        found = plan(make, make.started("a", "b", results=running), [make.model("b")], jobs=[job], gone=["a"])
        assert states(found)["a"] == ("Rejected", "ModelDeleted")
        assert [d.uid for d in found.delete] == [job.meta.uid]

    def test_an_admitted_model_stays_while_another_round_fetches_it_anew(self, make: Make) -> None:
        fetching = {"conditions": [make.condition("Fetched", "Unknown", "Fetching")]}
        admitted = {"a": {"commit": "a" * 40, "weightsDigest": "sha256:" + "1".rjust(64, "0")}}
        found = plan(make, make.started("a", results=admitted), [make.model("a", revision="main", status=fetching)])
        assert states(found)["a"] == ("Pending", "WaitingForSlot")
        assert [e.model.meta.name for e in found.evaluate] == ["a"]

    def test_the_rounds_rules_reject(self, make: Make) -> None:
        models = [make.model("a", fetched=True), make.model("b", fetched=True, weights="2", facts={"parameters": 999})]
        found = plan(make, make.started("a", "b", admission={"maxParameters": 999}), models)
        assert states(found) == {"a": ("Rejected", "TooManyParameters"), "b": ("Pending", "WaitingForSlot")}
        assert [e.model.meta.name for e in found.evaluate] == ["b"]

    @pytest.mark.parametrize(
        ("reason", "state"), [("CorruptWeights", "Rejected"), ("HubUnavailable", "InfraFault")], ids=["unsafe", "hub"]
    )
    def test_facts_of_an_earlier_fetch_do_not_admit(self, make: Make, reason: str, state: str) -> None:
        before = {"a": {"commit": "a" * 40, "weightsDigest": "sha256:" + "1".rjust(64, "0")}}
        resolved = {"resolved": make.facts() | {"at": "2026-01-01T00:00:00Z"}}
        found = plan(make, make.started("a", results=before), [make.model("a", fetched=reason, status=resolved)])
        assert states(found)["a"] == (state, reason)
        assert (results(found)["a"].commit, results(found)["a"].weights_digest) == (None, None)
        assert found.evaluate == ()

    def test_an_admitted_model_whose_spec_changes_waits_for_its_new_files(self, make: Make) -> None:
        before = {"a": {"commit": "a" * 40, "weightsDigest": "sha256:" + "1".rjust(64, "0")}}
        found = plan(make, make.started("a", results=before), [make.model("a", fetched=True, generation=2)])
        assert states(found)["a"] == ("Pending", "WaitingForModel")
        assert (results(found)["a"].weights_digest, found.evaluate) == (None, ())

    def test_a_model_that_is_being_fetched_for_the_first_time_is_not_taken_for_admitted(self, make: Make) -> None:
        fetching = {"conditions": [make.condition("Fetched", "Unknown", "Fetching")]}
        found = plan(make, make.started("a"), [make.model("a", status=fetching)])
        assert states(found)["a"] == ("Pending", "WaitingForModel")

    def test_what_runs_is_frozen(self, make: Make) -> None:
        """Other weights under the same name cannot take over a result, nor start another evaluation."""
        running = {"a": {"state": "Running", "commit": "b" * 40, "weightsDigest": "sha256:" + "1".rjust(64, "0")}}
        job = make.evaluation(key("1"), active=1)
        found = plan(make, make.started("a", results=running), [make.model("a", fetched=True, weights="2")], jobs=[job])
        assert states(found)["a"] == ("Running", "Evaluating")
        assert (results(found)["a"].commit, results(found)["a"].weights_digest) == (
            "b" * 40,
            running["a"]["weightsDigest"],
        )
        assert (found.evaluate, found.delete) == ((), ())

    def test_a_model_that_is_being_deleted_is_out(self, make: Make) -> None:
        model = make.model("a", fetched=True, deletionTimestamp="2026-01-01T00:00:00Z")
        found = plan(make, make.started("a", "b"), [model, make.model("b")])
        assert states(found)["a"] == ("Rejected", "ModelDeleted")
        assert found.evaluate == ()


class TestTaskSet:
    def test_it_is_built_while_models_are_fetched(self, make: Make) -> None:
        assert plan(make, make.started("a", tasks=False), [make.model("a")]).tasks == 1

    @pytest.mark.parametrize("spec", [{}, {"workload": {"queueName": "gpu"}}], ids=["slots", "queue"])
    def test_its_job_is_no_evaluation_that_nobody_wants(self, make: Make, spec: dict[str, Any]) -> None:
        job = make.evaluation("tasks", active=1)
        found = plan(make, make.started("a", tasks=False, **spec), [make.model("a", fetched=True)], jobs=[job])
        assert (found.delete, found.tasks) == ((), None)

    def test_ready(self, make: Make) -> None:
        job = make.evaluation("tasks")
        pods = [make.pod(job, code=0, message=make.built())]
        found = plan(make, make.started("a", tasks=False), [make.model("a", fetched=True)], jobs=[job], pods=pods)
        assert found.status.task_set is not None
        assert found.status.task_set.uri == "pvc://artifacts/rounds/uid-r/tasks"
        assert condition(found, "TasksReady").status == "True"
        assert len(found.evaluate) == 1

    @pytest.mark.parametrize(
        ("reason", "message", "code", "expected"),
        [
            pytest.param("PodFailurePolicy", '{"reason": "TasksFailed", "message": "m"}', 78, "TasksFailed", id="spec"),
            pytest.param("BackoffLimitExceeded", "", 1, "InfrastructureFaults", id="infrastructure"),
        ],
    )
    def test_failed(self, make: Make, reason: str, message: str, code: int, expected: str) -> None:
        job = make.evaluation("tasks", ended="Failed", reason=reason)
        pods = [make.pod(job, code=code, message=message)]
        found = plan(make, make.started("a", tasks=False), [make.model("a", fetched=True)], jobs=[job], pods=pods)
        assert (condition(found, "Failed").status, condition(found, "Failed").reason) == ("True", expected)
        assert found.status.finished_at is not None
        assert found.evaluate == ()

    def test_lost_is_built_again(self, make: Make) -> None:
        job = make.evaluation("tasks", ended="Complete")
        assert plan(make, make.started("a", tasks=False), [make.model("a")], jobs=[job]).tasks == 2


class TestEvaluations:
    def test_slots_bound_what_runs(self, make: Make) -> None:
        models = [make.model(f"m{i}", fetched=True, weights=str(i)) for i in range(5)]
        observed = make.started(*(m.meta.name for m in models), workload={"parallelism": 2})
        first = plan(make, observed, models)
        assert [e.model.meta.name for e in first.evaluate] == ["m0", "m1"]
        assert states(first)["m2"] == ("Pending", "WaitingForSlot")
        running = [make.evaluation(key("0"), active=1), make.evaluation(key("1"), active=1)]
        assert plan(make, observed, models, jobs=running).evaluate == ()
        pods = [make.pod(running[0], code=0, message=make.scored())]
        assert [e.model.meta.name for e in plan(make, observed, models, jobs=running, pods=pods).evaluate] == ["m2"]

    def test_a_queue_gets_all_at_once_in_batches(self, make: Make) -> None:
        models = [make.model(f"m{i:03}", fetched=True, weights=str(i)) for i in range(BATCH + 6)]
        observed = make.started(*(m.meta.name for m in models), workload={"queueName": "gpu", "parallelism": 1})
        found = plan(make, observed, models)
        assert (len(found.evaluate), found.again) == (BATCH, 0.0)

    def test_without_tasks_nothing_runs(self, make: Make) -> None:
        found = plan(make, make.started("a", tasks=False), [make.model("a", fetched=True)])
        assert found.evaluate == ()

    def test_a_score(self, make: Make) -> None:
        job = make.evaluation(key("1"))
        pods = [make.pod(job, code=0, message=make.scored("0.250000"), at=50)]
        found = plan(make, make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=pods)
        result = results(found)["a"]
        assert (result.state, result.score, result.rank, result.finished_at) == (
            "Succeeded",
            "0.250000",
            1,
            make.at(50),
        )
        assert found.status.phase == "Complete"
        assert [n.reason for n in found.notices] == ["ModelEvaluated", "RoundComplete"]

    def test_a_models_fault_scores_zero(self, make: Make) -> None:
        job = make.evaluation(key("1"), ended="Failed", reason="PodFailurePolicy")
        pods = [make.pod(job, code=78, message=make.evaluate_fault("NonFiniteWeights"))]
        found = plan(make, make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=pods)
        result = results(found)["a"]
        assert (result.state, result.reason, result.score, result.rank) == (
            "ModelFault",
            "NonFiniteWeights",
            "0.000000",
            1,
        )
        assert found.status.phase == "Complete"

    def test_a_models_fault_without_a_summary_scores_zero_too(self, make: Make) -> None:
        job = make.evaluation(key("1"), ended="Failed", reason="PodFailurePolicy")
        pods = [make.pod(job, code=78, message="Segmentation fault", at=50)]
        result = results(plan(make, make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=pods))["a"]
        assert (result.state, result.reason, result.score) == ("ModelFault", "ModelLoadFailed", "0.000000")
        assert (result.passed, result.finished_at) == (0, make.at(50))
        assert "Segmentation fault" in result.message

    def test_a_job_that_is_being_deleted_does_not_count(self, make: Make) -> None:
        job = make.evaluation(key("1"), active=1, deletionTimestamp="2026-01-01T00:00:00Z")
        found = plan(make, make.started("a"), [make.model("a", fetched=True)], jobs=[job])
        assert [(e.attempt, e.model.meta.name) for e in found.evaluate] == [(1, "a")]

    def test_an_infrastructure_fault_fails_the_round_at_its_end(self, make: Make) -> None:
        job = make.evaluation(key("1"), ended="Failed", reason="BackoffLimitExceeded")
        models = [make.model("a", fetched=True), make.model("b", fetched=True, weights="2")]
        found = plan(make, make.started("a", "b"), models, jobs=[job])
        assert states(found) == {"a": ("InfraFault", "AttemptsExhausted"), "b": ("Pending", "WaitingForSlot")}
        assert found.status.finished_at is None
        other = make.evaluation(key("2"))
        pods = [make.pod(other, code=0, message=make.scored())]
        end = plan(make, make.started("a", "b"), models, jobs=[job, other], pods=pods)
        assert condition(end, "Failed").reason == "InfrastructureFaults"
        assert condition(end, "Complete").status == "False"
        assert results(end)["b"].rank is None

    def test_a_lost_result_is_evaluated_again_until_attempts_are_used_up(self, make: Make) -> None:
        models = [make.model("a", fetched=True)]
        jobs = [make.evaluation(key("1"), ended="Complete")]
        assert plan(make, make.started("a"), models, jobs=jobs, sure=False).questions.pods_of == {jobs[0].meta.uid}
        assert [e.attempt for e in plan(make, make.started("a"), models, jobs=jobs).evaluate] == [2]
        jobs += [make.evaluation(key("1"), attempt=n, ended="Complete") for n in (2, 3)]
        assert states(plan(make, make.started("a"), models, jobs=jobs)) == {"a": ("InfraFault", "ResultLost")}

    def test_a_summary_without_a_score_is_no_result(self, make: Make) -> None:
        job = make.evaluation(key("1"), ended="Complete")
        pods = [make.pod(job, code=0, message=make.evaluate_fault("Evaluated"))]
        found = plan(make, make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=pods)
        assert [e.attempt for e in found.evaluate] == [2]
        assert results(found)["a"].finished_at is None

    def test_what_is_recorded_stays_without_job_and_pod(self, make: Make) -> None:
        done = {"a": {"state": "Succeeded", "score": "0.500000", "weightsDigest": "sha256:" + "1".rjust(64, "0")}}
        found = plan(make, make.started("a", "b", results=done), [make.model("a", fetched=True), make.model("b")])
        assert results(found)["a"].score == "0.500000"
        assert found.evaluate == ()

    @pytest.mark.parametrize(
        ("pod", "reason"),
        [
            pytest.param({"waiting": ("ImagePullBackOff", "no image")}, "ImagePullFailed", id="image"),
            pytest.param({"unschedulable": -1000}, "Unschedulable", id="no node"),
        ],
    )
    def test_delays_are_reported_while_it_waits(self, make: Make, pod: dict[str, Any], reason: str) -> None:
        job = make.evaluation(key("1"), active=1)
        found = plan(make, make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=[make.pod(job, **pod)])
        assert states(found) == {"a": ("Running", reason)}

    def test_the_plan_looks_again_when_a_pod_will_have_waited_too_long(self, make: Make) -> None:
        job = make.evaluation(key("1"), active=1)
        pods = [make.pod(job, unschedulable=50)]
        assert plan(make, make.started("a"), [make.model("a", fetched=True)], jobs=[job], pods=pods).again == 250


class TestDuplicates:
    def test_the_earliest_commit_owns(self, make: Make) -> None:
        models = [
            make.model("a", fetched=True, commit_block=20),
            make.model("b", fetched=True, commit_block=10),
            make.model("c", fetched=True),
        ]
        found = plan(make, make.started("a", "b", "c"), models)
        assert [e.model.meta.name for e in found.evaluate] == ["b"]
        assert {r.model: r.duplicate_of for r in found.status.results} == {"a": "b", "b": None, "c": "b"}
        assert states(found)["a"] == ("Duplicate", "DuplicateWeights")

    @pytest.mark.parametrize(
        ("created", "owner"), [pytest.param((5, 1), "b", id="older object"), pytest.param((1, 1), "a", id="name")]
    )
    def test_ties(self, make: Make, created: tuple[int, int], owner: str) -> None:
        models = [make.model(n, fetched=True, created=c) for n, c in zip("ab", created, strict=True)]
        found = plan(make, make.started("a", "b"), models)
        assert [e.model.meta.name for e in found.evaluate] == [owner]

    def test_a_late_first_takes_over_the_score(self, make: Make) -> None:
        digest = "sha256:" + "1".rjust(64, "0")
        done = {
            "state": "Succeeded",
            "reason": "Evaluated",
            "score": "0.500000",
            "weightsDigest": digest,
            "attempts": 1,
        }
        observed = make.started("copy", "first", "z", results={"copy": done | {"commit": "b" * 40}})
        models = [make.model("copy", fetched=True, commit_block=9), make.model("first", fetched=True, commit_block=1)]
        found = plan(make, observed, [*models, make.model("z")])
        assert states(found)["copy"] == ("Duplicate", "DuplicateWeights")
        assert (results(found)["first"].score, results(found)["first"].attempts) == ("0.500000", 1)
        assert results(found)["copy"].score is None
        assert found.evaluate == ()

    def test_a_duplicate_inherits_when_the_owner_is_deleted(self, make: Make) -> None:
        digest = "sha256:" + "1".rjust(64, "0")
        entries = {
            "a": {"state": "Running", "weightsDigest": digest, "commit": "a" * 40},
            "b": {"state": "Duplicate", "weightsDigest": digest, "commit": "a" * 40, "duplicateOf": "a"},
        }
        job = make.evaluation(key("1"), active=1)
        found = plan(
            make, make.started("a", "b", results=entries), [make.model("b", fetched=True)], jobs=[job], gone=["a"]
        )
        assert states(found) == {"a": ("Rejected", "ModelDeleted"), "b": ("Running", "Evaluating")}
        assert results(found)["b"].duplicate_of is None
        assert found.delete == ()

    def test_an_owner_that_is_deleted_after_its_evaluation_keeps_the_score(self, make: Make) -> None:
        """Even against a copy that claims the first block of all, which then was not there when it counted."""
        digest = "sha256:" + "1".rjust(64, "0")
        entries = {
            "first": {"state": "Succeeded", "score": "0.500000", "weightsDigest": digest, "commit": "a" * 40},
            "copy": {"state": "Duplicate", "weightsDigest": digest, "commit": "a" * 40, "duplicateOf": "first"},
        }
        models = [make.model("copy", fetched=True, commit_block=0)]
        found = plan(make, make.started("copy", "first", results=entries), models, gone=["first"])
        assert (results(found)["first"].score, results(found)["copy"].score) == ("0.500000", None)

    def test_a_duplicate_is_dated_once(self, make: Make) -> None:
        """Or each pass would write the status anew."""
        models = [make.model(n, fetched=True) for n in ("a", "b")]
        digest = "sha256:" + "1".rjust(64, "0")
        known = {
            "state": "Duplicate",
            "weightsDigest": digest,
            "duplicateOf": "a",
            "finishedAt": "2026-01-01T00:00:07Z",
        }
        assert results(plan(make, make.started("a", "b"), models))["b"].finished_at == make.at(100)
        assert results(plan(make, make.started("a", "b", results={"b": known}), models))["b"].finished_at == make.at(7)

    def test_a_duplicate_that_is_deleted_stays_one(self, make: Make) -> None:
        """Though a deleted owner keeps its result, deleting a copy must not make it the owner."""
        digest = "sha256:" + "1".rjust(64, "0")
        entries = {
            "copy": {"state": "Duplicate", "weightsDigest": digest, "commit": "a" * 40, "duplicateOf": "first"},
            "first": {"state": "Succeeded", "score": "0.500000", "weightsDigest": digest, "commit": "a" * 40},
        }
        observed, models = make.started("copy", "first", results=entries), [make.model("first", fetched=True)]
        assert plan(make, observed, models).questions.models == {"copy"}
        found = plan(make, observed, models, gone=["copy"])
        assert (results(found)["copy"].state, results(found)["copy"].score) == ("Duplicate", None)
        assert (results(found)["first"].state, results(found)["first"].score) == ("Succeeded", "0.500000")


class TestSuspend:
    def test_jobs_are_suspended_and_none_is_made(self, make: Make) -> None:
        job = make.evaluation(key("1"), active=1)
        models = [make.model("a", fetched=True), make.model("b", fetched=True, weights="2")]
        found = plan(make, make.started("a", "b", suspend=True), models, jobs=[job])
        assert found.suspend == ((job.meta.name, True),)
        assert (found.evaluate, found.delete) == ((), ())
        assert found.status.phase == "Suspended"
        assert states(found)["b"] == ("Pending", "RoundSuspended")

    def test_no_task_set_is_built(self, make: Make) -> None:
        assert plan(make, make.started("a", tasks=False, suspend=True), [make.model("a")]).tasks is None

    def test_resumed(self, make: Make) -> None:
        job = make.evaluation(key("1"), suspended=True)
        found = plan(make, make.started("a"), [make.model("a", fetched=True)], jobs=[job])
        assert found.suspend == ((job.meta.name, False),)

    def test_a_queue_keeps_its_say(self, make: Make) -> None:
        job = make.evaluation(key("1"), suspended=True)
        queued: dict[str, Any] = {"workload": {"queueName": "gpu"}}
        waiting = plan(make, make.started("a", **queued), [make.model("a", fetched=True)], jobs=[job])
        assert (waiting.suspend, states(waiting)["a"]) == ((), ("Running", "WaitingForSlot"))
        assert waiting.delete == ()
        stopped = plan(make, make.started("a", suspend=True, **queued), [make.model("a", fetched=True)], jobs=[job])
        assert [d.uid for d in stopped.delete] == [job.meta.uid]


class TestEnd:
    def finished(self, make: Make, **more: Any) -> RoundObject:
        digest = "sha256:" + "1".rjust(64, "0")
        done = {"a": {"state": "Succeeded", "score": "0.500000", "rank": 1, "weightsDigest": digest}}
        return make.started("a", results=done, status={"finishedAt": "2026-01-01T00:01:00Z"}, **more)

    def test_nothing_changes_any_more(self, make: Make) -> None:
        observed = self.finished(make)
        found = plan(make, observed, [make.model("a", fetched=True, weights="9")])
        assert (found.status, found.evaluate, found.delete) == (observed.status, (), ())

    @pytest.mark.parametrize(
        ("now", "deleted"), [pytest.param(100, False, id="early"), pytest.param(160, True, id="due")]
    )
    def test_jobs_go_when_their_time_is_over(self, make: Make, now: float, deleted: bool) -> None:
        job = make.evaluation(key("1"), ended="Complete")
        found = plan(make, self.finished(make, ttlSecondsAfterFinished=100), jobs=[job], now=now)
        assert bool(found.delete) == deleted
        assert found.again == (None if deleted else 60)

    def test_without_a_time_they_stay(self, make: Make) -> None:
        job = make.evaluation(key("1"), ended="Complete")
        assert plan(make, self.finished(make), jobs=[job], now=1e7).delete == ()

    def test_a_job_that_nobody_needs_is_stopped(self, make: Make) -> None:
        job = make.evaluation("other", active=1)
        assert [d.uid for d in plan(make, self.finished(make), jobs=[job]).delete] == [job.meta.uid]

    def test_another_rounds_jobs_of_the_same_name_give_no_results(self, make: Make) -> None:
        old = make.evaluation(key("1"), owner="uid-of-the-old-round", ended="Complete")
        pods = [make.pod(old, code=0, message=make.scored("0.900000"))]
        found = plan(make, make.started("a"), [make.model("a", fetched=True)], jobs=[old], pods=pods)
        assert [d.uid for d in found.delete] == [old.meta.uid]
        assert results(found)["a"].score is None

    def test_everything_rejected_is_complete(self, make: Make) -> None:
        found = plan(make, make.started("a"), [make.model("a", fetched="CustomCode")])
        assert found.status.phase == "Complete"
        assert found.status.counts.rejected == 1


@pytest.mark.parametrize("count", [1, 1024])
def test_messages_fit_together(make: Make, count: int) -> None:
    names = [f"m{i:04}" for i in range(count)]
    models = [
        make.model(
            n,
            fetched="BadConfig",
            status={"conditions": [make.condition("Fetched", "False", "BadConfig", message="x" * 1000)]},
        )
        for n in names
    ]
    found = plan(make, make.started(*names), models)
    assert sum(len(r.message) for r in found.status.results) <= 128 * 1024
    assert len(found.status.results[0].message) == (512 if count == 1 else 128)
