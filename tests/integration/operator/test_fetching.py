"""Fetches on a real API server: many at once, a hub that limits requests, a rollback."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.operator.conftest import Exit, Obj, Outcomes, World

pytestmark = pytest.mark.integration

FETCH = {"app.kubernetes.io/component": "fetch"}
SUBMISSIONS = 300
CROWD, OTHER = "5" * 48, "5" + "6" * 47


def configure(world: World, **changes: Obj) -> None:
    """Change the operator's configuration; the next one that starts has it."""
    path = Path(world.environment["BITAGENT_CONFIG"])
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


class Unfinished:
    """The largest number of fetch Jobs that had not ended at once, as a watch saw it."""

    def __init__(self, world: World) -> None:
        self.peak, self.ended = 0, list[str]()
        self._world = world
        self._jobs: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Unfinished:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        api, path = self._world.api, self._world.path("jobs")
        version = api.get(path)["metadata"]["resourceVersion"]
        while not self._stop.is_set():
            for event in api.watch(path, resource_version=version, seconds=1):
                job = event["object"]
                version = job["metadata"]["resourceVersion"]
                uid, conditions = job["metadata"]["uid"], job.get("status", {}).get("conditions", [])
                over = any(c["type"] in ("Complete", "Failed") for c in conditions)
                if over or event["type"] == "DELETED":
                    if uid in self._jobs:
                        self.ended.append(job["metadata"]["labels"]["bitagent.io/model"])
                    self._jobs.discard(uid)
                else:
                    self._jobs.add(uid)
                self.peak = max(self.peak, len(self._jobs))


@pytest.fixture
def unfinished(world: World) -> Iterator[Unfinished]:
    with Unfinished(world) as seen:
        yield seen


def test_three_hundred_submissions_are_not_three_hundred_pods(world: World, unfinished: Unfinished) -> None:
    """And the last one, of another hotkey, does not wait for them."""
    configure(world, modelsPerHotkey=0, fetch={"maxParallel": 8})
    for index in range(SUBMISSIONS):
        world.model(f"m-{index:03}", miner={"hotkey": CROWD})
    world.model("other", miner={"hotkey": OTHER})
    world.start_operator()
    world.until_condition("minermodels", "other", "Fetched")
    states = [world.condition("minermodels", f"m-{i:03}", "Fetched") for i in range(SUBMISSIONS)]
    assert "WaitingForFetchSlot" in {state.get("reason") for state in states}
    world.until(
        "all are fetched",
        lambda: all(
            any(c["type"] == "Fetched" and c["status"] == "True" for c in m.get("status", {}).get("conditions", []))
            for m in world.all("minermodels")
        ),
        seconds=240,
    )
    world.until("the watch has seen all", lambda: len(set(unfinished.ended)) == SUBMISSIONS + 1)
    assert unfinished.peak == 8
    assert unfinished.ended.index("other") < 24, "two rounds of slots"


def test_a_limit_of_the_hub_holds_all_fetches(world: World, outcomes: Outcomes) -> None:
    second = timedelta(seconds=1)
    plans = "bitagent_operator.plan.models"
    world.constants = {f"{plans}.hub:FIRST_PAUSE": second, f"{plans}.fetch_step:BACKOFF": second}
    world.start_operator()
    limited, fetched = list[str](), list[str]()

    def script(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] == "Fetch" and not limited:
            limited.append(document["repo"])
            return outcomes.postponed("HubRateLimited", retry_after_seconds=12)
        fetched.append(document["repo"])
        return outcomes.usual(pod, document)

    world.kubelet.script = script
    world.model("first")
    world.until(
        "the hub's limit is shown",
        lambda: world.condition("minermodels", "first", "Fetched")["reason"] == "HubRateLimited",
    )
    world.model("second")
    world.until(
        "the other one waits as well",
        lambda: world.condition("minermodels", "second", "Fetched")["reason"] == "HubRateLimited",
    )
    assert [j["metadata"]["labels"]["bitagent.io/model"] for j in world.all("jobs", **FETCH)] == ["first"]
    assert fetched == []
    for name in ("first", "second"):
        world.until_condition("minermodels", name, "Fetched")
    assert limited == ["org/first"]


