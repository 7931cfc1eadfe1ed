"""One validator on one subnet: the simulated chain and `bitagent-validator run`, each a process of its own."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from bitagent_local.chain import keys
from bitagent_local.cluster.api import Api, ApiError
from bitagent_validator.weights.submit import MODULE

ROOT = Path(__file__).parents[2]
NETUID, SECONDS_PER_BLOCK, ENDPOINTS = 20, 0.25, 2
PATIENCE_SECONDS = 60.0
EVERY_BLOCKS = 12
MINERS = ("a", "b", "c", "d")
ME = keys.address("//Validator")
GROUP = "/apis/bitagent.io/v1alpha1"
PORTS = re.compile(r"ws port (?P<ws>\d+), admin on http port (?P<admin>\d+)")
SHORTER = {
    "bitagent_validator.chain.connection.CALL_SECONDS": 5.0,
    "bitagent_validator.chain.follower.BACKOFF_SECONDS": (0.5, 4.0),
    "bitagent_validator.chain.follower.WRONG_CHAIN_SECONDS": 10.0,
    "bitagent_validator.running.loop.TICK_SECONDS": 3.0,
    "bitagent_validator.troubles.REST_SECONDS": (1.0, 5.0),
}
"""Time limits of the validator. Blocks come 48 times as fast as on the real chain, which no limit is made for."""
PROGRAM = """
import importlib, json, sys
for name, value in json.loads(sys.argv[1]).items():
    module, _, constant = name.rpartition(".")
    getattr(importlib.import_module(module), constant)
    setattr(importlib.import_module(module), constant, value)
from bitagent_validator.main import main
sys.exit(main(sys.argv[2:]))
"""
WITH_PARENT = ("setpriv", "--pdeathsig=KILL")
PACE = Event()
"""Never set: one waits for it between two looks."""

Obj = dict[str, Any]


class Kind(StrEnum):
    """How the subnet takes weights."""

    PLAIN = "Plain"
    SEALED = "Sealed"


@dataclass
class Chain:
    """The simulated chain in a process of its own."""

    port: int
    admin: str

    def state(self) -> Obj:
        """Return what the chain shows of itself."""
        with urllib.request.urlopen(f"{self.admin}/state", timeout=30) as answer:  # noqa: S310 - http, to loopback
            found: Obj = json.load(answer)
            return found

    def post(self, what: str, **body: Any) -> None:
        """Switch a fault on or off, or change the chain."""
        data = json.dumps(body).encode()
        request = urllib.request.Request(f"{self.admin}/{what}", data=data, method="POST")  # noqa: S310 - as above
        urllib.request.urlopen(request, timeout=30).read()  # noqa: S310 - as above

    def everywhere(self, **fault: Any) -> None:
        """Switch a fault of endpoints on, at each."""
        for endpoint in range(ENDPOINTS):
            self.post("faults", endpoint=endpoint, **fault)

    def settings(self, since: int) -> list[Obj]:
        """Return the validator's settings and sealed commits that succeeded after a block, of mechanism 0."""
        return [
            each
            for each in self.state()["extrinsics"]
            if each["block"] > since and each["signer"] == ME and "weights" in each["call"] and not each["error"]
            if int(each["args"].get("mecid", 0)) == 0
        ]


@contextmanager
def serving_chain(folder: Path, kind: Kind) -> Iterator[Chain]:
    """Run a chain of two nodes with two mechanisms."""
    rules: Obj = {"weights_rate_limit": 4, "commit_reveal_weights_enabled": kind is Kind.SEALED, "mechanisms": 2}
    # Unchanged rows are set again after 1,000 blocks: later than the windows end.
    rules["activity_cutoff_factor"] = 250_000
    neurons = [{"hotkey": "//Validator", "stake": 10_000, "permit": True}]
    neurons += [{"hotkey": f"//{name}"} for name in MINERS]
    seed = folder / "seed.json"
    seed.write_text(json.dumps({"netuid": NETUID, "neurons": neurons, "hyperparameters": rules}))
    command = [*WITH_PARENT, sys.executable, "-m", "bitagent_local.chain", "serve", "--host=127.0.0.1", "--port=0"]
    command += [
        "--admin-port=0",
        f"--seed-file={seed}",
        f"--seconds-per-block={SECONDS_PER_BLOCK}",
        f"--endpoints={ENDPOINTS}",
    ]
    log = folder / "chain.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, stderr=stderr)
    try:
        found = until(lambda: PORTS.search(log.read_text()), what="the chain listens")
        yield Chain(int(found["ws"]), f"http://127.0.0.1:{found['admin']}")
    finally:
        process.kill()
        process.wait()


