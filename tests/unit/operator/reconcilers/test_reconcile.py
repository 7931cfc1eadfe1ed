"""The reconcilers against an API server in memory, under random delays, losses and kills.

What happens next is drawn at random: events arrive late or, after a restart, not at all; the operator is killed before
any write; pods succeed, crash, or disappear with their result. Whatever it is, the round ends in the same state.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import json
import random
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bitagent_crds.evalround import EvalRoundStatus
from bitagent_crds.jobs import EvaluateSummary, termination_message
from bitagent_crds.model_result import FINAL_STATES, ModelResult, ResultState
from bitagent_crds.names import (
    ATTEMPT_LABEL,
    COMPONENT_LABEL,
    GENERATION_LABEL,
    KEY_LABEL,
    MODEL_LABEL,
    NEED_LABEL,
    SINCE_LABEL,
    Component,
)
from bitagent_kube.client import Client, Listing
from bitagent_kube.events import EventRecorder
from bitagent_kube.objects import EventMessage, ObjectReference
from bitagent_kube.resources import ApiResource
from bitagent_operator.metrics.counters import Metrics
from bitagent_operator.naming import TASKS_KEY, labels
from bitagent_operator.observed.cache import Cache, Key, Kind
from bitagent_operator.reconcilers.context import Context
from bitagent_operator.reconcilers.reconcile import MAX_REPLANS, PlanNotConverged, reconcile

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make

Obj = dict[str, Any]
MODELS = {
    "a": ("1", 5, "0.250000"),
    "b": ("2", None, "0.500000"),
    "c": ("1", 3, "0.250000"),
    "d": ("3", 1, "0.750000"),
    "hungry": ("4", 2, None),
}
"""Name: weights, commit block, score. `a` copies `c`, which was committed earlier; `hungry` never has enough memory."""
BRANCH = "d"
SLOW = timedelta(seconds=50)
"""By how much the nodes' clocks are behind."""


class Killed(Exception):
    """The operator process is gone."""


