"""Real API server, simulated chain, and the validator as the process that it is in its pod, with a pod's rights."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import bittensor
import pytest
from tests.programs import KUBECONFIG, Program

from bitagent_crds.schema import API_VERSION
from bitagent_local.chain import keys
from bitagent_local.cluster.control_plane import ControlPlane
from bitagent_local.cluster.ports import free_ports
from bitagent_operator.manifests.rbac import validator_rules

Obj = dict[str, Any]

NETUID = 20
ESCROW = Path(__file__).parents[3] / "local" / "escrow"
SECONDS_PER_BLOCK = 0.25
SECONDS_PER_SLOW_BLOCK = 3.0
RBAC = "rbac.authorization.k8s.io/v1"
NUMBERS = count(1)
PORTS = re.compile(r"ws port (?P<ws>\d+), admin on http port (?P<admin>\d+)")
"""The ports that the chain chose, in its log."""


def eventually(probe: Callable[[], Any], *, what: str, seconds: float = 120.0) -> Any:
    """The first truthy answer of the probe. A probe may raise KeyError for a member that is not there yet."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if answer := probe():
                return answer
        except KeyError:
            pass
        time.sleep(0.1)
    pytest.fail(f"not within {seconds:g} s: {what}")


def free_port() -> int:
    return free_ports(1)[0]


@pytest.fixture(name="eventually", scope="session")
def _eventually() -> Callable[..., Any]:
    """Wait for something to come true."""
    return eventually


@pytest.fixture(name="free_port", scope="session")
def _free_port() -> Callable[[], int]:
    """Find a port to listen on."""
    return free_port


