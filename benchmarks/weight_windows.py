"""Whether a validator's weights land in every window, once, while its node, its chain and its own process fail.

    python benchmarks/weight_windows.py [--windows N] [--seed TEXT] [--kind Plain|Sealed ...] [--out FILE]

A real etcd and kube-apiserver, the simulated chain, and `bitagent-validator run` as a process. A window begins when a
round is complete, and is hit if its row is in a block within 100 blocks (the rate limit of many subnets). Every window
has one fault, at one step of the setting. Each round first shows partial results, and every seventh one fails with
them: none of these may be paid. Of a sealed row the window also waits for the reveal. Writes weight_windows.json
beside this file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import yaml

from bitagent_crds.generate import KINDS, render
from bitagent_local.chain import keys
from bitagent_local.cluster.api import Api, ApiError
from bitagent_local.cluster.control_plane import NODELESS, control_plane
from bitagent_validator.weights.submit import MODULE, SubmissionRequest, submit

ROOT = Path(__file__).parents[1]
NETUID, SECONDS_PER_BLOCK, ENDPOINTS = 20, 0.25, 2
WINDOW_BLOCKS = 100
QUIET_BLOCKS = 8
"""After a row has landed: a second setting of it would come within these."""
PATIENCE_SECONDS = 60.0
EVERY_BLOCKS = 12
PARTIAL_EVERY = 7
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


class Step(StrEnum):
    """A step of a setting."""

    COMPLETE = "round complete"
    PENDING = "row recorded"
    POOL = "in the pool"
    BLOCK = "in a block"
    FINAL = "final"


@dataclass(frozen=True)
class Fault:
    """What fails in a window, and at which step."""

    name: str
    steps: tuple[Step, ...]
    happen: Callable[[Run], None]


@dataclass
class Window:
    """What happened in one window."""

    number: int
    fault: str
    step: str
    partial: bool
    blocks: int | None = None
    """From the complete round to the block of the setting; None: not at all."""
    revealed: int | None = None
    """To the block of the reveal."""
    settings: int = 0
    dropped: int = 0
    """Sealed rows that the chain dropped at their reveal; each has to be sent again."""
    from_partial: int = 0
    connections: int = 0
    """To the chain at its end."""
    seconds: float = 0.0

    @property
    def hit(self) -> bool:
        """Whether the weights are as they have to be."""
        if self.partial:
            return not self.settings and not self.from_partial
        return self.blocks is not None and self.blocks <= WINDOW_BLOCKS

    @property
    def double(self) -> int:
        """Settings beyond the one that is due."""
        return max(0, self.settings - self.dropped - (0 if self.partial else 1))


@dataclass
class Report:
    """All windows of one subnet, and what is left of the process at the end."""

    kind: Kind
    windows: list[Window] = field(default_factory=list)
    starts: int = 0
    descriptors: list[int] = field(default_factory=list)
    """Open files of the process at rest after each window, of its present life."""
    connections: int = 0
    """To the chain at the end, with the validator alive."""
    left: int = 0
    """Processes that are left after the validator's end."""
    left_connections: int = 0

    def as_json(self) -> Obj:
        """Return it for the file."""
        hit = [w for w in self.windows if w.blocks is not None]
        return {
            "kind": self.kind,
            "windows": len(self.windows),
            "hit": sum(w.hit for w in self.windows),
            "doubleSets": sum(w.double for w in self.windows),
            "setsFromPartialRounds": sum(w.from_partial for w in self.windows),
            "droppedReveals": sum(w.dropped for w in self.windows),
            "blocks": {"median": statistics.median([w.blocks or 0 for w in hit] or [0]), "most": most(hit)},
            "starts": self.starts,
            "openFilesAtRest": sorted(set(self.descriptors)),
            "connectionsAtRest": self.connections,
            "processesLeft": self.left,
            "connectionsLeft": self.left_connections,
            "each": [asdict(w) | {"hit": w.hit} for w in self.windows],
        }


def most(windows: Sequence[Window]) -> int:
    """Return the most blocks that a window took."""
    return max((w.blocks or 0 for w in windows), default=0)


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
    report: Report
    random: random.Random
    process: subprocess.Popen[bytes] | None = None
    pids: list[int] = field(default_factory=list)
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
        self.report.starts += 1
        self.report.descriptors.clear()

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


def expected(scores: dict[str, str]) -> dict[str, int]:
    """Return the row that the BitAgent policy gives, as the chain stores it."""
    raised = {keys.address(f"//{name}"): math.exp(5 * float(score)) - 1 for name, score in scores.items()}
    return {hotkey: round(value / max(raised.values()) * 65535) for hotkey, value in raised.items() if value}


