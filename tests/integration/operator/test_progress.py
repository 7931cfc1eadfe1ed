"""Progress of evaluations on a real API server: it is shown, and what makes none is ended and done again.

A server of this process stands for that of the pods: the kubelet reports its address, and pods name its port.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.names import COMPONENT_LABEL
from bitagent_crds.progress import PROGRESS_PORT_NAME

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Outcomes, World

pytestmark = pytest.mark.integration
Obj = dict[str, Any]
SOON = {
    "bitagent_operator.reconcilers.progress:POLL_SECONDS": 0.3,
    "bitagent_operator.plan.rounds.progress:WRITE_SECONDS": 1,
}


class Pod:
    """What the pods' process answers."""

    def __init__(self) -> None:
        self.said = b"{}"
        pod = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(pod.said)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def says(self, **document: Any) -> None:
        self.said = json.dumps(document).encode()


@pytest.fixture
def pod(world: World) -> Iterator[Pod]:
    """The process of all pods."""
    pod = Pod()
    world.kubelet.address, port = pod.server.server_address[:2]
    named = {"name": PROGRESS_PORT_NAME, "containerPort": port}
    world.constants = SOON | {"bitagent_operator.manifests.evaluate:PROGRESS": named}
    thread = threading.Thread(target=pod.server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    yield pod
    pod.server.shutdown()
    pod.server.server_close()
    thread.join()


class Evaluations:
    """A script in which evaluations run until the test lets them end."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes, self.hang, self.uids = outcomes, True, list[str]()

    def __call__(self, pod: Obj, document: Obj) -> Exit | None:
        if pod["metadata"]["labels"].get(COMPONENT_LABEL) != "evaluate":
            return self._outcomes.usual(pod, document)
        uid = pod["metadata"]["uid"]
        if uid not in self.uids:
            self.uids.append(uid)
        return None if self.hang else self._outcomes.usual(pod, document)


def result(world: World, name: str) -> Obj:
    return world.results(name)["m-500"]


def test_progress_and_its_end_are_shown(world: World, pod: Pod, outcomes: Outcomes) -> None:
    world.kubelet.script = script = Evaluations(outcomes)
    world.start_operator()
    world.model("m-500")
    pod.says(phase="Loading", idleSeconds=1)
    world.round("shown")
    world.until("it loads", lambda: result(world, "shown").get("progress", {}).get("phase") == "Loading")
    pod.says(phase="Generating", done=50, total=200, tokens=900, tokensPerSecond=30.4, later={"x": 1})
    world.until("it generates", lambda: result(world, "shown").get("progress", {}).get("done") == 50)
    said = result(world, "shown")["progress"]
    assert (said["phase"], said["total"], said["tokensPerSecond"]) == ("Generating", 200, 30)
    status = world.get("evalrounds", "shown")["status"]
    assert status["estimate"]["percent"] == 25 and status["estimate"]["text"].startswith("25%, ")
    pod.said = b"\x00" * 99999  # a process that is taken over changes nothing
    script.hang = False
    done = world.until_condition("evalrounds", "shown", "Complete")["status"]
    (ended,) = done["results"]
    assert (ended["score"], "progress" in ended, "estimate" in done) == ("0.500000", False, False)
    assert {"waiting", "pulling", "idle", "load", "generate", "score"} <= ended["seconds"].keys()
    assert done["gpuSeconds"]["generating"] == 2


def test_what_makes_no_progress_is_ended_and_done_again(world: World, pod: Pod, outcomes: Outcomes) -> None:
    world.kubelet.script = script = Evaluations(outcomes)
    world.kubelet.age = 100
    world.start_operator()
    world.model("m-500")
    pod.says(phase="Loading", idleSeconds=90)
    world.round("stalled", workload={"stallSeconds": 60, "maxAttempts": 3})
    world.until("the stall is recorded", lambda: result(world, "stalled").get("stalls"))
    assert result(world, "stalled")["reason"] == "EngineStalled"
    world.until("another pod runs", lambda: len(script.uids) == 2)
    pod.says(phase="Loading", idleSeconds=0)
    assert [text for text in world.events_of("EvaluationDelayed") if "EngineStalled" in text]
    script.hang = False
    world.until_condition("evalrounds", "stalled", "Complete")
    ended = result(world, "stalled")
    assert (ended["state"], ended["attempts"], len(ended["stalls"])) == ("Succeeded", 2, 1)


def test_stalls_without_an_end_end_the_round(world: World, pod: Pod, outcomes: Outcomes) -> None:
    world.kubelet.script = script = Evaluations(outcomes)
    world.kubelet.age = 100
    world.start_operator()
    world.model("m-500")
    pod.says(phase="Loading", idleSeconds=90)
    world.round("hangs", workload={"stallSeconds": 60, "maxAttempts": 2})
    world.until_condition("evalrounds", "hangs", "Failed")
    ended = result(world, "hangs")
    assert (ended["state"], ended["reason"], ended["attempts"]) == ("InfraFault", "EngineStalled", 2)
    assert len(script.uids) == 2
    world.until("no Job holds a GPU", lambda: not world.all("jobs", **{COMPONENT_LABEL: "evaluate"}))
