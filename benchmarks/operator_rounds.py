"""How fast the operator starts and ends rounds, what it writes for them, and how soon another replica follows.

    python benchmarks/operator_rounds.py [--models N] [--rounds N] [--of N] [--failovers N] [--out FILE]

A real etcd, kube-apiserver and kube-controller-manager; a double of the kubelet ends pods at the benchmark's command,
and the operator is a process of its own. Measured are

- one round of `--models` fetched models: from its creation, and from its task set, until the last Job exists; from the
  last pod's exit until it is Complete; and requests that write, by method, for each model,
- one round of `--of` models alone, then `--rounds` of them at once: the same seconds, of the slowest round,
- a holder of the Lease that is killed: until the Lease has another holder, and until that one has created a Job.

No pod ends before all Jobs exist: the double takes longer for the pods of ten rounds than the operator for the rounds.
Writes operator_rounds.json beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from machine import described
from operator_scale import CONFIG, GROUP, PACKAGES, ROOT, create, processor_seconds, resident

sys.path.insert(0, str(ROOT))
from tests.integration.operator.conftest import Exit, Kubelet, Outcomes

from bitagent_crds.generate import KINDS, render
from bitagent_local.cluster.api import Api, ApiError
from bitagent_local.cluster.control_plane import NODELESS, ControlPlane, control_plane

ROUNDS = f"{GROUP}/namespaces/default/evalrounds"
MODELS = f"{GROUP}/namespaces/default/minermodels"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/default/leases/bitagent-operator"
WRITES = ("POST", "PATCH", "DELETE")
SECONDS_AT_MOST = 300.0
Obj = dict[str, Any]


class Pods:
    """How pods end, and when the last one did: evaluations wait while they are held."""

    def __init__(self) -> None:
        self.held, self.task_set = threading.Event(), 0.0
        self.last_exit: dict[str, float] = {}
        """By round."""

    def __call__(self, pod: Obj, document: Obj) -> Exit | None:
        """Return how a pod ends, or None while it runs."""
        if document["kind"] == "Evaluate" and self.held.is_set():
            return None
        if document["kind"] == "TaskSet":
            self.task_set = time.monotonic()
        if document["kind"] != "Evaluate":
            return Outcomes.usual(pod, document)
        self.last_exit[pod["metadata"]["labels"]["bitagent.io/round"]] = time.monotonic()
        return Outcomes.scored("0.500000")


class Timed(NamedTuple):
    """How long a round took."""

    to_last_job: float
    """Seconds from its creation until its last Job existed."""
    to_complete: float
    """Seconds from the exit of its last pod until it was complete."""
    last_job: float
    """When its last Job was created."""


class Operator:
    """A process of the operator, with a port for its metrics."""

    def __init__(self, kubeconfig: Path, folder: Path, pod: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        config, self.log = folder / f"{pod}.yaml", folder / f"{pod}.log"
        config.write_text(yaml.safe_dump(CONFIG | {"metricsPort": self.port}))
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(ROOT / package) for package in PACKAGES)}
        environment |= {"KUBECONFIG": str(kubeconfig), "BITAGENT_CONFIG": str(config), "POD_NAME": pod}
        with self.log.open("ab") as sink:
            command = [sys.executable, "-m", "bitagent_operator"]
            self.process = subprocess.Popen(command, env=environment, stdout=sink, stderr=sink)

    def writes(self) -> Counter[str]:
        """Return the requests that write, by method: those of the Lease replace it, and are none of these."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        found: Counter[str] = Counter()
        for line in re.findall(r"^bitagent_operator_api_requests_total\{.*$", text, re.MULTILINE):
            method = re.search(r'method="([A-Z]+)"', line)
            if method is not None and method[1] in WRITES:
                found[method[1]] += int(float(line.rpartition(" ")[2]))
        return found

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()