def same(row: dict[str, int], other: dict[str, int]) -> bool:
    """Whether two rows are one, up to the last bit."""
    return row.keys() == other.keys() and all(abs(row[key] - other[key]) <= 1 for key in row)


def calls(kind: str, times: int = 3, **more: Any) -> Callable[[Run], None]:
    """Return a fault of the next calls of the nodes, whatever they are asked."""

    def happen(run: Run) -> None:
        run.chain.everywhere(calls=[{"kind": kind, "times": times, "skip": run.random.randrange(12), **more}])

    return happen


def refused(status: int, **more: Any) -> Callable[[Run], None]:
    """Return a fault in which connections are closed, and others refused, for two seconds."""

    def happen(run: Run) -> None:
        handshake = {"status": status, "seconds": 2, **more}
        run.chain.everywhere(handshake=handshake, drop_connections=10)

    return happen


def reorg(*, lose: bool) -> Callable[[Run], None]:
    """Return a fault in which the last two blocks are left."""

    def happen(run: Run) -> None:
        try:
            run.chain.post("reorg", depth=2, lose=lose)
        except urllib.error.HTTPError:
            run.chain.post("reorg", depth=1, lose=lose)

    return happen


def behind(run: Run) -> None:
    """Have one node fall 40 blocks behind for three seconds, so that it contradicts what was read before."""
    endpoint = run.random.randrange(ENDPOINTS)
    run.chain.post("faults", endpoint=endpoint, lag=40)
    PACE.wait(3)
    run.chain.post("faults", endpoint=endpoint, lag=0)


def other_subnet(run: Run) -> None:
    """Sign rows of another mechanism with the same hotkey, as validators of other subnets do: nonces collide."""

    async def send() -> None:
        request = SubmissionRequest(
            endpoint=f"ws://127.0.0.1:{run.chain.port}",
            hotkey_file=run.folder / "hotkey",
            hotkey=ME,
            netuid=NETUID,
            weights={1: 65535, 2: 1 + run.random.randrange(60000)},
            version_key=0,
            mechanism=1,
            era_blocks=32,
        )
        await asyncio.gather(*(submit(request, timeout_seconds=15) for _ in range(2)))

    run.lent.submit(asyncio.run, send())


START, SENDING, LANDED = (Step.COMPLETE,), (Step.COMPLETE, Step.PENDING, Step.BLOCK), (Step.BLOCK,)
FAULTS = (
    Fault("connections dropped", SENDING, lambda run: run.chain.everywhere(drop_connections=10)),
    Fault("half-open connection", SENDING, calls("half_open", 1)),
    Fault("503 at the handshake", SENDING, refused(503)),
    Fault("429 at the handshake", SENDING, refused(429, retry_after=2)),
    Fault("429 to calls", SENDING, calls("limited", 4, seconds=1)),
    Fault("slow answers", SENDING, calls("slow", 10, seconds=1.5)),
    Fault("no answers", SENDING, lambda run: run.chain.everywhere(mute=2)),
    *(Fault(f"garbage: {kind}", SENDING, calls(kind)) for kind in ("null", "error_null", "no_result", "wrong_type")),
    *(Fault(f"garbage: {kind}", SENDING, calls(kind)) for kind in ("not_hex", "cut", "unavailable")),
    Fault("reorg", LANDED, reorg(lose=False)),
    Fault("reorg, transaction lost", LANDED, reorg(lose=True)),
    Fault("stale nonce", (Step.COMPLETE, Step.PENDING), other_subnet),
    Fault("a node is behind", SENDING, behind),
    *(Fault("killed", (step,), Run.kill) for step in Step),
)


def schedule(windows: int, chance: random.Random, *, only: Sequence[str] = ()) -> list[tuple[Fault, Step]]:
    """Return the fault of each window: all of them, in an order of chance, and again."""
    chosen = [fault for fault in FAULTS if not only or any(text in fault.name for text in only)]
    found: list[tuple[Fault, Step]] = []
    while len(found) < windows:
        found += [(fault, chance.choice(fault.steps)) for fault in chance.sample(chosen, len(chosen))]
    return found[:windows]


