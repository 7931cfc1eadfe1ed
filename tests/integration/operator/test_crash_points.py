"""The operator is killed or ended at a write of a round with a rewriter, a pack or shards, a crash and an archive, and
started again. In a round of a validator its models are branches, and its seed is published once these are fixed.

No Job is made twice, no result is lost, status and Events are those of a round without a kill. A few writes in every
run; `make fuzz` tries all of them.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.integration.operator.test_shards import Shards
from tests.programs import KUBECONFIG, Program

from bitagent_crds.jobs import ArchiveSummary, termination_message
from bitagent_crds.seeds import secret_digest

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Outcomes, Script, World

Obj = dict[str, Any]
pytestmark = pytest.mark.integration

WRITES = 100
"""A little more than such a round has."""
ALL = [f"{side} {number}" for number in range(1, WRITES + 1) for side in ("before", "at", "after")]
FEW = {
    "pack": ["before 3", "after 14", "at 27", "after 40", "after 58"],
    "shards": ["at 30", "before 45"],
    "seed": ["after 24", "at 36"],
}
"""By the variant of the round."""
FUZZ = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
POINTS = [(dies, variant) for variant, few in FEW.items() for dies in (ALL if FUZZ else few)]
PACKING: Obj = {"packing": {"mode": "SameArchitecture", "maxModels": 4}}
VARIANTS: dict[str, Obj] = {"pack": PACKING, "shards": {"workload": {"shards": 2}}, "seed": PACKING}
SECRET = "5" * 64
TASKS: Obj = {"sources": [{"bfcl": {"categories": ["simple_python"]}}], "count": 200, "alterations": [{"rewrite": {}}]}
RESULTS = {
    "good-400": ("Succeeded", "Evaluated", "0.400000", 1, 1),
    "crashed-300": ("Succeeded", "Evaluated", "0.300000", 2, 2),
    "faulty-200": ("ModelFault", "NonFiniteWeights", "0.000000", 3, 1),
    "refused-100": ("Rejected", "BadConfig", None, None, 0),
}
"""State, reason, score, rank and attempts by model."""

EVENTS = Counter(
    {
        ("MinerModel", "good-400", "ModelFetched"): 1,
        ("MinerModel", "crashed-300", "ModelFetched"): 1,
        ("MinerModel", "faulty-200", "ModelFetched"): 1,
        ("MinerModel", "refused-100", "ModelRejected"): 1,
        ("Validator", "main", "ModelFetched"): 1,
        ("Validator", "main", "RewriterReady"): 1,
        ("EvalRound", "r", "RoundStarted"): 1,
        ("EvalRound", "r", "TaskSetBuilt"): 1,
        ("EvalRound", "r", "ModelRejected"): 1,
        ("EvalRound", "r", "EvaluationFailed"): 1,
        ("EvalRound", "r", "ModelEvaluated"): 2,
        ("EvalRound", "r", "RoundComplete"): 1,
        ("EvalRound", "r", "RoundArchived"): 1,
    }
)
"""How often each Event is posted, by object and reason."""


def script(outcomes: Outcomes, crashed: list[str]) -> Script:
    shards = Shards(outcomes)

    def end(pod: Obj, document: Obj) -> Exit | None:
        repo = document.get("repo")
        if document.get("resolveOnly"):
            return outcomes.resolved("a" * 40)
        if document["kind"] == "Archive":
            made = ArchiveSummary.model_validate({"reason": "Archived", "digest": "sha256:" + "d" * 64})
            return outcomes.crashed(0, termination_message(made))
        if document["kind"] == "Fetch" and repo == "org/refused-100":
            return outcomes.refused("BadConfig", "vocabulary")
        if document["kind"] == "Evaluate" and repo == "org/faulty-200":
            return outcomes.refused_evaluation("NonFiniteWeights", "NaN in layer 3")
        if document["kind"] == "Evaluate" and repo == "org/crashed-300" and not crashed:
            crashed.append(pod["metadata"]["name"])
            return outcomes.failed_evaluation("Crashed", "SIGSEGV")
        return outcomes.usual(pod, document) if document.get("shards") is None else shards(pod, document)

    return end


def create_all(world: World, variant: str) -> None:
    path = Path(world.environment["BITAGENT_CONFIG"])
    archive = {"url": "s3://bucket/x", "endpoint": "https://s3.example", "secretName": "s3"}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"archive": archive}))
    validator = {
        "netuid": 20,
        "suspend": True,
        "chain": {"endpoints": ["ws://chain:9944"]},
        "wallet": {"hotkeySecretRef": {"name": "wallet", "key": "hot"}},
        "competitions": [
            {
                "id": "main",
                "schedule": {"everyBlocks": 360},
                "round": {"models": {"matchLabels": {}}, "tasks": TASKS},
            }
        ],
        "rewriter": {
            "source": {"huggingFace": {"repo": "org/rewriter", "revision": "a" * 40}},
            "resources": {"gpus": 0, "cpu": "10m", "memory": "64Mi"},
        },
    }
    world.create("validators", "Validator", "main", validator)
    for model in RESULTS:
        world.model(model, revision="main" if variant == "seed" else "a" * 40)
    sealed = {"seedFrom": {"block": 7, "secretDigest": secret_digest(SECRET)}}
    tasks = TASKS | (sealed if variant == "seed" else {"seed": "1"})
    spec = {"models": {"names": sorted(RESULTS)}, "tasks": tasks} | VARIANTS[variant]
    world.create("evalrounds", "EvalRound", "r", spec, {"bitagent.io/rewriter": "main"})


class Jobs:
    """Every Job that ever was."""

    def __init__(self, world: World) -> None:
        self._world, self._stop = world, threading.Event()
        self.uids: dict[str, set[str]] = {}
        """By name."""
        self.evaluations: Counter[tuple[str, str]] = Counter()
        """By model and attempt."""
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Jobs:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        version, path = "0", self._world.path("jobs")
        while not self._stop.is_set():
            for event in self._world.api.watch(path, resource_version=version, seconds=1):
                version, job = event["object"]["metadata"]["resourceVersion"], event["object"]
                if event["type"] == "ADDED":
                    self._count(job)

    def _count(self, job: Obj) -> None:
        known = self.uids.setdefault(job["metadata"]["name"], set())
        if job["metadata"]["uid"] in known:
            return
        known.add(job["metadata"]["uid"])
        document = self._world.document(job)
        members = [m["job"] for m in document["members"]] if document["kind"] == "Pack" else [document]
        attempt = job["metadata"]["labels"].get("bitagent.io/attempt", "")
        for member in members:
            if member.get("kind", "Evaluate") == "Evaluate":
                self.evaluations[member["repo"], attempt] += 1


def ready_rewriter(world: World) -> None:
    for pod in world.all("pods", **{"app.kubernetes.io/component": "rewriter"}):
        if pod["status"].get("phase") != "Running":
            ready = {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}
            world.api.merge(world.path("pods", pod["metadata"]["name"]) + "/status", {"status": ready})


def publish(world: World) -> None:
    """Publish the round's seed once its models are fixed, as its Validator would."""
    if world.condition("evalrounds", "r", "TasksReady").get("reason") == "WaitingForSeed":
        published = {"blockHash": "0x" + "1" * 64, "secret": SECRET}
        world.api.merge(world.path("evalrounds", "r"), {"spec": {"tasks": {"seedFrom": published}}})


