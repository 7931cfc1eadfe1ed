"""The operator is killed while it works: same results, one Job for each set of weights."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Obj, Outcomes, World

pytestmark = pytest.mark.integration

KILLS = 5
MODELS = 24


def test_five_kills_change_nothing(world: World, outcomes: Outcomes) -> None:
    created: dict[str, set[str]] = {}
    stop = threading.Event()

    def watch() -> None:
        version = "0"
        while not stop.is_set():
            for event in world.api.watch(world.path("jobs"), resource_version=version, seconds=1):
                version, job = event["object"]["metadata"]["resourceVersion"], event["object"]
                if event["type"] == "ADDED":
                    labels = job["metadata"]["labels"]
                    work = labels.get("bitagent.io/key") or labels["bitagent.io/model"]
                    created.setdefault(work, set()).add(job["metadata"]["uid"])

    def script(pod: Obj, document: Obj) -> Exit | None:
        held = random.random() < 0.7  # pods take a while, each a different one
        return None if held else outcomes.usual(pod, document)

    world.kubelet.script = script
    for i in range(MODELS):
        world.model(f"m{i:02}-{i + 100}")
    world.round("killed", workload={"parallelism": 6})
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for kill in range(KILLS):
            world.start_operator()
            world.until("it works", lambda kill=kill: world.log.read_text().count("in sync") > kill)
            world.pause(random.uniform(0.1, 1.0))
            world.kill_operator()
        world.start_operator()
        status = world.until_condition("evalrounds", "killed", "Complete")["status"]
    finally:
        stop.set()
        watcher.join()
    scores = {r["model"]: (r["score"], r["rank"]) for r in status["results"]}
    assert scores == {f"m{i:02}-{i + 100}": (f"0.{i + 100}000", MODELS - i) for i in range(MODELS)}
    assert {work: len(uids) for work, uids in created.items()} == dict.fromkeys(created, 1)
    assert len(created) == 2 * MODELS + 1


def test_a_signal_ends_it_in_order(world: World) -> None:
    process = world.start_operator()
    world.until("in sync", lambda: "in sync" in world.log.read_text())
    process.terminate()
    assert process.wait(timeout=60) == 0
