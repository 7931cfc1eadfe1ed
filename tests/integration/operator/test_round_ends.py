"""Rounds on a real API server that used never to end, to hold GPUs, or to be lost for one failure."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from bitagent_local.cluster.api import ApiError

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Obj, Outcomes, World

pytestmark = pytest.mark.integration

EVALUATE = {"app.kubernetes.io/component": "evaluate"}


def phase_of(world: World, name: str) -> str:
    return str(world.get("evalrounds", name).get("status", {}).get("phase", ""))


def retry(world: World, name: str, number: int) -> None:
    world.api.merge(world.path("evalrounds", name), {"spec": {"retry": number}})


def images(world: World, name: str) -> set[str]:
    """Images of a round's Jobs."""
    found = world.all("jobs", **{"bitagent.io/round": name})
    return {j["spec"]["template"]["spec"]["containers"][0]["image"] for j in found}


def test_a_sidecar_that_never_ends_holds_no_gpu(world: World, outcomes: Outcomes) -> None:
    """One evaluation at a time, as `parallelism` says, and none after the end."""
    world.constants = {"bitagent_operator.plan.rounds.holders:END_GRACE": timedelta(seconds=1)}
    world.start_operator()
    most = 0

    def script(pod: Obj, document: Obj) -> Exit | None:
        nonlocal most
        end = outcomes.usual(pod, document)
        if document["kind"] != "Evaluate" or end is None:
            return end
        most = max(most, len(world.all("pods", **EVALUATE)))
        return replace(end, pod={"phase": "Running"})

    world.kubelet.script = script
    for name in ("m-100", "m-200", "m-300"):
        world.model(name)
    world.round("sidecars", workload={"parallelism": 1})
    world.until_condition("evalrounds", "sidecars", "Complete")
    world.until("no Job is left that has not ended", lambda: not world.all("jobs", **EVALUATE))
    world.until("no pod is left", lambda: not world.all("pods", **EVALUATE))
    assert most == 1
    assert {r["score"] for r in world.results("sidecars").values()} == {"0.100000", "0.200000", "0.300000"}


def test_only_what_failed_is_done_again(operator: World, outcomes: Outcomes) -> None:
    """The other evaluations stay, with an operator that is killed in between."""
    broken, pods = True, dict[str, int]()

    def script(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] == "Evaluate":
            pods[pod["metadata"]["uid"]] = 1
            if broken and document["repo"] == "org/m-100":
                return outcomes.failed_evaluation("MemoryInUse", "another process")
        return outcomes.usual(pod, document)

    operator.kubelet.script = script
    for name in ("m-100", "m-200"):
        operator.model(name)
    operator.round("again", workload={"maxAttempts": 1})
    failed = operator.until_condition("evalrounds", "again", "Failed")
    assert "MemoryInUse (m-100)" in operator.condition("evalrounds", "again", "Failed")["message"]
    good, seen = operator.results("again")["m-200"], len(pods)
    operator.kill_operator()
    broken = False
    retry(operator, "again", 1)
    operator.start_operator()
    status = operator.until_condition("evalrounds", "again", "Complete")["status"]
    results = operator.results("again")
    assert (results["m-100"]["state"], results["m-100"]["rank"], results["m-200"]["rank"]) == ("Succeeded", 2, 1)
    assert {k: v for k, v in results["m-200"].items() if k != "rank"} == good
    assert len(pods) == seen + 1
    assert status["taskSet"] == failed["status"]["taskSet"]
    assert (status["retry"], operator.condition("evalrounds", "again", "Failed")["status"]) == (1, "False")
    operator.until("the Event", lambda: operator.events_of("RoundRetried"))
    with pytest.raises(ApiError, match="retry never decreases"):
        retry(operator, "again", 0)


