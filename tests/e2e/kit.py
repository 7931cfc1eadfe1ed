"""What the end-to-end tests share: a cluster with the product in it, and the few questions they ask it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitagent_local.cluster.node import Node
from bitagent_local.demo.kubectl import wait_until
from bitagent_local.demo.stack import NAMESPACE, WORLD_NAMESPACE, Stack
from bitagent_local.demo.view import condition

MANAGED = "app.kubernetes.io/managed-by=bitagent-operator"


@dataclass(frozen=True)
class Cluster:
    """The local node with the product installed."""

    node: Node
    stack: Stack
    artifacts: Path
    images: dict[str, str]

    def get(self, *args: str) -> Any:
        return self.stack.kubectl.get(*args, "-n", NAMESPACE)

    def items(self, *args: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(*args)["items"]
        return found

    def apply(self, *objects: dict[str, Any]) -> None:
        self.stack.kubectl.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def round(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get("evalrounds", name)
        return found

    def wait_round(self, name: str, *, kind: str = "Complete", seconds: float = 240) -> dict[str, Any]:
        """The round, once the condition is True; a round that fails instead ends the wait with its message."""

        def look() -> dict[str, Any] | None:
            found = self.round(name)
            failed = condition(found, "Failed")
            assert kind == "Failed" or failed["status"] != "True", failed["message"]
            return found if condition(found, kind)["status"] == "True" else None

        return wait_until(look, seconds=seconds, what=f"EvalRound {name} {kind}")

    def evaluate_jobs(self, round_name: str) -> list[dict[str, Any]]:
        return self.items("jobs", "-l", f"bitagent.io/round={round_name},app.kubernetes.io/component=evaluate")

    def results_dir(self, round_: dict[str, Any]) -> Path:
        return self.artifacts / "rounds" / round_["metadata"]["uid"]

    def chain_state(self) -> dict[str, Any]:
        service = self.stack.kubectl.get("service", "chain", "-n", WORLD_NAMESPACE)
        with urllib.request.urlopen(f"http://{service['spec']['clusterIP']}:9945/state", timeout=30) as response:
            found: dict[str, Any] = json.load(response)
            return found

    def processes(self, words: str) -> list[int]:
        """Process ids on this machine, inside the node, whose command line has these words."""
        found = subprocess.run(["pgrep", "-f", "--", words], capture_output=True, text=True, check=False).stdout.split()
        return [int(pid) for pid in found if self.node.scope in Path(f"/proc/{pid}/cgroup").read_text()]

    def kill(self, words: str) -> int:
        """SIGKILL such processes; how many there were."""
        pids = self.processes(words)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return len(pids)


def lines(path: Path) -> int:
    """Complete lines of a file that may not be there yet."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def jsonl(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines():
        yield json.loads(line)


def result(round_: dict[str, Any], model: str) -> dict[str, Any]:
    found: dict[str, Any] = next(r for r in round_["status"]["results"] if r["model"] == model)
    return found