def window(run: Run, number: int, fault: Fault, step: Step, before: str, *, partial: bool) -> tuple[Window, str]:
    """Run one window; return what happened, and the name of its round."""
    began, chain = time.monotonic(), run.chain
    # What is left of earlier faults, on the node that was not asked, belongs to their windows.
    chain.everywhere(clear=True)
    round_ = run.round(before)
    name = str(round_["metadata"]["name"])
    scores = {miner: f"{run.random.uniform(0.1, 0.9):.6f}" for miner in MINERS}
    incomplete = {"d": "0.950000", "a": "0.900000"}
    last, seen = run.row()[1], chain.state()["block"]
    done = Window(number, fault.name, step, partial)
    run.write(round_, incomplete)
    if partial:
        run.write(round_, incomplete, "Failed")
        fault.happen(run)
        until(lambda: chain.state()["block"] >= seen + 2 * QUIET_BLOCKS, what="blocks")
    else:
        seen = land(run, round_, scores, fault, step, done)
    settings = chain.settings(seen)
    done.settings = len(settings)
    row = run.row()[1]
    done.from_partial = int(same(row, expected(incomplete)) or (partial and not same(row, last)))
    done.connections = chain.state()["connections"]
    done.seconds = round(time.monotonic() - began, 1)
    return done, name


def land(run: Run, round_: Obj, scores: dict[str, str], fault: Fault, step: Step, done: Window) -> int:
    """Complete a round, have the fault happen, and wait until the row has landed; return the block of the beginning."""
    chain, row = run.chain, expected(scores)
    hold = {Step.POOL: "stall_blocks", Step.BLOCK: "stall_finality"}.get(step)
    seen = int(chain.state()["block"])
    run.write(round_, scores, "Complete")
    if hold is not None and step is Step.BLOCK:
        chain.post("faults", **{hold: True})
    try:
        reach(run, step, seen)
    except TimeoutError as error:
        print(f"  window {done.number}: {error}; the fault happens all the same", file=sys.stderr)
    fault.happen(run)
    if hold:
        chain.post("faults", **{hold: False})

    def landed() -> bool:
        run.alive()
        return same(run.row()[1], row)

    try:
        until(landed, what="the row is on the chain")
        until(lambda: condition(run) == "WeightsSet", what="the validator says so")
    except TimeoutError as error:
        print(
            f"  window {done.number} ({done.fault}, {done.step}): {error}; {condition(run)}, {run.row()}, {row}",
            file=sys.stderr,
        )
    at = int(chain.state()["block"])
    until(lambda: chain.state()["block"] >= at + QUIET_BLOCKS, what="blocks")
    found = chain.settings(seen)
    if found and same(run.row()[1], row):
        done.blocks = found[0]["block"] - seen
    if run.kind is Kind.SEALED:
        outcomes = [o for o in chain.state()["reveals"] if o["committed_at"] > seen and o["mechanism"] == 0]
        done.dropped = sum(1 for o in outcomes if o["dropped"])
        done.revealed = next((o["block"] - seen for o in outcomes if not o["dropped"]), None)
        if done.dropped and found:
            done.blocks = found[-1]["block"] - seen
    return seen


def reach(run: Run, step: Step, seen: int) -> None:
    """Wait until a setting has come to a step. Raises TimeoutError."""
    chain = run.chain
    if step in (Step.PENDING, Step.POOL):
        until(run.pending, what="the row is recorded", seconds=20)
    if step is Step.POOL:
        chain.post("faults", stall_blocks=True)
        until(lambda: chain.state()["pool"] or chain.settings(seen), what="the transaction is in the pool", seconds=8)
    elif step is Step.BLOCK:
        until(lambda: chain.settings(seen), what="the transaction is in a block", seconds=8)
    elif step is Step.FINAL:
        until(
            lambda: (s := chain.settings(seen)) and chain.state()["finalized"] >= s[0]["block"],
            what="the transaction is final",
            seconds=20,
        )


def condition(run: Run) -> str:
    """Return the reason of WeightsCurrent."""
    conditions = run.api.get(run.at("validators", "val")).get("status", {}).get("conditions", [])
    return next((str(c["reason"]) for c in conditions if c["type"] == "WeightsCurrent"), "")


def run_windows(
    api: Api, kubeconfig: Path, *, kind: Kind, faults: Sequence[tuple[Fault, Step]], seed: str, folder: Path
) -> Report:
    """Run windows with these faults on a subnet of one kind."""
    report = Report(kind)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        chain = stack.enter_context(serving_chain(folder, kind))
        namespace = f"windows-{kind.lower()}-{os.getpid()}"
        run = Run(api, chain, namespace, folder, kubeconfig, kind, report, random.Random(f"{seed} {kind}"))
        run.begin()
        try:
            name = ""
            for number, (fault, step) in enumerate(faults, 1):
                partial = number % PARTIAL_EVERY == 0
                done, name = window(run, number, fault, step, name, partial=partial)
                report.windows.append(done)
                report.descriptors.append(run.open_files())
                print(as_line(kind, done), flush=True)
            finish(run)
        finally:
            run.lent.shutdown()
            if run.process is not None:
                run.process.kill()
                run.process.wait()
    return report