def test_a_rollback_heals_a_fetch_that_never_started(world: World) -> None:
    wrong = {"evaluator": "example/no-such-image:1", "validator": "example/validator:1"}
    right = {"evaluator": "example/evaluator:1", "validator": "example/validator:1"}
    world.kubelet.unpullable = frozenset({wrong["evaluator"]})
    configure(world, images=wrong)
    world.model("m-500")
    world.start_operator()
    world.until(
        "the image cannot be pulled",
        lambda: world.condition("minermodels", "m-500", "Fetched")["reason"] == "ImagePullFailed",
    )
    world.kill_operator()
    configure(world, images=right)
    world.start_operator()
    world.until_condition("minermodels", "m-500", "Fetched")
    assert world.until("an Event", lambda: world.events_of("JobReplaced"))


def test_a_fetch_that_waits_for_longer_than_it_may_run_is_waited_for(world: World) -> None:
    world.constants = {"bitagent_operator.manifests.fetch:ATTEMPT_SECONDS": 2}
    world.start_operator()
    world.kubelet.neglects = lambda pod: True
    world.model("m-500")
    (pod,) = world.until("a pod", lambda: world.all("pods", **FETCH))
    assert pod["spec"]["activeDeadlineSeconds"] == 2
    world.pause(4)
    assert world.condition("minermodels", "m-500", "Fetched")["status"] == "Unknown"
    world.kubelet.neglects = lambda pod: False
    world.until_condition("minermodels", "m-500", "Fetched")
    assert world.events_of("FetchFailed") == []


def test_a_fetch_that_is_preempted_again_and_again_fails_no_round(world: World, outcomes: Outcomes) -> None:
    """Each of its pods, of more Jobs than the attempts that may fail."""
    world.constants = {
        "bitagent_operator.manifests.fetch:PODS": 1,
        "bitagent_operator.plan.models.fetch_step:BACKOFF": timedelta(seconds=1),
    }
    world.start_operator()
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "by x"}
    removed = outcomes.crashed(137, "", "Error", {"conditions": [condition]})
    jobs: set[str] = set()

    def script(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] != "Fetch":
            return outcomes.usual(pod, document)
        jobs.add(pod["metadata"]["labels"]["job-name"])
        return removed if len(jobs) <= 6 else outcomes.usual(pod, document)

    world.kubelet.script = script
    world.model("m-500")
    world.round("preempted")
    world.until_condition("evalrounds", "preempted", "Complete")
    assert world.events_of("FetchFailed") == []
    assert len(world.events_of("FetchDelayed")) == 1, "not one for each removal"


def test_files_that_the_cache_has_lost_are_fetched_again_in_the_same_round(operator: World, outcomes: Outcomes) -> None:
    """As after an installation with another volume: the condition says Fetched, its evaluation finds nothing."""
    fetches, evaluations = list[str](), list[str]()

    def script(pod: Obj, document: Obj) -> Exit | None:
        name = pod["metadata"]["name"]
        if document["kind"] == "Fetch":
            fetches.append(name)
        if document["kind"] == "Evaluate":
            evaluations.append(name)
            if len(evaluations) == 1:
                return outcomes.postponed_evaluation("ModelFilesMissing")
        return outcomes.usual(pod, document)

    operator.kubelet.script = script
    operator.model("m-500")
    operator.until_condition("minermodels", "m-500", "Fetched")
    operator.round("lost")
    operator.until_condition("evalrounds", "lost", "Complete")
    assert operator.results("lost")["m-500"]["state"] == "Succeeded"
    assert (len(fetches), len(evaluations)) == (2, 2)
