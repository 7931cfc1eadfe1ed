"""What people and other controllers do to a round behind the operator's back, on a real API server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bitagent_crds.generate import render
from bitagent_crds.minermodel import MinerModel
from bitagent_local.cluster.api import ApiError

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Outcomes, World

pytestmark = pytest.mark.integration
Obj = dict[str, Any]
EVALUATES = {"app.kubernetes.io/component": "evaluate"}
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


def run(world: World, outcomes: Outcomes, *models: str) -> threading.Event:
    """Start a round whose evaluations run until the event that is returned."""
    over = threading.Event()

    def script(pod: Obj, document: Obj) -> Exit | None:
        waits = document["kind"] == "Evaluate" and not over.is_set()
        return None if waits else outcomes.usual(pod, document)

    world.kubelet.script = script
    for name in models:
        world.model(name)
    world.round("r", workload={"parallelism": len(models)})
    world.until("all run", lambda: world.get("evalrounds", "r")["status"]["counts"].get("running") == len(models))
    return over


def test_jobs_that_are_deleted_without_their_pods_are_followed_when_these_have_ended(
    operator: World, outcomes: Outcomes
) -> None:
    """Each of the pods writes to its evaluation's directory until then, though nothing owns it any more."""
    over = run(operator, outcomes, "m-100", "n-200")
    pods = {pod["metadata"]["uid"] for pod in operator.all("pods", **EVALUATES)}
    jobs = {job["metadata"]["uid"] for job in operator.all("jobs", **EVALUATES)}
    for job in operator.all("jobs", **EVALUATES):
        operator.api.delete(operator.path("jobs", job["metadata"]["name"]) + "?propagationPolicy=Orphan")
    names = [pod["metadata"]["name"] for pod in operator.all("pods", **EVALUATES)]

    def are_named() -> bool:
        results = operator.results("r").values()
        waiting = [r["message"] for r in results if r["state"] == "Pending"]
        return len(waiting) == 2 and all(any(name in text for text in waiting) for name in names)

    operator.until("both wait, and a person may delete their pods", are_named)
    operator.pause(1)
    assert {pod["metadata"]["uid"] for pod in operator.all("pods", **EVALUATES)} == pods
    over.set()
    operator.until_condition("evalrounds", "r", "Complete")
    assert not jobs & {job["metadata"]["uid"] for job in operator.all("jobs", **EVALUATES)}


def test_a_round_that_is_deleted_holds_no_gpu_although_a_finalizer_keeps_it(
    operator: World, outcomes: Outcomes
) -> None:
    run(operator, outcomes, "m-100", "n-200")
    path = operator.path("evalrounds", "r")
    operator.api.merge(path, {"metadata": {"finalizers": ["example.com/keep"]}})
    operator.api.delete(path)
    operator.until("its Jobs are gone", lambda: not operator.all("jobs", **EVALUATES))
    operator.api.merge(path, {"metadata": {"finalizers": None}})
    operator.until("it is gone", lambda: not operator.all("evalrounds"))


def test_others_that_write_all_the_time_keep_no_status_from_being_written(world: World) -> None:
    """Each write of a status conflicts with those of the others, sooner or later."""
    stop = threading.Event()

    def annotate() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            for path in (world.path("evalrounds", "r"), world.path("minermodels", "m-100")):
                world.api.merge(path, {"metadata": {"annotations": {"number": str(number)}}})

    world.model("m-100")
    world.round("r")
    writer = threading.Thread(target=annotate)
    writer.start()
    try:
        world.start_operator()
        world.until_condition("evalrounds", "r", "Complete")
    finally:
        stop.set()
        writer.join()


@contextmanager
def webhook_down(world: World, group: str, version: str, resource: str, operation: str) -> Iterator[None]:
    """Have requests pass a webhook that does not answer, once the API server knows it."""
    rules = [(group, version, operation, resource), ("", "v1", "CREATE", "configmaps")]
    hook = {
        "name": "down.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": 2,
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
        "rules": [{"apiGroups": [g], "apiVersions": [v], "operations": [o], "resources": [r]} for g, v, o, r in rules],
    }

    def known() -> bool:
        try:
            world.api.create(f"{world.path('configmaps')}?dryRun=All", {"metadata": {"name": "probe"}})
        except ApiError as error:
            return "down.example.com" in str(error)
        return False

    world.api.create(WEBHOOKS, {"metadata": {"name": world.namespace}, "webhooks": [hook]})
    try:
        world.until("the API server knows it", known)
        yield
    finally:
        world.api.delete(f"{WEBHOOKS}/{world.namespace}")


