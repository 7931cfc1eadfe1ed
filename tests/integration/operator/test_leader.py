"""Two operators of one namespace, as processes: one acts, and another follows it without doing anything twice."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from bitagent_crds.generate import render
from bitagent_crds.validator import Validator

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Obj, Outcomes, World

pytestmark = pytest.mark.integration

MODELS = 12
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
Ports = Callable[[], int]


def lease(world: World) -> Obj:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{world.namespace}/leases/bitagent-operator"
    found: Obj = world.api.get(path)
    return found


def until_leads(world: World, pod: str, seconds: float = 60) -> None:
    world.until(f"{pod} leads", lambda: lease(world)["spec"]["holderIdentity"] == pod, seconds)


@contextmanager
def created_jobs(world: World) -> Iterator[dict[str, set[str]]]:
    """The uids of all Jobs that are created meanwhile, by name."""
    created: dict[str, set[str]] = {}
    stop = threading.Event()

    def watch() -> None:
        version = "0"
        while not stop.is_set():
            for event in world.api.watch(world.path("jobs"), resource_version=version, seconds=1):
                meta = event["object"]["metadata"]
                version = meta["resourceVersion"]
                if event["type"] == "ADDED":
                    created.setdefault(meta["name"], set()).add(meta["uid"])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield created
    finally:
        stop.set()
        watcher.join()


def test_a_leader_that_is_killed_in_mid_round_is_followed(world: World, outcomes: Outcomes) -> None:
    held = threading.Event()

    def script(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] == "Evaluate" and not held.is_set():
            return None
        return outcomes.usual(pod, document)

    world.kubelet.script = script
    first = world.start_operator(pod="operator-0")
    until_leads(world, "operator-0")
    world.start_operator(pod="operator-1")
    world.until("it stands by", lambda: "standing by: operator-0 acts" in world.log.read_text())
    with created_jobs(world) as created:
        for i in range(MODELS):
            world.model(f"m{i:02}-{i + 100}")
        world.round("followed", workload={"parallelism": MODELS})
        world.until("all run", lambda: world.get("evalrounds", "followed")["status"]["counts"].get("running") == MODELS)
        first.kill()
        until_leads(world, "operator-1")
        held.set()
        status = world.until_condition("evalrounds", "followed", "Complete")["status"]
    assert {r["model"]: r["rank"] for r in status["results"]} == {
        f"m{i:02}-{i + 100}": MODELS - i for i in range(MODELS)
    }
    assert {name: len(uids) for name, uids in created.items()} == dict.fromkeys(created, 1)
    assert len(created) == 2 * MODELS + 1
    world.until("the Event", lambda: world.events_of("RoundComplete"))
    counts = Counter((e["reason"], e["message"]) for e in world.all("events"))
    for reason, number in (("RoundStarted", 1), ("TaskSetBuilt", 1), ("RoundComplete", 1)):
        assert sum(n for (r, _), n in counts.items() if r == reason) == number
    evaluated = [message for reason, message in counts.elements() if reason == "ModelEvaluated"]
    assert len(evaluated) == len(set(evaluated)) == MODELS


def test_a_leader_that_ends_in_order_is_followed_at_once(world: World) -> None:
    first = world.start_operator(pod="operator-0")
    until_leads(world, "operator-0")
    second = world.start_operator(pod="operator-1")
    world.until("it stands by", lambda: "standing by: operator-0 acts" in world.log.read_text())
    world.model("m-500")
    world.until_condition("minermodels", "m-500", "Fetched")
    first.terminate()
    assert first.wait(timeout=60) == 0
    assert lease(world)["spec"]["holderIdentity"] != "operator-0", "given up before the process ended"
    until_leads(world, "operator-1")
    assert lease(world)["spec"]["leaseTransitions"] == 2
    world.round("after")
    world.until_condition("evalrounds", "after", "Complete")
    assert second.poll() is None


def test_events_of_a_pass_that_was_cut_off_are_posted_later_once(world: World) -> None:
    """As if the process had been killed between the status and its Events: they are gone, the status is there."""
    process = world.start_operator()
    world.model("m-500")
    world.round("reported-later")
    world.until_condition("evalrounds", "reported-later", "Complete")
    world.until("the Event", lambda: world.events_of("RoundComplete"))
    process.terminate()
    process.wait(timeout=60)
    (event,) = [e for e in world.all("events") if e["reason"] == "RoundComplete"]
    world.api.delete(world.path("events", event["metadata"]["name"]))
    world.start_operator()
    world.until("the Event, again", lambda: world.events_of("RoundComplete"))
    assert world.events_of("RoundComplete") == [event["message"]]
    assert len(world.events_of("ModelFetched")) == 1, "what was posted is not posted again"


@pytest.fixture
def readiness(world: World, unused_tcp_port_factory: Ports) -> Callable[[], tuple[int, str]]:
    """Ask /readyz of the operator that is started next, whose Deployment is `two`."""
    port = unused_tcp_port_factory()
    config = yaml.safe_load(Path(world.environment["BITAGENT_CONFIG"]).read_text())
    path = world.log.parent / "two.yaml"
    path.write_text(json.dumps(config | {"deployment": "two", "healthPort": port}))
    world.environment["CONFIG_OF_TWO"] = str(path)

    def ask() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    return ask


def test_a_second_release_does_nothing_and_says_so(world: World, readiness: Callable[[], tuple[int, str]]) -> None:
    other = world.environment["CONFIG_OF_TWO"]
    world.start_operator(pod="two-0", BITAGENT_CONFIG=other)
    until_leads(world, "two/two-0")
    assert readiness()[0] == 200
    third = json.loads(Path(other).read_text()) | {"deployment": "three", "healthPort": 0}
    path = world.log.parent / "three.yaml"
    path.write_text(json.dumps(third))
    world.start_operator(pod="three-0", BITAGENT_CONFIG=str(path))
    world.until("it says so", lambda: "another release, two, operates namespace" in world.log.read_text())
    world.model("m-500")
    world.round("one")
    world.until_condition("evalrounds", "one", "Complete")
    assert lease(world)["spec"]["holderIdentity"] == "two/two-0"


@pytest.mark.changes_definitions
def test_a_definition_that_is_deleted_stops_that_kind_only(
    world: World, readiness: Callable[[], tuple[int, str]]
) -> None:
    process = world.start_operator(pod="two-0", BITAGENT_CONFIG=world.environment["CONFIG_OF_TWO"])
    world.until("it is ready", lambda: readiness()[0] == 200)
    definition = yaml.safe_load(render(Validator))
    path = f"{DEFINITIONS}/{definition['metadata']['name']}"
    world.api.delete(path)
    try:
        world.until("it says which", lambda: "validators.bitagent.io are not served" in readiness()[1])
        world.model("m-500")
        world.round("goes-on")
        world.until_condition("evalrounds", "goes-on", "Complete")
    finally:
        world.until("the definition is gone", lambda: not _exists(world, path))
        world.api.create(DEFINITIONS, definition)
    world.until("it is ready again", lambda: readiness()[0] == 200)
    assert process.poll() is None


def _exists(world: World, path: str) -> bool:
    return any(path.endswith(each["metadata"]["name"]) for each in world.api.get(DEFINITIONS)["items"])