def finish(run: Run) -> None:
    """Count what the validator has open at rest, and what is left after its end."""
    assert run.process is not None
    run.lent.shutdown()
    run.chain.everywhere(clear=True)
    until(lambda: not run.submissions_left(), what="no submission runs")
    settled(lambda: run.chain.state()["connections"] <= 1)
    run.report.connections = run.chain.state()["connections"]
    run.report.descriptors.append(run.open_files())
    run.process.send_signal(signal.SIGTERM)
    run.process.wait(30)
    run.report.left = run.submissions_left()
    settled(lambda: not run.chain.state()["connections"])
    run.report.left_connections = run.chain.state()["connections"]


def settled(probe: Callable[[], bool]) -> None:
    """Wait until a probe is true, or for twenty seconds: what is measured afterwards is reported, whatever it is."""
    with suppress(TimeoutError):
        until(probe, what="rest", seconds=20)


def as_line(kind: Kind, done: Window) -> str:
    """Return one window for a terminal."""
    fate = "failed round" if done.partial else f"{done.blocks} blocks"
    sealed = f", revealed after {done.revealed}" if kind is Kind.SEALED and not done.partial else ""
    mark = "✓" if done.hit and not done.double and not done.from_partial else "✗"
    cost = f"{done.seconds:g} s, {done.connections} connections"
    return f"{mark} {kind:<6} {done.number:>3}  {done.fault:<24} {done.step:<15} {fate}{sealed} ({cost})"


def table(reports: Sequence[Report]) -> str:
    """Return what each fault cost, as a table of Markdown."""
    lines = [
        "| fault | subnet | windows | hit | blocks until set: median, most | double sets |",
        "|---|---|---|---|---|---|",
    ]
    for report in reports:
        paid = [w for w in report.windows if not w.partial]
        for fault in dict.fromkeys(f.name for f in FAULTS):
            own = [w for w in paid if w.fault == fault]
            if own:
                blocks = [w.blocks or 0 for w in own]
                hit, double = sum(w.hit for w in own), sum(w.double for w in own)
                cells = (len(own), hit, f"{statistics.median(blocks):g}, {max(blocks)}", double)
                lines.append(f"| {fault} | {report.kind} | " + " | ".join(map(str, cells)) + " |")
        failed = [w for w in report.windows if w.partial]
        if failed:
            sets = sum(w.settings + w.from_partial for w in failed)
            lines.append(
                f"| round failed with partial results | {report.kind} | {len(failed)} | none due | - | {sets} |"
            )
    return "\n".join(lines)


def main() -> int:
    """Run all windows, print the table and write the file; return 1 if a window was missed or anything is left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=50)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--kind", action="append", choices=list(Kind), type=Kind)
    parser.add_argument("--fault", action="append", default=[], help="only faults whose names contain this")
    parser.add_argument("--folder", type=Path, help="for logs; by default they are removed")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    kinds: list[Kind] = options.kind or list(Kind)
    with tempfile.TemporaryDirectory(prefix="windows-") as scratch, control_plane(controllers=NODELESS) as plane:
        for kind in KINDS:
            definition = yaml.safe_load(render(kind))
            plane.api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        until(lambda: all("items" in plane.api.get(f"{GROUP}/{kind.crd.plural}") for kind in KINDS), what="the kinds")

        def one(kind: Kind) -> Report:
            faults = schedule(options.windows, random.Random(f"{options.seed} {kind}"), only=options.fault)
            folder = (options.folder or Path(scratch)) / kind
            return run_windows(plane.api, plane.kubeconfig, kind=kind, faults=faults, seed=options.seed, folder=folder)

        with ThreadPoolExecutor(len(kinds)) as pool:
            reports = list(pool.map(one, kinds))
    found = [report.as_json() for report in reports]
    options.out.write_text(json.dumps({"seed": options.seed, "subnets": found}, indent=1) + "\n")
    print(table(reports))
    for each in found:
        print({key: value for key, value in each.items() if key != "each"})
    bad = ("doubleSets", "setsFromPartialRounds", "processesLeft", "connectionsLeft")
    return int(any(e["hit"] < e["windows"] or e["connectionsAtRest"] > 1 or any(e[n] for n in bad) for e in found))


if __name__ == "__main__":
    sys.exit(main())