@pytest.mark.parametrize(
    ("group", "version", "resource", "operation", "event"),
    [
        pytest.param("batch", "v1", "jobs", "CREATE", "JobNotCreated", id="Jobs"),
        pytest.param("bitagent.io", "v1alpha1", "evalrounds/status", "UPDATE", "StatusNotWritten", id="status"),
    ],
)
def test_a_webhook_that_does_not_answer_is_quoted_and_waited_for(
    operator: World, group: str, version: str, resource: str, operation: str, event: str
) -> None:
    operator.model("m-100")
    operator.until_condition("minermodels", "m-100", "Fetched")
    with webhook_down(operator, group, version, resource, operation):
        operator.round("r")
        said = operator.until("an Event", lambda: operator.events_of(event))
        assert all("down.example.com" in text for text in said)
    operator.until_condition("evalrounds", "r", "Complete")


def test_a_job_that_a_person_scales_down_says_so_and_continues(operator: World, outcomes: Outcomes) -> None:
    over = run(operator, outcomes, "m-100")
    (job,) = operator.all("jobs", **EVALUATES)
    path = operator.path("jobs", job["metadata"]["name"])
    operator.api.merge(path, {"spec": {"parallelism": 0}})
    operator.until("it says so", lambda: operator.results("r")["m-100"]["reason"] == "JobSuspended")
    operator.until("its pod is gone", lambda: not operator.all("pods", **EVALUATES))
    result = operator.results("r")["m-100"]
    assert (result["state"], result["reason"]) == ("Pending", "JobSuspended")
    assert operator.condition("evalrounds", "r", "Running")["reason"] == "JobSuspended"
    over.set()
    operator.api.merge(path, {"spec": {"parallelism": 1}})
    operator.until_condition("evalrounds", "r", "Complete")


def test_a_right_that_is_taken_away_in_mid_round_is_named_and_nothing_is_lost(operator: World) -> None:
    operator.model("m-100")
    operator.until_condition("minermodels", "m-100", "Fetched")
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{operator.namespace}/roles/operator"
    rules = operator.api.get(path)["rules"]
    fewer = [rule | {"resources": [r for r in rule["resources"] if r != "evalrounds/status"]} for rule in rules]
    operator.api.merge(path, {"rules": [rule for rule in fewer if rule["resources"]]})
    operator.round("r")
    operator.until("an Event", lambda: operator.events_of("StatusNotWritten"))
    assert "status" not in operator.get("evalrounds", "r")
    operator.api.merge(path, {"rules": rules})
    operator.until_condition("evalrounds", "r", "Complete")


def test_nodes_whose_devices_come_late_fail_no_round(operator: World, outcomes: Outcomes) -> None:
    """As after a node has started again: its pods are refused until the devices' plugin is there."""
    refused: Obj = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "no healthy devices present"}
    seen: set[str] = set()

    def neglects(pod: Obj) -> bool:
        meta = pod["metadata"]
        if meta.get("labels", {}).get("app.kubernetes.io/component") == "evaluate" and len(seen) < 2:
            path, target = operator.path("pods", meta["name"]), {"apiVersion": "v1", "kind": "Node", "name": "fake-0"}
            if meta["uid"] not in seen:
                operator.api.create(f"{path}/binding", {"metadata": {"name": meta["name"]}, "target": target})
                operator.api.merge(f"{path}/status", {"status": refused})
            seen.add(meta["uid"])
        return meta["uid"] in seen

    operator.kubelet.neglects = neglects
    operator.model("m-100")
    operator.round("r", workload={"maxAttempts": 2})
    operator.until_condition("evalrounds", "r", "Complete")
    assert len(operator.all("jobs", **EVALUATES)) == 2


@pytest.mark.changes_definitions
def test_models_whose_definition_is_deleted_do_not_count_as_deleted(world: World, outcomes: Outcomes) -> None:
    """A complete round without them would take the pay of all miners."""
    world.start_operator()
    over = run(world, outcomes, "m-100", "n-200")
    definition = yaml.safe_load(render(MinerModel))
    path = f"{DEFINITIONS}/{definition['metadata']['name']}"
    world.api.delete(path)
    try:
        world.until("it is gone", lambda: path.rpartition("/")[2] not in str(world.api.get(DEFINITIONS)))
        world.pause(2)
        assert {(r["state"], r["reason"]) for r in world.results("r").values()} == {("Running", "Evaluating")}
        over.set()
        world.until_condition("evalrounds", "r", "Complete")
    finally:
        world.api.create(DEFINITIONS, definition)
    assert {r["state"] for r in world.results("r").values()} == {"Succeeded"}
