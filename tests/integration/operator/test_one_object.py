"""One object never stops the others, on a real API server: names, objects of other versions, Jobs that are refused."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bitagent_crds.evalround import EvalRound
from bitagent_crds.generate import render
from bitagent_crds.minermodel import MinerModel
from bitagent_crds.schema import Resource
from bitagent_local.cluster.api import ApiError

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Outcomes, World

pytestmark = pytest.mark.integration
Obj = dict[str, Any]
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@contextmanager
def loose_definition(world: World, kind: type[Resource]) -> Iterator[None]:
    """A definition that accepts everything, like an older one; the present one comes back at the end."""
    present = yaml.safe_load(render(kind))
    name, loose = present["metadata"]["name"], copy.deepcopy(present)
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"] |= {"spec": anything, "status": anything}
    world.api.merge(f"{DEFINITIONS}/{name}", {"spec": loose["spec"]})
    try:
        yield
    finally:
        world.api.merge(f"{DEFINITIONS}/{name}", {"spec": present["spec"]})


def create_loosely(world: World, plural: str, make: Any) -> None:
    """Create an object as soon as the API server takes it."""

    def created() -> bool:
        try:
            make()
        except ApiError as error:
            if error.status == 409:
                return True
            time.sleep(0.2)
            return False
        return True

    world.until(f"the {plural} is accepted", created)


def test_names_with_dots_compete(operator: World) -> None:
    for name in ("llama-3.1-8b", "qwen2.5-0.5b", "m-500", "m-250"):
        operator.model(name, repo=f"org/{name.replace('.', '')}-375")
    operator.round("week-1.2")
    done = operator.until_condition("evalrounds", "week-1.2", "Complete")
    results = {r["model"]: r["state"] for r in done["status"]["results"]}
    assert results == dict.fromkeys(("llama-3.1-8b", "qwen2.5-0.5b", "m-500", "m-250"), "Succeeded")

    def reported() -> bool:
        latest = operator.get("minermodels", "llama-3.1-8b")["status"]["latest"]
        return bool(latest["round"] == "week-1.2" and latest["score"] == "0.375000")

    operator.until("the model has its score", reported)


@pytest.mark.changes_definitions
@pytest.mark.parametrize(
    ("spec", "field"),
    [
        pytest.param({"models": {"matchLabels": {"bad key!": "x"}}}, "spec.models.matchLabels", id="selector"),
        pytest.param(
            {"workload": {"tolerations": [{"key": "gpu", "operator": "Exists", "value": "x"}]}},
            "spec.workload.tolerations.0",
            id="toleration",
        ),
    ],
)
def test_a_round_of_an_older_definition_says_what_is_wrong(operator: World, spec: Obj, field: str) -> None:
    with pytest.raises(ApiError, match=r"label key|takes no value"):
        operator.round("refused", **spec)
    with loose_definition(operator, EvalRound):
        create_loosely(operator, "round", lambda: operator.round("bad", **spec))
    stalled = operator.until("it says so", lambda: operator.condition("evalrounds", "bad", "Stalled"))
    assert (stalled["status"], stalled["reason"]) == ("True", "Invalid")
    assert stalled["message"].startswith(field)
    operator.until("an Event says it too", lambda: operator.events_of("Invalid"))
    operator.model("m-500")
    operator.round("good")
    operator.until_condition("evalrounds", "good", "Complete")
    assert len(operator.events_of("Invalid")) == 1, "once"


def test_a_model_of_a_later_version_is_in_the_round(operator: World) -> None:
    for name in ("m-500", "m-250", "m-125"):
        operator.model(name)
        operator.until_condition("minermodels", name, "Fetched")
    later = operator.get("minermodels", "m-250")["status"]
    for condition in later["conditions"]:
        condition["reason"] = "NeverHeardOf"
    later["conditions"].append(later["conditions"][0] | {"type": "Polished"})
    operator.api.merge(operator.path("minermodels", "m-250/status"), {"status": later | {"addedLater": {"a": [1]}}})
    operator.round("all")
    done = operator.until_condition("evalrounds", "all", "Complete")
    assert {r["model"]: r["state"] for r in done["status"]["results"]} == dict.fromkeys(
        ("m-500", "m-250", "m-125"), "Succeeded"
    )
    operator.until("its score", lambda: operator.get("minermodels", "m-250")["status"].get("latest"))
    status = operator.get("minermodels", "m-250")["status"]
    assert status["addedLater"] == {"a": [1]}
    assert operator.condition("minermodels", "m-250", "Polished")["reason"] == "NeverHeardOf"


@pytest.mark.changes_definitions
def test_a_round_waits_for_a_model_that_cannot_be_read(operator: World) -> None:
    operator.model("m-500")
    with loose_definition(operator, MinerModel):
        create_loosely(operator, "model", lambda: operator.model("m-250", repo="org/.."))
    operator.until("it says so", lambda: operator.condition("minermodels", "m-250", "Stalled"))
    operator.round("both")

    def waits() -> bool:
        condition = operator.condition("evalrounds", "both", "Running")
        named = "m-250: spec.source.huggingFace.repo" in condition["message"]
        return bool(condition["reason"] == "ModelInvalid" and named)

    operator.until("the round names it", waits)
    operator.api.delete(operator.path("minermodels", "m-250"))
    operator.until_condition("evalrounds", "both", "Complete")


def test_a_job_whose_labels_somebody_changes_stops_no_round(operator: World, outcomes: Outcomes) -> None:
    held = True

    def script(pod: Obj, document: Obj) -> Exit | None:
        return None if held and document["kind"] == "Evaluate" else outcomes.usual(pod, document)

    operator.kubelet.script = script
    for name in ("m-500", "m-250"):
        operator.model(name)
    operator.round("r")
    evaluations = {"app.kubernetes.io/component": "evaluate"}
    operator.until("its Jobs", lambda: len(operator.all("jobs", **evaluations)) == 2)
    one, two = (job["metadata"]["name"] for job in operator.all("jobs", **evaluations))
    operator.api.merge(operator.path("jobs", one), {"metadata": {"labels": {"bitagent.io/attempt": "x"}}})
    operator.api.merge(operator.path("jobs", two), {"metadata": {"labels": {"bitagent.io/key": None}}})
    operator.model("seen-100")
    operator.until_condition("minermodels", "seen-100", "Fetched")
    held = False
    operator.until_condition("evalrounds", "r", "Complete")
    assert {r["attempts"] for r in operator.results("r").values()} == {1}
    assert operator.events_of("Invalid") == []


def test_jobs_that_a_quota_refuses_wait_with_its_words(world: World) -> None:
    quota = {"metadata": {"name": "jobs"}, "spec": {"hard": {"count/jobs.batch": "0"}}}
    world.api.create(world.path("resourcequotas"), quota)
    world.until("quota in force", lambda: world.get("resourcequotas", "jobs")["status"]["hard"])
    world.start_operator()
    world.model("m-500")
    world.round("waits")

    def said() -> bool:
        found = world.condition("evalrounds", "waits", "TasksReady"), world.condition("minermodels", "m-500", "Fetched")
        return all(c["reason"] == "JobRefused" and "exceeded quota: jobs" in c["message"] for c in found)

    world.until("round and model have the server's words", said)
    world.api.delete(world.path("resourcequotas", "jobs"))
    world.until_condition("evalrounds", "waits", "Complete")