@dataclass
class Chain:
    """A simulated chain in a process of its own."""

    process: Program
    port: int
    admin_port: int

    @property
    def admin(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def endpoint(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def state(self) -> Obj:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/state", timeout=60) as answer:
            content: Obj = json.load(answer)
            return content

    def post(self, what: str, **body: Any) -> None:
        data = json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.admin_port}/{what}", data=data, method="POST")
        urllib.request.urlopen(request, timeout=60).read()

    def settings(self) -> list[Obj]:
        """Extrinsics that set weights, with their outcome."""
        return [e for e in self.state()["extrinsics"] if "weights" in e["call"]]

    def weights(self, uri: str = "//Validator") -> dict[str, int]:
        """The row of a validator, u16 by hotkey."""
        return dict(self.state()["weights"].get(keys.address(uri), {}).get("weights", {}))

    def wait_blocks(self, blocks: int) -> None:
        target = self.state()["block"] + blocks
        eventually(lambda: self.state()["block"] >= target, what=f"{blocks} more blocks")

    def include_next(self) -> None:
        """Make a block when a transaction waits for one, and few until then; return when weights are in one.

        A transaction is valid for 32 blocks after the last final one: 8 s, in which a busy machine signs nothing.
        """
        self.post("faults", stall_blocks=True)
        due = time.monotonic() + SECONDS_PER_SLOW_BLOCK

        def included() -> list[Obj]:
            nonlocal due
            if self.state()["pool"] or time.monotonic() > due:
                self.post("blocks", count=1)
                due = time.monotonic() + SECONDS_PER_SLOW_BLOCK
            return self.settings()

        eventually(included, what="weights are in a block")
        self.post("faults", stall_blocks=False)

    def block_hash(self, block: int) -> str:
        with bittensor.Subtensor(self.endpoint, fallback_endpoints=[], archive_endpoints=[]) as client:
            return str(client.block_info(block).hash)


@pytest.fixture
def start_chain(tmp_path: Path) -> Iterator[Callable[..., Chain]]:
    """Start a chain with a validator that may set weights and four miners; arguments change the seed."""
    with ExitStack() as stack:

        def start(
            *,
            permit: bool = True,
            stake: int = 10_000,
            seeded: Obj | None = None,
            owner: bool = False,
            **hyperparameters: Any,
        ) -> Chain:
            neurons = [{"hotkey": "//Validator", "stake": stake, "permit": permit}]
            neurons += [{"hotkey": f"//{name}"} for name in ("a", "b", "c", "d")]
            neurons += [{"hotkey": "//Owner", "coldkey": "//Owner-cold"}] if owner else []
            # Weights are set again after a fifth of the cutoff: by its default after 14 s, which a busy machine takes.
            rules = {"weights_rate_limit": 4, "min_allowed_weights": 1, "activity_cutoff_factor": 1_000_000}
            rules |= hyperparameters
            seed = tmp_path / f"seed-{next(NUMBERS)}.json"
            seed.write_text(
                json.dumps({"netuid": NETUID, "neurons": neurons, "hyperparameters": rules} | (seeded or {}))
            )
            command = ["serve", "--host", "127.0.0.1", "--port", "0", "--admin-port", "0", "--seed-file", str(seed)]
            command += ["--seconds-per-block", str(SECONDS_PER_BLOCK)]
            log = seed.with_name(f"chain-{seed.stem}.log")
            process = Program("bitagent_local.chain.__main__:main", command, environment=os.environ, output=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
            found = eventually(lambda: PORTS.search(log.read_text()), what="the chain listens")
            return Chain(process, int(found["ws"]), int(found["admin"]))

        yield start


@dataclass
class World:
    """A namespace with one Validator, and what a test does in it."""

    plane: ControlPlane
    chain: Chain
    namespace: str
    folder: Path
    kubeconfig: Path
    hotkey_file: Path
    processes: list[Program] = field(default_factory=list)

    def at(self, plural: str, name: str = "", group: str = f"apis/{API_VERSION}") -> str:
        return "/".join(p for p in (f"/{group}/namespaces/{self.namespace}", plural, name) if p)

    def create(self, plural: str, kind: str, name: str, spec: Obj) -> None:
        body = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
        self.plane.api.create(self.at(plural), body)

    def validator(self) -> Obj:
        content: Obj = self.plane.api.get(self.at("validators", "val"))
        return content

    def condition(self, kind: str) -> tuple[str, str]:
        """Status and reason; empty before it is reported."""
        conditions = self.validator().get("status", {}).get("conditions", [])
        return next(((c["status"], c["reason"]) for c in conditions if c["type"] == kind), ("", ""))

    def rounds(self) -> list[Obj]:
        """EvalRounds, oldest epoch first."""
        items = [r for r in self.plane.api.get(self.at("evalrounds"))["items"] if not r["spec"].get("tasksOnly")]
        return sorted(items, key=lambda r: int(r["metadata"]["labels"]["bitagent.io/epoch"]))

    def pools(self) -> list[Obj]:
        """EvalRounds that only build tasks, oldest period first."""
        items = [r for r in self.plane.api.get(self.at("evalrounds"))["items"] if r["spec"].get("tasksOnly")]
        return sorted(items, key=lambda r: int(r["metadata"]["labels"]["bitagent.io/online"]))

    def wait_round(self, number: int = 1) -> Obj:
        rounds = eventually(lambda: r if len(r := self.rounds()) >= number else None, what=f"round {number} is created")
        last: Obj = rounds[number - 1]
        return last

    def freeze(self, round_: Obj) -> None:
        """Be the operator: freeze a round's set, and fix its models."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        entry = {"state": "Pending", "reason": "WaitingForTasks", "commit": "c" * 40}
        results = [entry | {"model": name, "repo": f"{name}/model"} for name in ("a", "b", "c", "d")]
        body = {"status": {"startedAt": now, "results": results, "conditions": []}}
        self.plane.api.merge(self.at("evalrounds", round_["metadata"]["name"]) + "/status", body)

    def wait_seed(self, round_: Obj) -> Obj:
        """What the round knows about its seed once that is published."""

        def published() -> Obj | None:
            found: Obj = self.plane.api.get(self.at("evalrounds", round_["metadata"]["name"]))["spec"]["tasks"]
            return found["seedFrom"] if "secret" in found["seedFrom"] else None

        seed_from: Obj = eventually(published, what="the seed is published")
        return seed_from

    def report(self, round_: Obj, *, condition: str, results: list[Obj] = []) -> None:  # noqa: B006 - read only
        """Be the operator: write a round's status."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        held = {"type": condition, "status": "True", "reason": "RoundComplete", "lastTransitionTime": now}
        body = {"status": {"results": results, "conditions": [held], "progress": f"{len(results)}/{len(results)}"}}
        self.plane.api.merge(self.at("evalrounds", round_["metadata"]["name"]) + "/status", body)

    def complete(self, round_: Obj, scores: dict[str, str]) -> None:
        results = [
            {"model": name, "state": "Succeeded", "reason": "Evaluated", "score": s} for name, s in scores.items()
        ]
        self.report(round_, condition="Complete", results=results)

    def start(
        self, identity: str = "pod-1", *arguments: str, packages: Path | None = None, escrow: bool = False
    ) -> Program:
        """Start a validator process; `packages` is a folder of further installed packages.

        With `escrow` the chain gets the rows that the process seals, and reveals them.
        """
        log = self.folder / f"{self.hotkey_file.name}-{identity}-{len(self.processes)}.log"
        command = ["run", "--name", "val", "--namespace", self.namespace]
        command += ["--hotkey-file", str(self.hotkey_file), "--identity", identity, "--log-format", "text"]
        command += ["--health-port", "0", "--metrics-port", "0", *arguments]
        environment = os.environ | {"KUBECONFIG": str(self.kubeconfig)}
        if packages:
            environment["PYTHONPATH"] = str(packages)
        if escrow:
            environment |= {"PYTHONPATH": str(ESCROW), "BITAGENT_LOCAL_ESCROW": self.chain.admin}
        environment.pop("KUBERNETES_SERVICE_HOST", None)
        constants = {KUBECONFIG: str(self.kubeconfig)}
        process = Program(
            "bitagent_validator.main:main", command, environment=environment, output=log, constants=constants
        )
        self.processes.append(process)
        return process

    def stop(self, process: Program, how: signal.Signals = signal.SIGKILL) -> int:
        process.send_signal(how)
        return process.wait(60)

    def holder(self) -> str:
        """Who holds the Lease."""
        leases = self.plane.api.get(self.at("leases", group="apis/coordination.k8s.io/v1"))["items"]
        return str(leases[0]["spec"]["holderIdentity"]) if leases else ""


@pytest.fixture
def start_world(
    plane: ControlPlane, start_chain: Callable[..., Chain], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., World]]:
    """Make a world: a chain, MinerModels of four miners and a Validator; arguments change the Validator's spec.

    With `beside`, another world, it is another Validator on the same chain, whose hotkey is `uri`.
    """
    worlds: list[World] = []

    def start(
        *,
        every_blocks: int = 1000,
        weights: Obj | None = None,
        chain: Obj | None = None,
        beside: World | None = None,
        uri: str = "//Validator",
        **spec: Any,
    ) -> World:
        running = beside.chain if beside else start_chain(**(chain or {}))
        namespace = f"test-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{next(NUMBERS)}"
        plane.api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
        config = tmp_path / f"{namespace}.json"
        kubeconfig = _kubeconfig_of_a_pod(plane, namespace, config, uri=uri, discovers="discovery" in spec)
        hotkey_file = tmp_path / ("hotkey" if beside is None else f"hotkey-{namespace}")
        world = World(plane, running, namespace, tmp_path, kubeconfig, hotkey_file)
        worlds.append(world)
        hotkey_file.write_bytes(keys.keyfile(uri))
        for name in ("a", "b", "c", "d"):
            source = {"huggingFace": {"repo": f"{name}/model"}}
            miner = {"hotkey": keys.address(f"//{name}")}
            world.create("minermodels", "MinerModel", name, {"source": source, "miner": miner})
        template = {
            "models": {"matchLabels": {}},
            "tasks": {"sources": [{"bfcl": {"categories": ["multiple"]}}], "count": 10},
        }
        competition = {"id": "fc", "schedule": {"everyBlocks": every_blocks}, "round": template, "rewardShare": 100}
        body = {
            "netuid": NETUID,
            "chain": {"endpoints": [running.endpoint]},
            "wallet": {"hotkeySecretRef": {"name": "hotkey", "key": "hotkey"}},
            "competitions": [competition | spec.pop("competition", {})],
            "weights": weights or {},
            **spec,
        }
        world.create("validators", "Validator", "val", body)
        return world

    yield start
    for world in worlds:
        for process in world.processes:
            process.kill()
            process.wait()
    if getattr(request.node, "failed", False):
        for log in sorted(tmp_path.glob("*.log")):
            sys.stderr.write(f"--- {log.name}\n{log.read_text()[-4000:]}\n")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    item.failed = getattr(item, "failed", False) or report.failed
    return report


def _kubeconfig_of_a_pod(plane: ControlPlane, namespace: str, path: Path, *, uri: str, discovers: bool) -> Path:
    """The rights that the operator gives a validator's pod, and no others."""
    core, rbac = f"/api/v1/namespaces/{namespace}", f"/apis/{RBAC}/namespaces/{namespace}"
    metadata = {"metadata": {"name": "pod"}}
    hotkey = keys.address(uri)
    rules = validator_rules("val", competitions=["fc"], netuid=NETUID, hotkey=hotkey, discovers=discovers)
    plane.api.create(f"{core}/serviceaccounts", metadata)
    plane.api.create(f"{rbac}/roles", metadata | {"rules": rules})
    subject = {"kind": "ServiceAccount", "name": "pod", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "pod"}
    plane.api.create(f"{rbac}/rolebindings", metadata | {"subjects": [subject], "roleRef": role})
    token = plane.api.create(f"{core}/serviceaccounts/pod/token", {"spec": {"expirationSeconds": 3600}})
    config = json.loads(plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token["status"]["token"]}
    path.write_text(json.dumps(config))
    return path
