"""Whole rounds on a real API server, with Jobs that a double of the kubelet ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.seeds import secret_digest

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
    messages = operator.until("events", lambda: operator.events_of("RoundComplete"))
    assert messages == ["3 of 3 models have a score; best m-750 0.750000"]


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


SECRET = "5" * 64


def test_models_are_fixed_before_the_seed_is_known(operator: World, outcomes: Outcomes) -> None:
    """A branch that moves once the seed is published changes nothing, with an operator that is killed in between."""
    heads = {"branch": "b" * 40}

    def script(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] == "TaskSet":
            assert document["tasks"]["seedFrom"]["secret"] == SECRET
        if document["kind"] != "Fetch" or document["repo"] != "org/branch-500":
            return outcomes.usual(pod, document)
        commit = heads["branch"] if document["revision"] == "main" else document["revision"]
        if document.get("resolveOnly"):
            return outcomes.resolved(commit)
        return outcomes.fetched("org/branch-500", commit=commit)

    operator.kubelet.script = script
    operator.model("m-400")
    operator.model("branch", repo="org/branch-500", revision="main")
    operator.model("late-300", miner={"hotkey": "5" * 48, "commitBlock": 8})
    operator.until_condition("minermodels", "branch", "Fetched")
    seed_from = {"block": 7, "secretDigest": secret_digest(SECRET)}
    sources = [{"bfcl": {"categories": ["simple_python"]}}]
    operator.round("seeded", tasks={"sources": sources, "count": 200, "seedFrom": seed_from})
    operator.until("the models are fixed", lambda: operator.results("seeded")["branch"]["commit"] == "b" * 40)
    waits = operator.until(
        "it waits for its seed",
        lambda: operator.condition("evalrounds", "seeded", "TasksReady").get("reason") == "WaitingForSeed",
    )
    assert waits
    heads["branch"] = "c" * 40
    operator.kill_operator()
    published = {"blockHash": "0x" + "1" * 64, "secret": SECRET}
    operator.api.merge(operator.path("evalrounds", "seeded"), {"spec": {"tasks": {"seedFrom": published}}})
    operator.start_operator()
    operator.until_condition("evalrounds", "seeded", "Complete")
    found = {name: (r["state"], r.get("commit")) for name, r in operator.results("seeded").items()}
    assert found == {
        "m-400": ("Succeeded", "a" * 40),
        "branch": ("Succeeded", "b" * 40),
        "late-300": ("Rejected", None),
    }


def test_a_hotkey_has_a_bounded_number_of_models(operator: World) -> None:
    """The newest wait until an older one is deleted."""
    names = [f"m-{i}" for i in range(9)]
    for name in names:
        operator.model(name, miner={"hotkey": "5" * 48})
    operator.until_condition("minermodels", names[-1], "Fetched", "False")
    assert operator.condition("minermodels", names[-1], "Fetched")["reason"] == "TooManyModels"
    for name in names[:-1]:
        operator.until_condition("minermodels", name, "Fetched")
    operator.api.delete(operator.path("minermodels", names[0]))
    operator.until_condition("minermodels", names[-1], "Fetched")


def test_a_round_with_another_secret_fails(operator: World) -> None:
    operator.model("m-400")
    seed_from = {"block": 7, "secretDigest": secret_digest(SECRET), "blockHash": "0x" + "1" * 64, "secret": "6" * 64}
    sources = [{"bfcl": {"categories": ["simple_python"]}}]
    operator.round("wrong", tasks={"sources": sources, "count": 200, "seedFrom": seed_from})
    operator.until_condition("evalrounds", "wrong", "Failed")
    assert operator.condition("evalrounds", "wrong", "Failed")["reason"] == "SeedMismatch"


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
    operator.until_condition("evalrounds", "retry", "Complete")
    result = operator.results("retry")["m-500"]
    assert (result["score"], result["attempts"]) == ("0.500000", 2)


def test_a_round_completes_without_a_model_that_fails_where_others_succeed(operator: World, outcomes: Outcomes) -> None:
    """It is tried again at the end, and a control shows that the machine works."""
    jobs: dict[str, set[str]] = {}

    def script(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] == "Evaluate":
            jobs.setdefault(document["repo"], set()).add(pod["metadata"]["ownerReferences"][0]["name"])
            if document["repo"] == "org/m-100":
                return outcomes.crashed(137, "", "OOMKilled")
        return outcomes.usual(pod, document)

    operator.kubelet.script = script
    operator.model("m-100")
    operator.model("m-500")
    operator.model("m-900")
    operator.round("hungry", workload={"maxAttempts": 1})
    operator.until_condition("evalrounds", "hungry", "Complete")
    results = operator.results("hungry")
    assert {name: (r["state"], r.get("rank")) for name, r in results.items()} == {
        "m-100": ("Unscored", None),
        "m-500": ("Succeeded", 2),
        "m-900": ("Succeeded", 1),
    }
    hungry = results["m-100"]
    assert (hungry["reason"], hungry["attempts"]) == ("OutOfMemory", 2)
    assert [failure["nodes"] for failure in hungry["failures"]] == [["fake-0"], ["fake-0"]]
    assert operator.get("evalrounds", "hungry")["status"]["counts"]["unscored"] == 1
    assert "m-100 (OutOfMemory)" in operator.condition("evalrounds", "hungry", "Complete")["message"]
    # A control's Job is removed when its result is in, so that the pods that ran are counted, not the Jobs left.
    counts = {repo.removeprefix("org/"): len(names) for repo, names in jobs.items()}
    assert counts == {"m-100": 2, "m-500": 1, "m-900": 2} or counts == {"m-100": 2, "m-500": 2, "m-900": 1}
    for reason in ("ModelUnscored", "ControlStarted"):
        operator.until(reason, lambda reason=reason: operator.events_of(reason))  # type: ignore[misc]


def test_no_round_completes_when_the_control_fails_as_well(operator: World, outcomes: Outcomes) -> None:
    """The machine broke after the first success."""
    scored: set[str] = set()

    def script(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] != "Evaluate":
            return outcomes.usual(pod, document)
        if document["repo"] == "org/m-900" and scored <= {pod["metadata"]["name"]}:
            scored.add(pod["metadata"]["name"])
            return outcomes.usual(pod, document)
        return outcomes.failed_evaluation("EngineFailed", "CUDA error: device lost") if scored else None

    operator.kubelet.script = script
    operator.model("m-100")
    operator.model("m-900")
    operator.round("partial", workload={"maxAttempts": 1})
    operator.until_condition("evalrounds", "partial", "Failed")
    assert operator.condition("evalrounds", "partial", "Failed")["reason"] == "InfrastructureFaults"
    assert operator.condition("evalrounds", "partial", "Complete")["status"] == "False"
    result = operator.results("partial")["m-100"]
    assert (result["state"], result["reason"]) == ("InfraFault", "EngineFailed")
    assert "CUDA error: device lost" in result["message"]
    assert "control m-900 failed" in result["message"]
    assert "latest" not in operator.get("minermodels", "m-900")["status"]


def test_a_result_never_moves_to_a_model_with_other_files(operator: World, outcomes: Outcomes) -> None:
    """A rival's weights with a broken tokenizer, committed earlier and admitted later, are evaluated themselves."""
    rival: list[bool] = []

    def script(pod: Obj, document: Obj) -> Exit | None:
        match document["kind"], document.get("repo"):
            case "Fetch", "org/rival-100" if not rival:
                return None
            case "Fetch", repo:
                return outcomes.fetched(str(repo), weights="shared", files=str(repo))
        return outcomes.usual(pod, document)

    operator.kubelet.script = script
    hotkey = {"hotkey": "5" * 48}
    operator.model("honest-900", miner=hotkey | {"commitBlock": 9})
    operator.model("rival-100", miner=hotkey | {"commitBlock": 1})
    operator.round("moved")
    operator.until("a score", lambda: operator.results("moved")["honest-900"].get("score") == "0.900000")
    rival.append(True)
    operator.until_condition("evalrounds", "moved", "Complete")
    results = operator.results("moved")
    assert (results["rival-100"]["state"], results["rival-100"]["score"]) == ("Succeeded", "0.100000")
    assert (results["honest-900"]["state"], "score" in results["honest-900"]) == ("Duplicate", False)
    assert results["rival-100"]["hotkey"] == hotkey["hotkey"]