def test_a_round_ends_at_its_bound_and_is_retried(operator: World, outcomes: Outcomes) -> None:
    """Its Jobs wait for a queue that does not exist; the bound may be changed while it runs."""
    operator.model("m-500")
    operator.round("bound", workload={"queueName": "nowhere"}, activeDeadlineSeconds=3600)
    operator.until("its Job waits", lambda: operator.all("jobs", **EVALUATE))
    began = operator.get("evalrounds", "bound")["status"]["activeSince"]
    assert began
    past = {"status": {"activeSince": "2026-01-01T00:00:00Z"}}
    operator.api.merge(operator.path("evalrounds", "bound/status"), past)
    failed = operator.until_condition("evalrounds", "bound", "Failed")["status"]
    assert operator.condition("evalrounds", "bound", "Failed")["reason"] == "RoundDeadlineExceeded"
    assert (failed["results"][0]["state"], failed["results"][0]["reason"]) == ("NotEvaluated", "NotEvaluated")
    operator.until("its Job is deleted", lambda: not operator.all("jobs", **EVALUATE))
    retry(operator, "bound", 1)
    job = operator.until("another Job", lambda: operator.all("jobs", **EVALUATE))[0]
    operator.api.merge(operator.path("jobs", job["metadata"]["name"]), {"spec": {"suspend": False}})
    operator.until_condition("evalrounds", "bound", "Complete")


def test_a_job_that_something_else_suspends_is_left_alone(operator: World, outcomes: Outcomes) -> None:
    """No fight, a word in the status, and it runs when that resumes it."""
    held = True

    def script(pod: Obj, document: Obj) -> Exit | None:
        return None if held and document["kind"] == "Evaluate" else outcomes.usual(pod, document)

    operator.kubelet.script = script
    operator.model("m-500")
    operator.round("foreign")
    job = operator.until("its Job", lambda: operator.all("jobs", **EVALUATE))[0]["metadata"]["name"]
    operator.api.merge(operator.path("jobs", job), {"spec": {"suspend": True}})
    operator.until("it says so", lambda: operator.results("foreign")["m-500"]["reason"] == "JobSuspended")
    operator.model("other-100")
    operator.until_condition("minermodels", "other-100", "Fetched")
    assert operator.get("jobs", job)["spec"]["suspend"] is True
    # A suspension of the round and its end change nothing of it.
    for suspend in (True, False):
        operator.api.merge(operator.path("evalrounds", "foreign"), {"spec": {"suspend": suspend}})
        operator.until("it is seen", lambda suspend=suspend: (phase_of(operator, "foreign") == "Suspended") == suspend)  # type: ignore[misc]
    assert operator.get("jobs", job)["spec"]["suspend"] is True
    held = False
    operator.api.merge(operator.path("jobs", job), {"spec": {"suspend": False}})
    operator.until_condition("evalrounds", "foreign", "Complete")


def test_a_suspended_round_resumes_its_own_jobs(operator: World, outcomes: Outcomes) -> None:
    held = True

    def script(pod: Obj, document: Obj) -> Exit | None:
        return None if held and document["kind"] == "Evaluate" else outcomes.usual(pod, document)

    operator.kubelet.script = script
    operator.model("m-500")
    operator.round("pause")
    job = operator.until("its Job", lambda: operator.all("jobs", **EVALUATE))[0]["metadata"]["name"]
    operator.api.merge(operator.path("evalrounds", "pause"), {"spec": {"suspend": True}})
    operator.until("the Job is suspended", lambda: operator.get("jobs", job)["spec"]["suspend"])
    held = False
    operator.api.merge(operator.path("evalrounds", "pause"), {"spec": {"suspend": False}})
    operator.until_condition("evalrounds", "pause", "Complete")
    assert operator.get("jobs", job)["spec"]["suspend"] is False


def configure(world: World, image: str) -> None:
    """Start the operator again, with this image of the evaluator."""
    world.kill_operator()
    path = Path(world.environment["BITAGENT_CONFIG"])
    config = yaml.safe_load(path.read_text())
    config["images"]["evaluator"] = image
    path.write_text(yaml.safe_dump(config))
    world.start_operator()


