"""Two rounds share the evaluation Jobs that may run at once: never more than the bound, and neither starves."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Obj, Outcomes, World

pytestmark = pytest.mark.integration

EVALUATE = {"app.kubernetes.io/component": "evaluate"}
BOUND = 4


def running(world: World, name: str) -> int:
    """Evaluation Jobs of a round that have not ended."""
    jobs = world.all("jobs", **EVALUATE, **{"bitagent.io/round": name})
    ends = [{c["type"] for c in job.get("status", {}).get("conditions", [])} for job in jobs]
    return sum(not found & {"Complete", "Failed"} for found in ends)


def test_rounds_share_what_may_run_at_once(world: World, outcomes: Outcomes) -> None:
    path = Path(world.environment["BITAGENT_CONFIG"])
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"evaluations": {"maxParallel": BOUND}}))
    let_go = threading.Semaphore(0)
    most = 0

    def script(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] == "Evaluate" and not let_go.acquire(blocking=False):
            return None
        return outcomes.usual(pod, document)

    world.kubelet.script = script
    world.start_operator()
    for number in range(1, 9):
        world.model(f"m-{number}00")
    world.round("first", workload={"parallelism": 8})
    world.until("the first round has all slots", lambda: running(world, "first") == BOUND)
    world.round("second", workload={"parallelism": 8})
    found = world.until(
        "the second one says that it waits, and its place",
        lambda: (c := world.condition("evalrounds", "second", "Running")) and "maxParallel" in c["message"] and c,
    )
    assert (found["reason"], "number 1" in found["message"]) == ("WaitingForSlot", True)
    assert {r["reason"] for r in world.results("second").values()} == {"WaitingForSlot"}
    assert running(world, "second") == 0, "nothing is taken from a round"
    for share in ((3, 1), (2, 2)):
        let_go.release()
        world.until(f"shares {share}", lambda share=share: (running(world, "first"), running(world, "second")) == share)
    let_go.release(100)

    def both() -> bool:
        nonlocal most
        # By pods: a Job is seen to end after the last of them, which holds the GPU.
        pods = world.all("pods", **EVALUATE)
        most = max(most, sum(pod["status"].get("phase") not in ("Succeeded", "Failed") for pod in pods))
        return all(
            world.condition("evalrounds", name, "Complete").get("status") == "True" for name in ("first", "second")
        )

    world.until("both complete", both)
    assert most <= BOUND
    assert len(world.all("jobs", **EVALUATE)) == 16, "each model once in each round"
