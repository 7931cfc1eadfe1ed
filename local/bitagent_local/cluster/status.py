"""State of the node, read without changing anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bitagent_local.cluster.addons import DEPLOYMENT, GPU_RESOURCE
from bitagent_local.cluster.api import Api, ApiError
from bitagent_local.cluster.node import NAME, Node
from bitagent_local.cluster.processes import remembered

MARKER = ".bitagent-local"
"""Name of the file that marks a folder as a node's state, which may be removed with the node."""

COMPONENTS = (
    "containerd",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubelet",
    "netpol",
    "registry",
)


@dataclass(frozen=True)
class Status:
    """State of the node at one time."""

    components: Mapping[str, bool]
    """Whether each component runs."""
    problems: tuple[str, ...]
    build: str | None
    """Key of the binaries that it runs; None if it never came up."""
    gpus: int = 0
    places: Mapping[str, str] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Whether any component runs."""
        return any(self.components.values())

    @property
    def healthy(self) -> bool:
        """Whether all components run and Kubernetes reports the node as ready."""
        return not self.problems

    @property
    def summary(self) -> str:
        """The state in one line."""
        if self.healthy:
            return "up"
        return "; ".join(self.problems) if self.running else "down"

    def as_json(self) -> dict[str, Any]:
        """Return the state as JSON, for programs."""
        state = "up" if self.healthy else "broken" if self.running else "down"
        return {
            "state": state,
            "problems": self.problems,
            "components": self.components,
            "gpus": self.gpus,
            **self.places,
        }


def inspect(node: Node) -> Status:
    """Return the state of the node. Takes some milliseconds; only the kubeconfig needs root."""
    alive = dict.fromkeys(COMPONENTS, False)
    alive.update({record.name: record.alive() for record in remembered(node.run)})
    problems = [f"{name} does not run (log: {node.log(name)})" for name, runs in alive.items() if not runs]
    build = _build(node)
    if build is None:
        problems.append("the node never came up")
    gpus = 0
    if not problems:
        try:
            api = Api.from_kubeconfig(node.own_kubeconfig)
            if (why := api.ready()) is not None:
                problems.append(f"kube-apiserver is not ready: {why}")
            else:
                gpus = _look(api, problems)
        except (ApiError, OSError) as error:
            problems.append(str(error))
    places = {
        "kubeconfig": str(node.kubeconfig),
        "server": f"https://{node.address}:6443",
        "registry": node.registry,
        "hostAddress": node.host_address,
        "logs": str(node.logs),
        "onNode": " ".join(node.enter),
    }
    return Status(alive, tuple(problems), build, gpus, places)


def _look(api: Api, problems: list[str]) -> int:
    status = api.get(f"/api/v1/nodes/{NAME}")["status"]
    ready = [condition for condition in status.get("conditions", []) if condition["type"] == "Ready"]
    problems += [f"the node is not ready: {each['message']}" for each in ready if each["status"] != "True"]
    if not api.get(DEPLOYMENT).get("status", {}).get("availableReplicas"):
        problems.append("no pod of kube-system/coredns is ready")
    return int(status.get("capacity", {}).get(GPU_RESOURCE, "0"))


def _build(node: Node) -> str | None:
    try:
        facts: dict[str, str] = json.loads((node.state / MARKER).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return facts.get("build")
