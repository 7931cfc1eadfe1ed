"""Jobs, pods and statuses of a running round that something else changes, on a real API server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.integration.operator.test_behind_its_back import EVALUATES, run

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Outcomes, World

pytestmark = pytest.mark.integration
Obj = dict[str, Any]


def change(world: World, kind: str, change_of: Obj) -> None:
    """Merge a change into the round's Jobs or pods of evaluations."""
    for obj in world.all(kind, **EVALUATES):
        world.api.merge(world.path(kind, obj["metadata"]["name"]), change_of)


def strip(world: World, plural: str) -> None:
    """Remove the status of all objects of a kind, as a restore from a backup of objects does."""
    for obj in world.all(plural):
        path = world.path(plural, obj["metadata"]["name"])
        world.api.merge(f"{path}/status", {"status": dict.fromkeys(obj["status"])})


def test_jobs_and_pods_that_are_changed_by_hand_lose_no_result(operator: World, outcomes: Outcomes) -> None:
    over = run(operator, outcomes, "m-100", "n-200")
    jobs = {job["metadata"]["uid"] for job in operator.all("jobs", **EVALUATES)}
    change(operator, "jobs", {"spec": {"parallelism": 3}})
    (annotations,) = {tuple(job["metadata"]["annotations"]) for job in operator.all("jobs", **EVALUATES)}
    change(operator, "jobs", {"metadata": {"annotations": dict.fromkeys(annotations)}})
    for pod in operator.all("pods", **EVALUATES):
        path = operator.path("pods", pod["metadata"]["name"])
        operator.api.merge(f"{path}/status", {"status": {"phase": "Unknown", "reason": "NodeLost"}})
    operator.until("it says so", lambda: {r["reason"] for r in operator.results("r").values()} == {"Evicted"})
    over.set()
    operator.until_condition("evalrounds", "r", "Complete")
    assert {m: r["score"] for m, r in operator.results("r").items()} == {"m-100": "0.100000", "n-200": "0.200000"}
    assert {job["metadata"]["uid"] for job in operator.all("jobs", **EVALUATES)} <= jobs, "none is made again"


def test_a_pod_that_loses_its_labels_is_followed_by_another(operator: World, outcomes: Outcomes) -> None:
    """It belongs to no Job any more; the controller of Jobs makes the next one."""
    over = run(operator, outcomes, "m-100")
    (pod,) = operator.all("pods", **EVALUATES)
    labels = dict.fromkeys(pod["metadata"]["labels"])
    operator.api.merge(operator.path("pods", pod["metadata"]["name"]), {"metadata": {"labels": labels}})
    operator.until("another pod", lambda: operator.all("pods", **EVALUATES))
    over.set()
    operator.until_condition("evalrounds", "r", "Complete")
    assert len(operator.all("jobs", **EVALUATES)) == 1


def test_jobs_that_lose_all_labels_are_found_again(world: World, outcomes: Outcomes) -> None:
    """The next full list does not have them; their pods hold what they work on, and none of it is done twice."""
    path = Path(world.environment["BITAGENT_CONFIG"])
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"relistSeconds": 10}))
    world.start_operator()
    over = run(world, outcomes, "m-500", "m-250")
    jobs = world.all("jobs")
    for job in jobs:
        labels = dict.fromkeys(job["metadata"]["labels"]) | {"left": "over"}  # without any they come back by themselves
        world.api.merge(world.path("jobs", job["metadata"]["name"]), {"metadata": {"labels": labels}})
    world.until("they wait", lambda: {r["state"] for r in world.results("r").values()} == {"Pending"})
    over.set()
    world.until_condition("evalrounds", "r", "Complete")
    assert {m: r["score"] for m, r in world.results("r").items()} == {"m-500": "0.500000", "m-250": "0.250000"}
    assert {job["metadata"]["uid"] for job in world.all("jobs")} == {job["metadata"]["uid"] for job in jobs}


def test_statuses_that_are_stripped_are_written_again(operator: World, outcomes: Outcomes) -> None:
    over = run(operator, outcomes, "m-100", "n-200")
    jobs = {job["metadata"]["uid"]: job["metadata"]["name"] for job in operator.all("jobs")}
    strip(operator, "minermodels")
    for model in ("m-100", "n-200"):
        operator.until_condition("minermodels", model, "Fetched")
    strip(operator, "evalrounds")

    def running() -> bool:
        status = operator.get("evalrounds", "r").get("status", {})
        return bool(status.get("counts", {}).get("running") == len(status.get("results", ())) == 2)

    operator.until("it runs", running)
    operator.api.merge(operator.path("evalrounds", "r") + "/status", {"status": {"conditions": []}})
    operator.until("its conditions are back", lambda: operator.condition("evalrounds", "r", "Running"))
    over.set()
    operator.until_condition("evalrounds", "r", "Complete")
    assert {m: r["score"] for m, r in operator.results("r").items()} == {"m-100": "0.100000", "n-200": "0.200000"}
    assert {job["metadata"]["uid"]: job["metadata"]["name"] for job in operator.all("jobs")} == jobs, (
        "none is made again"
    )