def test_files_that_an_evaluation_missed_are_fetched_for_the_next_round(operator: World, outcomes: Outcomes) -> None:
    """The model names a commit and says Fetched, and the cache has lost it."""
    fetches: set[str] = set()

    def script(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] == "Fetch":
            fetches.add(pod["metadata"]["labels"]["job-name"])
        if document["kind"] == "Evaluate" and len(fetches) < 2:
            return outcomes.failed_evaluation("InfrastructureFault", "/model holds no model")
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
    operator.until_condition("evalrounds", "again", "Complete")
    assert operator.results("again")["m-500"]["score"] == "0.100000"


def test_jobs_go_after_their_time_and_results_stay(operator: World) -> None:
    operator.model("m-500")
    operator.round("short", ttlSecondsAfterFinished=1)
    operator.until_condition("evalrounds", "short", "Complete")
    operator.until("Jobs removed", lambda: not operator.all("jobs", **{"bitagent.io/round": "short"}))
    assert operator.results("short")["m-500"]["score"] == "0.500000"


def test_jobs_that_are_refused_are_reported_and_tried_again(operator: World) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"count/jobs.batch": "0"}}}
    operator.api.create(operator.path("resourcequotas"), quota)
    operator.until("quota in force", lambda: operator.get("resourcequotas", "none")["status"]["hard"])
    operator.model("m-500")
    operator.round("refused")
    messages = operator.until("the refusal is reported", lambda: operator.events_of("JobNotCreated"))
    assert "exceeded quota" in messages[0]
    assert operator.get("evalrounds", "refused")["status"]["phase"] == "Preparing"
    operator.api.delete(operator.path("resourcequotas", "none"))
    operator.until_condition("evalrounds", "refused", "Complete")