def until(what: str, holds: Callable[[], Any], *, seconds: float = SECONDS_AT_MOST) -> float:
    """Return the time at which that is true. Raises SystemExit if it never is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if holds():
                return time.monotonic()
        except (ApiError, KeyError, OSError):
            pass
        time.sleep(0.02)
    raise SystemExit(f"not within {seconds:g} s: {what}")


def at_rest(operator: Operator) -> Counter[str]:
    """Return the writes once there have been none for three seconds: Events and models' histories follow an end."""
    found = operator.writes()
    while True:
        time.sleep(3)
        if (now := operator.writes()) == found:
            return found
        found = now


@contextmanager
def created_jobs(api: Api) -> Iterator[dict[str, float]]:
    """Yield the times at which evaluation Jobs were created, by name, as a watch reports them."""
    created: dict[str, float] = {}
    stop, version = threading.Event(), api.get(f"{JOBS}?limit=1")["metadata"]["resourceVersion"]

    def watch() -> None:
        since = version
        while not stop.is_set():
            for event in api.watch(JOBS, resource_version=since, seconds=2):
                meta = event["object"]["metadata"]
                since = meta["resourceVersion"]
                if event["type"] == "ADDED" and meta["labels"]["app.kubernetes.io/component"] == "evaluate":
                    created.setdefault(meta["name"], time.monotonic())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield created
    finally:
        stop.set()
        watcher.join()


def new_round(api: Api, name: str, models: range) -> float:
    """Create a round of these models; return when."""
    tasks = {"sources": [{"bfcl": {"categories": ["simple_python"]}}], "count": 200, "seed": "1"}
    spec = {"models": {"names": [f"miner-{i}" for i in models]}, "tasks": tasks, "workload": {"parallelism": 1024}}
    body = {"apiVersion": "bitagent.io/v1alpha1", "kind": "EvalRound", "metadata": {"name": name}, "spec": spec}
    began = time.monotonic()
    api.create(ROUNDS, body)
    return began


def complete(api: Api, name: str) -> Callable[[], bool]:
    """Return a function that says whether a round is complete; it raises SystemExit if the round has failed."""

    def holds() -> bool:
        phase = api.get(f"{ROUNDS}/{name}")["status"]["phase"]
        if phase == "Failed":
            raise SystemExit(f"round {name} has failed")
        return bool(phase == "Complete")

    return holds


def run_rounds(api: Api, pods: Pods, rounds: Mapping[str, range]) -> dict[str, Timed]:
    """Create rounds of these models, let their pods end once all Jobs exist, and return how long each round took."""
    pods.held.set()
    number = sum(map(len, rounds.values()))
    with created_jobs(api) as created:
        began = {name: new_round(api, name, models) for name, models in rounds.items()}
        until("all Jobs exist", lambda: len(created) == number)
    pods.held.clear()
    with ThreadPoolExecutor(len(rounds)) as pool:
        ended = dict(zip(rounds, pool.map(lambda name: until(name, complete(api, name)), rounds), strict=True))
    last = {name: max(at for job, at in created.items() if job.startswith(f"{name}-")) for name in rounds}
    return {name: Timed(last[name] - began[name], ended[name] - pods.last_exit[name], last[name]) for name in rounds}


def one_round(api: Api, pods: Pods, operator: Operator, models: int) -> dict[str, Any]:
    """Measure a round from its creation to its end."""
    before, used = operator.writes(), processor_seconds(operator.process.pid)
    found = run_rounds(api, pods, {"one": range(models)})["one"]
    wrote = at_rest(operator) - before
    return {
        "models": models,
        "secondsToLastJob": found.to_last_job,
        "secondsFromTaskSetToLastJob": found.last_job - pods.task_set,
        "secondsFromLastExitToComplete": found.to_complete,
        "writesOfAModel": {method: wrote[method] / models for method in WRITES},
        "processorSeconds": processor_seconds(operator.process.pid) - used,
        "megabytes": resident(operator.process.pid) / 1e6,
    }