class Server:
    """Objects by kind and name, and what watches have not delivered yet."""

    namespace = "ns"
    field_manager = "bitagent-operator"

    def __init__(self, make: Make) -> None:
        self.make, self.time = make, 0
        self.objects: dict[tuple[str, str], Obj] = {}
        self.undelivered: list[tuple[str, str, Obj]] = []
        self.created: Counter[str] = Counter()
        self.attempts: Counter[str] = Counter()
        self.writes_left: int | None = None
        self.unserved: set[str] = set()
        self._version = 0

    def put(self, kind: str, obj: Obj) -> Obj:
        self._version += 1
        obj = json.loads(json.dumps(obj))
        obj["metadata"] |= {"resourceVersion": str(self._version)}
        obj["metadata"].setdefault("uid", f"{kind}-{self._version}")
        obj["metadata"].setdefault("creationTimestamp", self.now().strftime("%Y-%m-%dT%H:%M:%SZ"))
        self.objects[kind, obj["metadata"]["name"]] = obj
        self.undelivered.append(("PUT", kind, obj))
        return obj

    def remove(self, kind: str, name: str) -> None:
        self.undelivered.append(("DELETED", kind, self.objects.pop((kind, name))))

    def of(self, kind: str) -> list[Obj]:
        return [o for (k, _), o in sorted(self.objects.items()) if k == kind]

    def now(self) -> Any:
        return self.make.at(self.time)

    def _alive(self) -> None:
        if self.writes_left is not None:
            self.writes_left -= 1
            if self.writes_left < 0:
                raise Killed

    # What reconcilers call
    async def served(self, resource: ApiResource) -> bool:
        return resource.kind not in self.unserved

    async def list(self, resource: ApiResource, *, labels: str = "", fields: str = "") -> list[Obj]:
        selected = dict(pair.split("=") for pair in labels.split(",") if pair).items()
        return [o for o in self.of(resource.kind) if selected <= o["metadata"].get("labels", {}).items()]

    async def pages(self, resource: ApiResource, *, labels: str = "") -> AsyncGenerator[Listing]:
        yield Listing(await self.list(resource, labels=labels), "1")

    async def get(self, resource: ApiResource, name: str) -> Obj | None:
        return self.objects.get((resource.kind, name))

    async def create_or_get(self, obj: Obj) -> tuple[Obj, bool]:
        self._alive()
        kind, name = obj["kind"], obj["metadata"]["name"]
        new = (kind, name) not in self.objects
        if new:
            self.created[name] += 1
            self.attempts[base_name(obj)] += 1
            self.put(kind, obj)
        return self.objects[kind, name], new

    async def write_status(self, resource: ApiResource, name: str, status: Obj, *, version: int) -> Obj | None:
        self._alive()
        old = self.objects.get((resource.kind, name))
        if old is None or old["metadata"]["resourceVersion"] != str(version):
            return None
        return self.put(resource.kind, old | {"status": status})

    async def merge(self, resource: ApiResource, name: str, change: Obj) -> Obj | None:
        raise AssertionError("nothing is suspended here")

    async def delete(self, resource: ApiResource, name: str, *, uid: str) -> None:
        self._alive()
        job = self.objects.get((resource.kind, name))
        if job is None or job["metadata"]["uid"] != uid:
            return
        labels = job["metadata"]["labels"]
        if labels[COMPONENT_LABEL] != Component.FETCH:
            assert self._is_recorded(labels), "deleted before its result was recorded"
            self._remove_with_pods(job)
            return
        model = self.objects["MinerModel", labels[MODEL_LABEL]]
        states = {c["type"]: c["status"] for c in model["status"]["conditions"]}
        superseded = any(
            o["metadata"]["labels"].get(MODEL_LABEL) == labels[MODEL_LABEL] and o is not job for o in self.of("Job")
        )
        assert superseded or states["Fetched"] == "True", "deleted before its result was recorded"
        self._remove_with_pods(job)

    def _remove_with_pods(self, job: Obj) -> None:
        for pod in self.of("Pod"):
            if pod["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]:
                self.remove("Pod", pod["metadata"]["name"])
        self.remove("Job", job["metadata"]["name"])

    def _is_recorded(self, labels: dict[str, str]) -> bool:
        """Whether the round's status has what a Job of it was for, or a later attempt exists."""
        key, attempt = labels[KEY_LABEL], int(labels[ATTEMPT_LABEL])
        of_key = [o["metadata"]["labels"] for o in self.of("Job") if o["metadata"]["labels"].get(KEY_LABEL) == key]
        if any(int(other[ATTEMPT_LABEL]) > attempt for other in of_key):
            return True
        status = EvalRoundStatus.model_validate(self.objects["EvalRound", "r"]["status"])
        if key == TASKS_KEY:
            return status.task_set is not None
        known = {r.evaluation_key: r for r in status.results if r.state != ResultState.DUPLICATE}
        result = known.get(key)  # none of a control
        return result is None or result.state in FINAL_STATES or any(f.attempt >= attempt for f in result.failures)

    async def create(self, obj: Obj) -> Obj:
        assert obj["kind"] == "Event"
        return obj


def base_name(job: Obj) -> str:
    """The Job's name without its attempt."""
    name, attempt = job["metadata"]["name"], job["metadata"]["labels"][ATTEMPT_LABEL]
    return str(name.removesuffix(f"-{attempt}")) if attempt != "1" else str(name)


class Nodes:
    """Job controller and kubelet; the nodes' clocks are slow."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.crashed: set[str] = set()
        self.vanished: set[str] = set()

    def step(self, index: int, how: str) -> None:
        jobs = [j for j in self.server.of("Job") if not j.get("status", {}).get("conditions")]
        if not jobs:
            return
        job = jobs[index % len(jobs)]
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        base = base_name(job)
        if how == "crash" and name not in self.crashed:
            self.crashed.add(name)
            self._pod(job, f"{name}-crashed", 1, "Traceback")
            return
        summary, code, ended = self._summary(job), 0, {"type": "Complete"}
        if how == "vanish" and base not in self.vanished:
            self.vanished.add(base)
        elif summary is None:
            fault = self.server.make.evaluate_fault("OutOfMemory")
            code, ended = 1, {"type": "Failed", "reason": "BackoffLimitExceeded"}
            self._pod(job, f"{name}-hungry", code, fault)
        else:
            self._pod(job, f"{name}-good", code, summary)
        at = self.server.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        ended |= {"status": "True", "lastTransitionTime": at}
        status = {"conditions": [ended], "failed": code}
        self.server.put("Job", self.server.objects["Job", name] | {"status": status})
        assert self.server.objects["Job", name]["metadata"]["uid"] == uid

    def collect_garbage(self, index: int) -> None:
        """Remove the pods of an ended Job: its result is lost, at most once for the same work, or recorded by now."""
        ended = [j for j in self.server.of("Job") if j.get("status", {}).get("conditions")]
        if not ended:
            return
        job = ended[index % len(ended)]
        base, status = base_name(job), self.server.objects["EvalRound", "r"].get("status", {})
        scored = (ModelResult.model_validate(r) for r in status.get("results", []) if r.get("score"))
        keys = {f"r-{result.evaluation_key}" for result in scored}
        if base in self.vanished and base not in keys:
            return
        if job["status"]["conditions"][0]["type"] == "Failed":
            return  # without its pods nothing shows the cause, which then is not the model's own
        self.vanished |= {base} - keys
        for pod in self.server.of("Pod"):
            if pod["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]:
                self.server.remove("Pod", pod["metadata"]["name"])

    def _summary(self, job: Obj) -> str | None:
        """The summary of a Job's pod; None if the pod has too little memory."""
        make = self.server.make
        document = json.loads(job["spec"]["template"]["metadata"]["annotations"]["bitagent.io/job"])
        match document["kind"]:
            case "Fetch":
                return make.fetched(weights=MODELS[document["repo"].removeprefix("org/")][0])
            case "TaskSet":
                return make.built()
            case _:
                score = next(s for w, _, s in MODELS.values() if document["weightsDigest"].endswith(w))
                if score is None:
                    return None
                summary = EvaluateSummary.model_validate({"reason": "Evaluated", "score": score})
                return termination_message(summary)

    def _pod(self, job: Obj, name: str, code: int, message: str) -> None:
        at = (self.server.now() - SLOW).strftime("%Y-%m-%dT%H:%M:%SZ")
        state = {"exitCode": code, "message": message, "startedAt": at, "finishedAt": at}
        status = {"phase": "Failed" if code else "Succeeded", "containerStatuses": [{"state": {"terminated": state}}]}
        meta = {"name": name, "labels": job["metadata"]["labels"]}
        meta["ownerReferences"] = [{"uid": job["metadata"]["uid"], "controller": True}]
        self.server.put("Pod", {"metadata": meta, "spec": {"nodeName": "n1"}, "status": status})


class Clocked(Context):
    """A context whose clock is the server's."""

    def now(self) -> Any:
        return cast(Server, self.client).now()


class AtOnce(EventRecorder):
    """Posts Events when they are submitted."""

    def submit(self, regarding: ObjectReference, messages: Iterable[EventMessage], *, occasion: str = "") -> None:
        for message in messages:
            with contextlib.suppress(StopIteration):
                self._create(regarding, message, occasion).send(None)


class Operator:
    """A process: its cache is lost when it is killed."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.cache = Cache()
        server.undelivered.clear()
        client = cast(Client, server)
        self.queue: dict[Key, None] = {}
        events = AtOnce(client, instance="x")
        self.context = Clocked(server.make.config(), self.cache, client, events, Metrics(), self.enqueue)
        for kind in WATCHES:
            self.enqueue(self.cache.replace(kind, server.of(kind), known=frozenset()))

    def enqueue(self, keys: Iterable[Key]) -> None:
        self.queue |= dict.fromkeys(keys)

    def deliver(self, kind: str, count: int) -> None:
        """The watch of one kind brings its next events; those of other kinds wait."""
        for entry in [e for e in self.server.undelivered if e[1] == kind][:count]:
            self.server.undelivered.remove(entry)
            change, _, obj = entry
            if change == "DELETED":
                self.enqueue(self.cache.drop(kind, obj["metadata"]["uid"]))
            else:
                self.enqueue(self.cache.put(kind, obj))

    async def reconcile(self, index: int) -> None:
        """Work on one of the keys that wait."""
        if not self.queue:
            return
        key = list(self.queue)[index % len(self.queue)]
        del self.queue[key]
        if await reconcile(self.context, key) is not None:
            self.enqueue([key])


WATCHES = ["EvalRound", "MinerModel", "Job", "Pod"]
ACTIONS = ["reconcile"] * 5 + ["deliver"] * 5 + ["node"] * 4 + ["collect", "wait"]


def draw(rng: random.Random, length: int) -> list[tuple[str, Any, Any]]:
    """What happens, one thing after the other; a reconcile may have a number of writes after which the process dies."""
    actions: list[tuple[str, Any, Any]] = []
    for _ in range(length):
        match what := rng.choice(ACTIONS):
            case "reconcile":
                actions.append((what, rng.randint(0, 9), rng.randint(0, 4) if rng.random() < 0.2 else None))
            case "deliver":
                actions.append((what, rng.choice(WATCHES), rng.randint(1, 6)))
            case "node":
                actions.append((what, rng.randint(0, 9), rng.choice(["good", "good", "good", "crash", "vanish"])))
            case "collect":
                actions.append((what, rng.randint(0, 9), None))
            case _:
                actions.append((what, rng.randint(1, 40), None))
    return actions


async def play(make: Make, actions: list[tuple[str, Any, Any]]) -> tuple[Server, Nodes]:
    server = Server(make)
    for name, (weights, block, _) in MODELS.items():
        revision = "main" if name == BRANCH else "a" * 40
        raw = make.model_raw(name, weights=weights, commit_block=block, revision=revision)
        server.put("MinerModel", raw | {"kind": "MinerModel"})
    server.put("EvalRound", make.round_raw("r", workload={"parallelism": 2}) | {"kind": "EvalRound"})
    operator, nodes = Operator(server), Nodes(server)
    for what, one, two in actions:
        if what == "reconcile":
            server.writes_left = two
            try:
                await operator.reconcile(one)
            except* Killed:
                operator = Operator(server)
            server.writes_left = None
        elif what == "deliver":
            operator.deliver(one, two)
        elif what == "node":
            nodes.step(one, two)
        elif what == "collect":
            nodes.collect_garbage(one)
        else:
            server.time += one
    for _ in range(60):  # now everything goes well
        for kind in WATCHES:
            operator.deliver(kind, 10_000)
        for _ in range(len(operator.queue)):
            await operator.reconcile(0)
        nodes.step(0, "good")
        server.time += 20
    assert not server.undelivered, "a settled world is written to"
    assert not operator.queue, "a settled world keeps the operator busy"
    return server, nodes


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), length=st.integers(0, 200))
def test_the_end_does_not_depend_on_the_way(make: Make, seed: int, length: int) -> None:
    actions = draw(random.Random(seed), length)
    server, nodes = asyncio.run(play(make, actions))
    status = server.objects["EvalRound", "r"]["status"]
    found = {r["model"]: (r["state"], r.get("score"), r.get("rank")) for r in status["results"]}
    assert found == {
        "a": ("Duplicate", None, None),
        "b": ("Succeeded", "0.500000", 2),
        "c": ("Succeeded", "0.250000", 3),
        "d": ("Succeeded", "0.750000", 1),
        "hungry": ("Unscored", None, None),
    }
    assert status["phase"] == "Complete"
    assert max(server.created.values()) == 1, "a name was created twice"
    hungry = next(ModelResult.model_validate(r) for r in status["results"] if r["model"] == "hungry")
    repeated = f"r-{hungry.evaluation_key}"
    for base, attempts in server.attempts.items():
        most = 1 + (base in nodes.vanished) + (base == repeated)
        assert attempts <= most, f"{base}: done again although its result was there"
    evaluations = {base for base in server.attempts if base.startswith("r-") and base != "r-tasks"}
    assert len(evaluations) == 5, "one for each set of weights, and one control"
    fetches = Counter(base.partition("-")[0] for base in server.attempts if not base.startswith("r-"))
    assert fetches == {"a": 1, "b": 1, "c": 1, "d": fetches[BRANCH], "hungry": 1}
    assert fetches[BRANCH] <= 2, "a branch is resolved at first sight, and once for the round"
    latest = {o["metadata"]["name"]: o["status"].get("latest", {}).get("rank") for o in server.of("MinerModel")}
    assert latest == {"a": None, "b": 2, "c": 3, "d": 1, "hungry": None}


class Evicting(Nodes):
    """Nodes whose fetches have removed two models."""

    def _summary(self, job: Obj) -> str | None:
        return json.dumps(json.loads(super()._summary(job) or "{}") | {"evictedModels": 2, "evictedBytes": 3000})


async def test_what_a_fetch_removed_from_the_cache_is_counted_once(make: Make) -> None:
    operator = Operator(server := Server(make))
    server.put("MinerModel", make.model_raw("a", revision="a" * 40) | {"kind": "MinerModel"})
    nodes = Evicting(server)
    for _ in range(20):
        for kind in WATCHES:
            operator.deliver(kind, 100)
        for _ in range(len(operator.queue)):
            await operator.reconcile(0)
        nodes.step(0, "good")
        server.time += 20
    registry = operator.context.metrics.registry
    names = ("work_ended_total", "cache_evictions_total", "cache_evicted_bytes_total")
    labels_of = {"work_ended_total": {"component": "fetch", "reason": "Fetched"}}
    found = [registry.get_sample_value(f"bitagent_operator_{name}", labels_of.get(name, {})) for name in names]
    assert found == [1, 2, 3000]


async def test_a_plan_that_does_not_converge_is_given_up(make: Make) -> None:
    """Each live read shows another ended Job without a result: the key then backs off."""
    operator = Operator(server := Server(make))
    server.put("MinerModel", make.model_raw("a") | {"kind": "MinerModel"})
    made = itertools.count(1)

    def next_job() -> None:
        need = f"n{next(made)}"
        purpose = {MODEL_LABEL: "a", GENERATION_LABEL: "1", NEED_LABEL: need, ATTEMPT_LABEL: "1", SINCE_LABEL: need[1:]}
        owners = [{"uid": "uid-a", "controller": True}]
        metadata = {"name": f"a-{need}", "labels": labels(Component.FETCH, purpose), "ownerReferences": owners}
        ended = {"conditions": [{"type": "Complete", "status": "True"}]}
        operator.cache.put("Job", server.put("Job", {"metadata": metadata, "spec": {}, "status": ended}))

    class Restless(Server):
        reads = 0

        async def list(self, resource: ApiResource, *, labels: str = "", fields: str = "") -> list[Obj]:
            Restless.reads += 1
            next_job()
            return []

    next_job()
    operator.cache.put("MinerModel", server.objects["MinerModel", "a"])
    context = dataclasses.replace(operator.context, client=cast(Client, Restless(make)))
    with pytest.raises(PlanNotConverged):
        await reconcile(context, Key(Kind.MODEL, "a"))
    assert Restless.reads == MAX_REPLANS
