"""Whole rounds on a real API server, with Jobs that a double of the kubelet ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Obj, Outcomes, World

pytestmark = pytest.mark.integration


def test_a_round_ranks_its_models(operator: World) -> None:
    for score in ("250", "750", "500"):
        operator.model(f"m-{score}")
    operator.round("first")
    status = operator.until_condition("evalrounds", "first", "Complete")["status"]
    ranks = {r["model"]: (r["rank"], r["score"]) for r in status["results"]}
    assert ranks == {"m-750": (1, "0.750000"), "m-500": (2, "0.500000"), "m-250": (3, "0.250000")}
    assert (status["phase"], status["progress"], status["best"]) == ("Complete", "3/3", "m-750 0.750000")
    assert status["counts"]["succeeded"] == 3
    assert status["leaderboardDigest"].startswith("sha256:")
    latest = operator.until("score on the model", lambda: operator.get("minermodels", "m-750")["status"]["latest"])
    assert (latest["rank"], latest["round"]) == (1, "first")
    told = operator.until("events", lambda: operator.told("RoundComplete"))
    assert told == ["3 of 3 models have a score; best m-750 0.750000"]


def test_a_settled_world_is_left_alone(operator: World) -> None:
    operator.model("m-500")
    operator.round("calm")
    operator.until_condition("evalrounds", "calm", "Complete")
    operator.until("score on the model", lambda: operator.get("minermodels", "m-500")["status"]["latest"])
    operator.until("fetch Job removed", lambda: not operator.all("jobs", **{"app.kubernetes.io/component": "fetch"}))
    kinds = (("minermodels", "m-500"), ("evalrounds", "calm"))
    before = [operator.get(*k)["metadata"]["resourceVersion"] for k in kinds]
    operator.kill_operator()
    operator.start_operator()
    operator.model("other")
    operator.until_condition("minermodels", "other", "Fetched")
    assert [operator.get(*k)["metadata"]["resourceVersion"] for k in kinds] == before
    meta = operator.get("minermodels", "m-500")["metadata"]
    assert "annotations" not in meta
    assert "finalizers" not in meta


def test_models_that_are_refused_never_reach_a_gpu(operator: World, outcomes: Outcomes) -> None:
    reasons = {"truncated": "CorruptWeights", "pickle": "NoSafetensors", "ghost": "RepositoryNotFound"}

    def script(pod: Obj, document: Obj) -> Exit | None:
        name = document["repo"].rpartition("/")[2] if document["kind"] == "Fetch" else ""
        return outcomes.refused(reasons[name], "what was wrong") if name in reasons else outcomes.usual(pod, document)

    operator.kubelet.script = script
    for name in (*reasons, "m-500"):
        operator.model(name)
    operator.round("mixed")
    status = operator.until_condition("evalrounds", "mixed", "Complete")["status"]
    found = {r["model"]: (r["state"], r["reason"]) for r in status["results"]}
    assert found == {"m-500": ("Succeeded", "Evaluated")} | {n: ("Rejected", r) for n, r in reasons.items()}
    assert len(operator.all("jobs", **{"app.kubernetes.io/component": "evaluate"})) == 1
    assert operator.condition("minermodels", "pickle", "Safe")["reason"] == "NoSafetensors"
    assert operator.condition("minermodels", "ghost", "Resolved")["message"] == "what was wrong"


def test_equal_weights_are_evaluated_once(operator: World, outcomes: Outcomes) -> None:
    def script(pod: Obj, document: Obj) -> Exit | None:
        same = document["kind"] == "Fetch"
        return outcomes.fetched(document["repo"], weights="same") if same else outcomes.usual(pod, document)

    operator.kubelet.script = script
    hotkeys = ("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY", "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty")
    operator.model("copy-500", miner={"hotkey": hotkeys[0], "commitBlock": 20})
    operator.model("first-500", miner={"hotkey": hotkeys[1], "commitBlock": 10})
    operator.round("same")
    operator.until_condition("evalrounds", "same", "Complete")
    results = operator.results("same")
    assert (results["copy-500"]["state"], results["copy-500"]["duplicateOf"]) == ("Duplicate", "first-500")
    assert results["first-500"]["score"] == "0.500000"
    assert len(operator.all("jobs", **{"app.kubernetes.io/component": "evaluate"})) == 1


def test_the_set_stays_frozen(operator: World, outcomes: Outcomes) -> None:
    held = True

    def script(pod: Obj, document: Obj) -> Exit | None:
        return None if held and document["kind"] == "Evaluate" else outcomes.usual(pod, document)

    operator.kubelet.script = script
    operator.model("m-100")
    operator.round("frozen")
    operator.until_condition("evalrounds", "frozen", "Running")
    operator.model("late-900")
    operator.model("late-800")
    operator.until_condition("minermodels", "late-900", "Fetched")
    held = False
    operator.until_condition("evalrounds", "frozen", "Complete")
    assert list(operator.results("frozen")) == ["m-100"]


def test_a_branch_is_resolved_once_per_round(operator: World, outcomes: Outcomes) -> None:
    commits = iter(("1" * 40, "2" * 40, "3" * 40))

    def script(pod: Obj, document: Obj) -> Exit | None:
        fetch = document["kind"] == "Fetch"
        return outcomes.fetched(document["repo"], commit=next(commits)) if fetch else outcomes.usual(pod, document)

    operator.kubelet.script = script
    operator.model("m-500", revision="main")
    operator.until_condition("minermodels", "m-500", "Fetched")
    operator.until("fetch Job removed", lambda: not operator.all("jobs"))
    long_ago = {"status": {"resolved": {"at": "2026-01-01T00:00:00Z"}}}
    operator.api.merge(operator.path("minermodels", "m-500/status"), long_ago)
    operator.round("branch")
    operator.until_condition("evalrounds", "branch", "Complete")
    assert operator.results("branch")["m-500"]["commit"] == "2" * 40
    assert next(commits) == "3" * 40


def test_an_infrastructure_fault_is_tried_again(operator: World, outcomes: Outcomes) -> None:
    failed: set[str] = set()

    def script(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] == "Evaluate" and not failed:
            failed.add(pod["metadata"]["name"])
            return outcomes.crashed(137, "", "OOMKilled")
        return outcomes.usual(pod, document)

    operator.kubelet.script = script
    operator.model("m-500")
    operator.round("retry")

    def delayed() -> bool:
        return bool(operator.results("retry")["m-500"]["reason"] == "OutOfMemory")

    operator.until("the fault is reported while it is tried again", delayed)
    operator.until_condition("evalrounds", "retry", "Complete", seconds=60)
    result = operator.results("retry")["m-500"]
    assert (result["score"], result["attempts"]) == ("0.500000", 2)


def test_no_complete_round_with_an_infrastructure_fault(operator: World, outcomes: Outcomes) -> None:
    def script(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] == "Evaluate" and document["repo"] == "org/m-100":
            return outcomes.crashed(1, "CUDA error: device lost", "Error")
        return outcomes.usual(pod, document)

    operator.kubelet.script = script
    operator.model("m-100")
    operator.model("m-900")
    operator.round("partial", workload={"maxAttempts": 1})
    operator.until_condition("evalrounds", "partial", "Failed")
    assert operator.condition("evalrounds", "partial", "Failed")["reason"] == "InfrastructureFaults"
    assert operator.condition("evalrounds", "partial", "Complete")["status"] == "False"
    result = operator.results("partial")["m-100"]
    assert (result["state"], "CUDA error: device lost" in result["message"]) == ("InfraFault", True)
    assert "latest" not in operator.get("minermodels", "m-900")["status"]


def test_files_that_an_evaluation_missed_are_fetched_for_the_next_round(operator: World, outcomes: Outcomes) -> None:
    """The model names a commit and says Fetched, and the cache has lost it."""
    fetches: set[str] = set()

    def script(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] == "Fetch":
            fetches.add(pod["metadata"]["labels"]["job-name"])
        if document["kind"] == "Evaluate" and len(fetches) < 2:
            return outcomes.crashed(1, "/model holds no model", "Error")
        return outcomes.usual(pod, document)

    operator.kubelet.script = script
    operator.model("m-500")
    operator.until_condition("minermodels", "m-500", "Fetched")
    operator.round("missed", workload={"maxAttempts": 1})
    operator.until_condition("evalrounds", "missed", "Failed")
    operator.until("second fetch", lambda: len(fetches) == 2)
    operator.round("next", workload={"maxAttempts": 1})
    operator.until_condition("evalrounds", "next", "Complete")
    assert operator.results("next")["m-500"]["score"] == "0.500000"
    assert len(fetches) == 2


def test_a_broken_model_scores_zero(operator: World, outcomes: Outcomes) -> None:
    def script(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] == "Evaluate" and document["repo"] == "org/nan-1":
            return outcomes.refused_evaluation("NonFiniteWeights", "NaN in layer 3")
        return outcomes.usual(pod, document)

    operator.kubelet.script = script
    operator.model("nan-1")
    operator.model("m-500")
    operator.round("broken")
    operator.until_condition("evalrounds", "broken", "Complete")
    result: dict[str, Any] = operator.results("broken")["nan-1"]
    assert (result["state"], result["score"], result["rank"]) == ("ModelFault", "0.000000", 2)
    assert (result["reason"], result["message"], result["attempts"]) == ("NonFiniteWeights", "NaN in layer 3", 1)


def test_suspend_and_resume(operator: World, outcomes: Outcomes) -> None:
    held = True

    def script(pod: Obj, document: Obj) -> Exit | None:
        return None if held and document["kind"] == "Evaluate" else outcomes.usual(pod, document)

    operator.kubelet.script = script
    operator.model("m-500")
    operator.round("paused")
    operator.until_condition("evalrounds", "paused", "Running")
    path = operator.path("evalrounds", "paused")
    operator.api.merge(path, {"spec": {"suspend": True}})

    def suspended() -> bool:
        jobs = operator.all("jobs", **{"app.kubernetes.io/component": "evaluate"})
        phase = operator.get("evalrounds", "paused")["status"]["phase"]
        return bool(phase == "Suspended" and jobs[0]["spec"]["suspend"])

    operator.until("Jobs suspended", suspended)
    held = False
    operator.api.merge(path, {"spec": {"suspend": False}})
    operator.until_condition("evalrounds", "paused", "Complete")


def test_a_round_made_again_inherits_nothing(operator: World, outcomes: Outcomes) -> None:
    operator.model("m-500")
    operator.round("again")
    operator.until_condition("evalrounds", "again", "Complete")
    operator.api.delete(operator.path("evalrounds", "again"))
    operator.kubelet.script = lambda pod, document: (
        outcomes.scored("0.100000") if document["kind"] == "Evaluate" else outcomes.usual(pod, document)
    )
    operator.round("again")
    operator.until_condition("evalrounds", "again", "Complete", seconds=60)
    assert operator.results("again")["m-500"]["score"] == "0.100000"


def test_jobs_go_after_their_time_and_results_stay(operator: World) -> None:
    operator.model("m-500")
    operator.round("short", ttlSecondsAfterFinished=1)
    operator.until_condition("evalrounds", "short", "Complete")
    operator.until("Jobs removed", lambda: not operator.all("jobs", **{"bitagent.io/round": "short"}))
    assert operator.results("short")["m-500"]["score"] == "0.500000"


def test_jobs_that_are_refused_are_told_and_tried_again(operator: World) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"count/jobs.batch": "0"}}}
    operator.api.create(operator.path("resourcequotas"), quota)
    operator.until("quota in force", lambda: operator.get("resourcequotas", "none")["status"]["hard"])
    operator.model("m-500")
    operator.round("refused")
    told = operator.until("the refusal is told", lambda: operator.told("JobNotCreated"))
    assert "exceeded quota" in told[0]
    assert operator.get("evalrounds", "refused")["status"]["phase"] == "Preparing"
    operator.api.delete(operator.path("resourcequotas", "none"))
    operator.until_condition("evalrounds", "refused", "Complete", seconds=60)


@pytest.mark.parametrize("message", ["é" * 64, "<" * 21], ids=["two bytes", "escaped"])
def test_a_full_round_fits_in_etcd(world: World, message: str) -> None:
    """1,024 results with every field, the longest names and messages: written by server-side apply, as the operator does."""
    world.round("full")
    digest, time = "sha256:" + "a" * 64, "2026-01-01T00:00:00Z"
    entry = {
        "state": "Succeeded",
        "reason": "UnsupportedQuantization",
        "message": message,
        "loss": "12.345678",
        "batchLosses": ["12.345678"] * 32,
        "commit": "a" * 40,
        "weightsDigest": digest,
        "score": "0.123456",
        "rank": 1024,
        "passed": 20000,
        "attempts": 10,
        "resultDigest": digest,
        "startedAt": time,
        "finishedAt": time,
        "seconds": {"load": "12345.678", "generate": "12345.678", "score": "12345.678"},
    }
    results = [entry | {"model": f"{'m' * 47}-{i:04}"} for i in range(1024)]
    status = {"results": results, "phase": "Running", "startedAt": time}
    body = {"apiVersion": "bitagent.io/v1alpha1", "kind": "EvalRound", "metadata": {"name": "full"}, "status": status}
    made = world.api.apply(world.path("evalrounds", "full/status"), body)
    assert len(made["status"]["results"]) == 1024