def rounds_at_once(api: Api, pods: Pods, rounds: int, models: int) -> dict[str, Any]:
    """Measure one round alone, then several at once."""
    alone = run_rounds(api, pods, {"alone": range(models)})["alone"]
    at_once = {f"at-once-{i}": range(i * models, (i + 1) * models) for i in range(rounds)}
    found = run_rounds(api, pods, at_once).values()
    return {
        "models": models,
        "rounds": rounds,
        "secondsToLastJob": {"alone": alone.to_last_job, "slowest": max(each.to_last_job for each in found)},
        "secondsFromLastExitToComplete": {
            "alone": alone.to_complete,
            "slowest": max(each.to_complete for each in found),
        },
    }


def failover(plane: ControlPlane, folder: Path, operator: Operator, number: int) -> tuple[dict[str, float], Operator]:
    """Measure how soon another process follows one that is killed; return that one, too."""
    api, pod = plane.api, f"operator-{number}"
    other = Operator(plane.kubeconfig, folder, pod)
    until("another one stands by", lambda: "standing by" in other.log.read_text())
    name = f"fresh-{number}"
    source = {"huggingFace": {"repo": f"org/{name}", "revision": "a" * 40}}
    body = {"apiVersion": "bitagent.io/v1alpha1", "kind": "MinerModel", "metadata": {"name": name}}
    operator.kill()
    died = time.monotonic()
    api.create(MODELS, body | {"spec": {"source": source}})
    leads = until("another one leads", lambda: api.get(LEASE)["spec"]["holderIdentity"] == pod) - died
    selector = f"{JOBS}?labelSelector=bitagent.io%2Fmodel%3D{name}"
    acts = until("it has created a Job", lambda: api.get(selector)["items"]) - died
    return {"secondsToLease": leads, "secondsToFirstJob": acts}, other


def rounded(found: Any) -> Any:
    """Return the same with two decimals."""
    if isinstance(found, dict):
        return {key: rounded(value) for key, value in found.items()}
    if isinstance(found, list):
        return [rounded(value) for value in found]
    return round(found, 2) if isinstance(found, float) else found


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--of", type=int, default=24, help="models of each of several rounds")
    parser.add_argument("--failovers", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    result: dict[str, Any] = {"machine": described("bitagent", "kopf", "pydantic"), "at": f"{datetime.now(UTC):%F}"}
    fast = ("--kube-api-qps=500", "--kube-api-burst=1000", "--concurrent-job-syncs=20")
    with (
        control_plane(controllers=NODELESS, controller_arguments=fast) as plane,
        tempfile.TemporaryDirectory() as name,
    ):
        api, folder = plane.api, Path(name)
        for kind in KINDS:
            api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", yaml.safe_load(render(kind)))
        api.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "fake-0"}})
        until("the kinds are served", lambda: "items" in api.get(MODELS) and "items" in api.get(ROUNDS))
        needed = max(options.models, options.rounds * options.of)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda i: create(api, i, "default"), range(needed)))
        pods = Pods()
        with Kubelet(api, "default") as kubelet:
            kubelet.script = pods
            operator = Operator(plane.kubeconfig, folder, "operator")
            try:
                until("it leads", lambda: api.get(LEASE)["spec"]["holderIdentity"] == "operator")
                at_rest(operator)  # the first passes over all models
                for part, measure in {
                    "oneRound": lambda: one_round(api, pods, operator, options.models),
                    "roundsAtOnce": lambda: rounds_at_once(api, pods, options.rounds, options.of),
                }.items():
                    result[part] = rounded(measure())
                    sys.stdout.write(f"{part}: {result[part]}\n")
                    sys.stdout.flush()
                result["failovers"] = []
                for number in range(options.failovers):
                    found, operator = failover(plane, folder, operator, number)
                    result["failovers"].append(rounded(found))
                    sys.stdout.write(f"failover: {result['failovers'][-1]}\n")
                    sys.stdout.flush()
            finally:
                operator.kill()
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