def until_archived(world: World, dying: Program | None) -> None:
    """Wait for the end; an operator that died is followed by one that does not."""

    def over() -> bool:
        ready_rewriter(world)
        if dying is not None and world.operators[-1] is dying and dying.poll() is not None:
            assert dying.poll() in (-signal.SIGKILL, 0), world.log.read_text()[-4000:]
            world.start_operator()
        publish(world)
        if world.condition("evalrounds", "r", "Archived").get("status") != "True":
            return False
        return not world.all("jobs", **{"app.kubernetes.io/component": "archive"})

    world.until("the round is archived", over)


def events_of(world: World) -> Counter[tuple[str, str, str]]:
    """How often each Event was posted, by object and reason; those of other programs are left out."""
    found: Counter[tuple[str, str, str]] = Counter()
    for event in world.all("events"):
        about = event["involvedObject"]
        if about["kind"] in ("MinerModel", "EvalRound", "Validator"):
            found[about["kind"], about["name"], event["reason"]] += 1
    return found


@pytest.mark.parametrize(("dies", "variant"), POINTS)
def test_a_kill_changes_nothing(world: World, outcomes: Outcomes, dies: str, variant: str) -> None:
    sharded = variant == "shards"
    world.kubelet.script = script(outcomes, [])
    create_all(world, variant)
    environment = world.environment | {"POD_NAME": "operator-0", "DIES": dies}
    constants = {KUBECONFIG: environment["KUBECONFIG"]}
    # A shard that has failed is tried again by its Job, after a pause.
    events = EVENTS + Counter({("EvalRound", "r", "EvaluationDelayed"): 1} if sharded else {})
    with Jobs(world) as jobs:
        main = "tests.integration.operator.dying:main"
        dying = Program(main, environment=environment, output=world.log, constants=constants)
        world.operators.append(dying)
        until_archived(world, dying)
        try:
            world.until("Events", lambda: events_of(world) == events, 15)
        except AssertionError:
            assert events_of(world) == events
    results = world.results("r")
    fields = ("state", "reason", "score", "rank", "attempts")
    found = {m: tuple(r.get(f, 0 if f == "attempts" else None) for f in fields) for m, r in results.items()}
    if sharded:  # both shards may have found the fault
        found["faulty-200"] = (*found["faulty-200"][:-1], min(1, found["faulty-200"][-1]))
    assert found == RESULTS
    assert {name: len(uids) for name, uids in jobs.uids.items()} == dict.fromkeys(jobs.uids, 1)
    assert set(jobs.evaluations.values()) == {1}
    assert Counter(repo for repo, _ in jobs.evaluations.elements()) == {
        "org/good-400": 1,
        "org/faulty-200": 1,
        "org/crashed-300": 1 if sharded else 2,
    }
    for model, (_, _, score, _, _) in RESULTS.items():
        latest = world.get("minermodels", model)["status"].get("latest", {})
        assert latest.get("score") == score
