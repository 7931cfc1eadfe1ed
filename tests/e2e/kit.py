"""The cluster with the product in it, and the queries of the end-to-end tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bitagent_crds.names import KEY_LABEL, PACK_PREFIX
from bitagent_local.cluster.api import Api
from bitagent_local.cluster.node import Node
from bitagent_local.demo.kubectl import wait_until
from bitagent_local.demo.stack import NAMESPACE, WORLD_NAMESPACE, Stack
from bitagent_local.demo.view import condition

MANAGED = "app.kubernetes.io/managed-by=bitagent-operator"
SECONDS = 900
"""The limit of every wait: many times what a quiet machine takes, since slowness of a busy one is not a failure."""
CPU_SHARE = "100m"
"""Of task-set Jobs and the rewriter as well."""
NO_FURTHER_EPOCH = 1_000_000
"""Blocks of an epoch that outlasts the tests."""
_GROUPS = {"jobs": "/apis/batch/v1", "deployments": "/apis/apps/v1"}
_GROUPS |= dict.fromkeys(("minermodels", "evalrounds", "validators"), "/apis/bitagent.io/v1alpha1")


@dataclass(frozen=True)
class Cluster:
    """The local node with the product installed."""

    node: Node
    stack: Stack
    artifacts: Path
    images: dict[str, str]

    @cached_property
    def api(self) -> Api:
        """The API server, for reads that are repeated: a kubectl process costs thirty times as much."""
        return Api.from_kubeconfig(self.node.kubeconfig)

    def get(self, plural: str, name: str, *, namespace: str = NAMESPACE) -> dict[str, Any]:
        found: dict[str, Any] = self.api.get(f"{_GROUPS.get(plural, '/api/v1')}/namespaces/{namespace}/{plural}/{name}")
        return found

    def items(self, plural: str, *, labels: str = "", fields: str = "") -> list[dict[str, Any]]:
        query = urlencode({"labelSelector": labels, "fieldSelector": fields})
        path = f"{_GROUPS.get(plural, '/api/v1')}/namespaces/{NAMESPACE}/{plural}"
        found: list[dict[str, Any]] = self.api.get(f"{path}?{query}")["items"]
        return found

    def apply(self, *objects: dict[str, Any]) -> None:
        self.stack.kubectl.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def round(self, name: str) -> dict[str, Any]:
        return self.get("evalrounds", name)

    def wait_round(self, name: str) -> dict[str, Any]:
        """The round, once it is complete; a round that fails instead ends the wait with its message."""

        def look() -> dict[str, Any] | None:
            found = self.round(name)
            return found if complete(found) else None

        return wait_until(look, seconds=SECONDS, what=f"EvalRound {name} to be complete", pace=1)

    def follow_round(self, name: str) -> Iterator[dict[str, Any]]:
        """The round at each change, as soon as the API server reports it; the last one is complete."""
        path = f"{_GROUPS['evalrounds']}/namespaces/{NAMESPACE}/evalrounds"
        while True:
            listed = self.api.get(path)
            version, changes = listed["metadata"]["resourceVersion"], [{"object": each} for each in listed["items"]]
            for change in chain(changes, self.api.watch(path, resource_version=version, seconds=60)):
                if change["object"]["metadata"].get("name") == name:
                    yield change["object"]
                    if complete(change["object"]):
                        return

    def evaluate_jobs(self, round_name: str) -> list[dict[str, Any]]:
        return self.items("jobs", labels=f"bitagent.io/round={round_name},app.kubernetes.io/component=evaluate")

    def evaluations(self, round_name: str) -> dict[str, set[str]]:
        """The uids of the round's Jobs by the keys of what they evaluate; that of a pack is there with each of its
        keys."""
        found: dict[str, set[str]] = {}
        for job in self.evaluate_jobs(round_name):
            labels = job["metadata"]["labels"]
            packed = [name.removeprefix(PACK_PREFIX) for name in labels if name.startswith(PACK_PREFIX)]
            for key in packed or [labels[KEY_LABEL]]:
                found.setdefault(key, set()).add(job["metadata"]["uid"])
        return found

    def results_dir(self, round_: dict[str, Any]) -> Path:
        return self.artifacts / "rounds" / round_["metadata"]["uid"]

    def chain_state(self) -> dict[str, Any]:
        address = self.get("services", "chain", namespace=WORLD_NAMESPACE)["spec"]["clusterIP"]
        with urllib.request.urlopen(f"http://{address}:9945/state", timeout=30) as response:
            found: dict[str, Any] = json.load(response)
            return found

    def set_epochs(self, blocks: int) -> None:
        """Make the demo Validator's epochs this long; its later rounds have no greater share of the CPU than others."""
        competition = "/spec/competitions/0"
        patch = [
            {"op": "replace", "path": f"{competition}/schedule/everyBlocks", "value": blocks},
            {"op": "replace", "path": f"{competition}/round/workload/resources/cpu", "value": CPU_SHARE},
        ]
        self.stack.kubectl.run(
            "patch", "validator", "demo", "-n", NAMESPACE, "--type=json", f"--patch={json.dumps(patch)}"
        )

    def processes(self, words: str, *, pods: str) -> list[int]:
        """Process ids on this machine, of pods with these labels, with these words in their command line."""
        uids = [pod["metadata"]["uid"] for pod in self.items("pods", labels=pods)]
        found = subprocess.run(["pgrep", "-f", "--", words], capture_output=True, text=True, check=False).stdout.split()
        mine = []
        for pid in found:
            with suppress(FileNotFoundError, ProcessLookupError):  # It has ended by itself.
                cgroups = Path(f"/proc/{pid}/cgroup").read_text()
                mine += [int(pid)] if any(f"/pod{uid}/" in cgroups for uid in uids) else []
        return mine

    def kill(self, words: str, *, pods: str) -> int:
        """SIGKILL such processes; return how many there were."""
        return kill_all(self.processes(words, pods=pods))


def complete(round_: dict[str, Any]) -> bool:
    """Whether the round is complete; a failed one raises its message."""
    failed = condition(round_, "Failed")
    assert failed["status"] != "True", failed["message"]
    return bool(condition(round_, "Complete")["status"] == "True")


def kill_all(pids: Sequence[int]) -> int:
    """SIGKILL processes; return how many were still there."""
    killed = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def round_of(name: str, *, models: Sequence[str], tasks: dict[str, Any], evaluation: dict[str, Any]) -> dict[str, Any]:
    """An EvalRound that leaves a GPU to others, and whose evaluations have no greater share of the CPU than others."""
    return {
        "apiVersion": "bitagent.io/v1alpha1",
        "kind": "EvalRound",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "models": {"names": list(models)},
            "tasks": tasks,
            "evaluation": {"maxTokens": 64} | evaluation,
            "workload": {
                "parallelism": 1,
                "deadlineSeconds": 1200,
                "resources": {"gpus": 1, "cpu": CPU_SHARE, "memory": "3Gi"},
            },
        },
    }


def lines(path: Path) -> int:
    """Complete lines of a file that may not be there yet."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def jsonl(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines():
        yield json.loads(line)


def result(round_: dict[str, Any], model: str) -> dict[str, Any]:
    found: dict[str, Any] = next(r for r in round_["status"]["results"] if r["model"] == model)
    return found