def until(probe: Callable[[], Any], *, what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Return the first truthy answer of a probe. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := probe():
                return found
        except (KeyError, ApiError):
            pass
        PACE.wait(0.1)
    raise TimeoutError(f"not within {seconds:g} s: {what}")


@dataclass
class Run:
    """One validator on one subnet."""

    api: Api
    chain: Chain
    namespace: str
    folder: Path
    kubeconfig: Path
    kind: Kind
    random: random.Random
    process: subprocess.Popen[bytes] | None = None
    pids: list[int] = field(default_factory=list)
    starts: int = 0
    at_rest: list[int] = field(default_factory=list)
    """Open files of the process at rest after each window, of its present life."""
    lent: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, 4))

    def at(self, plural: str, name: str = "", group: str = GROUP) -> str:
        """Return the address of an object, or of all of a kind."""
        return f"{group}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def begin(self) -> None:
        """Create the namespace, the miners' models and the Validator, and start its process."""
        self.api.create("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        (self.folder / "hotkey").write_bytes(keys.keyfile("//Validator"))
        for name in MINERS:
            spec = {
                "source": {"huggingFace": {"repo": f"{name}/model"}},
                "miner": {"hotkey": keys.address(f"//{name}")},
            }
            self.create("minermodels", "MinerModel", name, spec)
        tasks = {"sources": [{"bfcl": {"categories": ["multiple"]}}], "count": 10}
        competition = {
            "id": "fc",
            "schedule": {"everyBlocks": EVERY_BLOCKS, "freezeBlocks": 2},
            "round": {"models": {"matchLabels": {}}, "tasks": tasks},
            "rewardShare": 100,
            "smoothing": {"rounds": 1},
        }
        ports = self.chain.state()["ports"]
        spec = {
            "netuid": NETUID,
            "chain": {"endpoints": [f"ws://127.0.0.1:{port}" for port in ports]},
            "wallet": {"hotkeySecretRef": {"name": "hotkey", "key": "hotkey"}},
            "competitions": [competition],
            "weights": {"timeoutSeconds": 6},
        }
        self.create("validators", "Validator", "val", spec)
        self.start()

    def create(self, plural: str, kind: str, name: str, spec: Obj) -> None:
        """Create an object."""
        head = {"apiVersion": GROUP.removeprefix("/apis/"), "kind": kind, "metadata": {"name": name}}
        self.api.create(self.at(plural), head | {"spec": spec})

    def start(self) -> None:
        """Start the validator's process, as its Deployment would."""
        command = [*WITH_PARENT, sys.executable, "-c", PROGRAM, json.dumps(SHORTER), "run", "--name=val"]
        command += [f"--namespace={self.namespace}", "--stall-seconds=4"]
        command += [f"--hotkey-file={self.folder / 'hotkey'}", "--identity=pod", "--log-format=text"]
        command += ["--health-port=0", "--metrics-port=0"]
        environment = os.environ | {"KUBECONFIG": str(self.kubeconfig)}
        if self.kind is Kind.SEALED:
            environment |= {"PYTHONPATH": str(ROOT / "local" / "escrow"), "BITAGENT_LOCAL_ESCROW": self.chain.admin}
        environment.pop("KUBERNETES_SERVICE_HOST", None)
        with (self.folder / "validator.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.pids.append(self.process.pid)
        self.starts += 1
        self.at_rest.clear()

    def alive(self) -> None:
        """Start the process again if it has ended, as its Deployment would."""
        if self.process is not None and self.process.poll() is not None:
            self.start()

    def kill(self) -> None:
        """Kill the process, and start another one."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.start()

    def open_files(self) -> int:
        """Return how many files and sockets the process has open."""
        assert self.process is not None
        try:
            return len(os.listdir(f"/proc/{self.process.pid}/fd"))
        except OSError:
            return 0

    def round(self, after: str) -> Obj:
        """Return the unfinished round that follows the one of this name."""

        def found() -> Obj | None:
            self.alive()
            items = self.api.get(self.at("evalrounds"))["items"]
            ended = ("Complete", "Failed")
            unfinished = [
                item
                for item in items
                if not any(c["type"] in ended for c in item.get("status", {}).get("conditions", ()))
                and item["metadata"]["name"] != after
            ]
            return unfinished[0] if unfinished else None

        round_: Obj = until(found, what="another round")
        return round_

    def write(self, round_: Obj, scores: dict[str, str], condition: str = "") -> None:
        """Be the operator: write results, and whether the round has ended."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        scored = {"state": "Succeeded", "reason": "Evaluated"}
        waits = {"state": "Pending", "reason": "Starting"}
        results = [{"model": n} | (scored | {"score": scores[n]} if n in scores else waits) for n in MINERS]
        held = {"type": condition, "status": "True", "reason": "RoundComplete", "lastTransitionTime": now}
        body = {"status": {"results": results, "conditions": [held] if condition else []}}
        self.api.merge(self.at("evalrounds", round_["metadata"]["name"]) + "/status", body)

    def pending(self) -> bool:
        """Whether a row is recorded that may be on its way."""
        held = self.api.get(self.at("configmaps", "val-scores", group="/api/v1"))
        return bool(json.loads(held["data"]["state.json"]).get("pending"))

    def row(self) -> tuple[int, dict[str, int]]:
        """Return block and content of the validator's row on the chain."""
        held = self.chain.state()["weights"].get(ME, {"block": 0, "weights": {}})
        return int(held["block"]), held["weights"]

    def submissions_left(self) -> int:
        """Return how many submitting processes of these validators run."""
        return sum(1 for pid in self.pids for _ in children(pid))


def children(parent: int) -> Iterator[int]:
    """Yield the submitting processes that a validator has started, also after its end."""
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if MODULE.encode() in words and str(parent).encode() in words:
            yield int(entry.name)