DIGEST, TIME = "sha256:" + "a" * 64, "2026-01-01T00:00:00Z"
NODE = f"{'n' * 28}.compute.internal"
EVALUATED = {"state": "Succeeded", "score": "0.123456", "rank": 1024, "passed": 20000, "resultDigest": DIGEST} | {
    "seconds": {"load": "12345.678", "generate": "12345.678", "score": "12345.678"}
}
LOSSES: dict[str, Any] = {"loss": "12.345678", "batchLosses": ["12.345678"] * 32}
NEAR_COPY: dict[str, Any] = {
    "nearCopyOf": f"{'m' * 47}-0000",
    "evidence": {"weights": "1.000000", "answers": "1.000000"},
}
ENTRIES: dict[str, dict[str, Any]] = {
    "losses": EVALUATED | LOSSES,
    "near copies": EVALUATED | NEAR_COPY | {"answerSketch": "A" * 128},
    "near copies by losses": EVALUATED | LOSSES | NEAR_COPY | {"node": None, "message": ""},
    "unscored": {
        "state": "Unscored",
        "failures": [{"attempt": n, "reason": "DeadlineExceeded", "at": TIME, "nodes": [NODE] * 3} for n in (1, 2)],
    },
}
"""Fields that a result may have together."""


@pytest.mark.parametrize("message", ["é" * 32, "<" * 10], ids=["two bytes", "escaped"])
@pytest.mark.parametrize("kind", ENTRIES)
def test_a_full_round_fits_in_etcd(world: World, message: str, kind: str) -> None:
    """1,024 results with the longest texts, written by server-side apply as the operator does."""
    world.round("full")
    time = TIME
    entry = {
        "reason": "UnsupportedQuantization",
        "message": message,
        "commit": "a" * 40,
        "weightsDigest": DIGEST,
        "modelDigest": DIGEST,
        "repo": f"{'r' * 47}/{'r' * 48}",
        "promptFormat": "ChatTemplate",
        "engine": {"dtype": "BFloat16", "maxModelLength": 131072},
        "hotkey": "5" * 48,
        "modelUid": "01234567-89ab-cdef-0123-456789abcdef",
        "attempts": 10,
        "node": NODE,
        "startedAt": time,
        "finishedAt": time,
    } | ENTRIES[kind]
    entry = {name: value for name, value in entry.items() if value is not None}
    results = [entry | {"model": f"{'m' * 47}-{i:04}"} for i in range(1024)]
    status = {"results": results, "phase": "Running", "startedAt": time}
    body = {"apiVersion": "bitagent.io/v1alpha1", "kind": "EvalRound", "metadata": {"name": "full"}, "status": status}
    made = world.api.apply(world.path("evalrounds", "full/status"), body)
    assert len(made["status"]["results"]) == 1024