def test_a_rollback_heals(operator: World) -> None:
    """An upgrade to an image that does not exist, and back: nothing is done by hand, and no attempt is lost."""
    operator.kubelet.unpullable = frozenset({"example/evaluator:bad"})
    operator.model("m-500")
    operator.until_condition("minermodels", "m-500", "Fetched")
    configure(operator, "example/evaluator:bad")
    operator.round("rollback")
    operator.until(
        "the pull is reported",
        lambda: operator.condition("evalrounds", "rollback", "TasksReady").get("reason") == "ImagePullFailed",
    )
    assert operator.get("evalrounds", "rollback")["status"]["image"] == "example/evaluator:bad"
    configure(operator, "example/evaluator:1")
    status = operator.until_condition("evalrounds", "rollback", "Complete")["status"]
    assert (status["image"], status["results"][0]["attempts"]) == ("example/evaluator:1", 1)
    assert images(operator, "rollback") == {"example/evaluator:1"}
    operator.until("the Event", lambda: operator.events_of("ImageChanged"))


def test_an_upgrade_in_mid_round_does_not_mix_versions(operator: World, outcomes: Outcomes) -> None:
    """All Jobs of a round have the image with which it started."""
    held = True

    def script(pod: Obj, document: Obj) -> Exit | None:
        return None if held and document["kind"] == "TaskSet" else outcomes.usual(pod, document)

    operator.kubelet.script = script
    operator.model("m-500")
    operator.round("mixed")
    operator.until("the task set is being built", lambda: operator.all("jobs", **{"bitagent.io/key": "tasks"}))
    configure(operator, "example/evaluator:2")
    held = False
    operator.until_condition("evalrounds", "mixed", "Complete")
    assert images(operator, "mixed") == {"example/evaluator:1"}


def test_models_that_come_seconds_after_their_round_compete(operator: World) -> None:
    operator.round("early", models={"names": ["m-500"]})
    operator.until(
        "it waits", lambda: operator.condition("evalrounds", "early", "Running").get("reason") == "WaitingForModels"
    )
    operator.model("m-500")
    operator.until_condition("evalrounds", "early", "Complete")
    result = operator.results("early")["m-500"]
    assert (result["score"], bool(result["key"])) == ("0.500000", True)
    uid = operator.get("evalrounds", "early")["metadata"]["uid"]
    assert operator.get("evalrounds", "early")["status"]["artifacts"] == f"pvc://artifacts/rounds/{uid}"
    keys = {j["metadata"]["labels"]["bitagent.io/key"] for j in operator.all("jobs", **EVALUATE)}
    assert keys == {result["key"]}


def test_a_fetch_job_that_is_deleted_and_never_goes_ends_no_round(world: World, outcomes: Outcomes) -> None:
    """Somebody's finalizer keeps it; its name is in use."""
    bound, fetches = timedelta(seconds=4), {"app.kubernetes.io/component": "fetch"}
    modules = ("jobs.pods", "models.fetch_slots")
    world.constants |= {f"bitagent_operator.plan.{module}:GONE_AFTER": bound for module in modules}
    world.start_operator()
    held = True

    def script(pod: Obj, document: Obj) -> Exit | None:
        return None if held and document["kind"] == "Fetch" else outcomes.usual(pod, document)

    world.kubelet.script = script
    world.model("m-500")
    world.round("kept")
    job = world.until("its Job", lambda: world.all("jobs", **fetches))[0]["metadata"]["name"]
    world.api.merge(world.path("jobs", job), {"metadata": {"finalizers": ["example.org/keeps"]}})
    world.api.delete(world.path("jobs", job) + "?propagationPolicy=Background")
    held = False
    world.until_condition("evalrounds", "kept", "Complete")
    kept = world.get("jobs", job)["metadata"]
    assert "deletionTimestamp" in kept
    world.api.merge(world.path("jobs", job), {"metadata": {"finalizers": []}})
