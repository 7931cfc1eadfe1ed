"""The mission of `make demo-subnets` without its cluster: its own steps, with a process for each of its Deployments.

Chains, miners, endpoint, validator, examiner and operator are real processes, and the demo's manifests and objects are
applied to a real API server. Only Jobs run no process: the double of the kubelet builds task sets, and says what models
score. Each pod has an address of its own in 127.0.0.0/8, so that ports and arguments stay those of the demo.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import yaml
from tests.integration.operator.conftest import Exit, Outcomes, World, world  # noqa: F401 - the fixture
from tests.integration.validator.conftest import eventually
from tests.programs import KUBECONFIG, Program

from bitagent_crds.jobs import EvaluateSummary, TaskSetSummary, termination_message
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.tasks.build import build_task_set
from bitagent_local.chain import __main__ as chain_command
from bitagent_local.chain import keys
from bitagent_local.demo import subnets
from bitagent_local.demo.emission import Emission, plot, shares
from bitagent_local.demo.kubectl import Kubectl
from bitagent_local.demo.stack import MODELS, NAMESPACE, WORLD_NAMESPACE, Stack
from bitagent_local.demo.subnets import BITAGENT, NOUS, DemoSubnet

pytestmark = pytest.mark.integration

BLOCK = "--seconds-per-block=0.15"
WORLD_IMAGE, MINER_IMAGE = "example/world:1", "example/miner:1"
PACE = Event()
"""Never set: one waits for it between two looks."""
PROBED = {"ws": 9945, "axon": 8091, "http": 8000}
"""The port that a Deployment's pod listens on last, by the name of its first port."""
Obj = dict[str, Any]


@dataclass
class Pods:
    """The processes of the demo's Deployments."""

    folder: Path
    environment: dict[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def address(self, name: str) -> str:
        """The address of a Deployment's pod, and of its Service."""
        parts = (127, 1 + os.getpid() // 250 % 250, 1 + os.getpid() % 250)
        return self.addresses.setdefault(name, ".".join(map(str, (*parts, next(self._numbers)))))

    def resolved(self, text: str) -> str:
        """A text with the addresses of Services in place of their names."""
        for name in (NOUS.chain, BITAGENT.chain, "answers"):
            for host in (f"{name}.{WORLD_NAMESPACE}.svc", f"{name}.{WORLD_NAMESPACE}"):
                if host in text:
                    text = text.replace(host, self.address(name))
        return text

    def store(self, manifest: Obj) -> None:
        """Write a ConfigMap or a Secret as the files that a pod sees."""
        folder = self.folder / str(manifest["metadata"]["name"])
        folder.mkdir(exist_ok=True)
        plain = {name: text.encode() for name, text in manifest.get("data", {}).items()}
        if manifest["kind"] == "Secret":
            plain = {name: base64.b64decode(text) for name, text in plain.items()}
        for name, content in plain.items():
            (folder / name).write_bytes(content)

    def start(self, deployment: Obj) -> None:
        """Run the container of a Deployment."""
        name = str(deployment["metadata"]["name"])
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        volumes = {each["name"]: each for each in deployment["spec"]["template"]["spec"].get("volumes", ())}
        arguments = [self.resolved(each).replace("/opt/world", str(MODELS.parent)) for each in container["args"]]
        environment = dict(self.environment)
        own = self.address(name)
        if container["image"] == WORLD_IMAGE:
            seed = volumes.get("seed", {}).get("configMap", {}).get("name", "")
            arguments = [each.replace("/seed/", f"{self.folder / seed}/") for each in arguments]
            arguments = [BLOCK if each.startswith("--seconds-per-block") else each for each in arguments]
            command = [sys.executable, "-m", *arguments, f"--host={own}"]
        else:
            command = [sys.executable, "-m", "bitagent_miner.main", *arguments]
            (announce,) = container["env"]
            assert announce["valueFrom"]["fieldRef"]["fieldPath"] == "status.podIP"
            secret = self.folder / volumes["hotkey"]["secret"]["secretName"] / "hotkey"
            files = {"LISTEN_ADDRESS": own, "HOTKEY_FILE": str(secret), "OPERATIONS_PORT": "0"}
            environment |= {announce["name"]: own} | {f"BITAGENT_MINER_{key}": value for key, value in files.items()}
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.ports[name] = PROBED[container["ports"][0]["name"]]

    def ready(self, name: str) -> bool:
        """Whether the pod of a Deployment listens."""
        assert self.running[name].poll() is None, (self.folder / f"{name}.log").read_text()[-3000:]
        try:
            socket.create_connection((self.address(name), self.ports[name]), timeout=1).close()
        except OSError:
            return False
        return True

    def end(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()


@dataclass(frozen=True)
class ProcessKubectl(Kubectl):
    """A kubectl whose Deployments are processes of this machine, in two namespaces of a test's own."""

    pods: Pods
    namespace: str

    def run(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """Carry out what the demo asks for."""
        match args:
            case ("rollout", "status", what, *_):
                name = what.removeprefix("deploy/")
                eventually(lambda: self.pods.ready(name), what=f"{name} listens")
                return ""
            case ("exec", "-n", _, what, "--", "python3", "-m", "bitagent_local.chain", "admin", *words):
                url = f"http://{self.pods.address(what.removeprefix('deploy/'))}:9945"
                return self._admin("--admin-url", url, *words)
            case ("get", "pods", "-n", _, "-l", label, *_):
                name = label.removeprefix("app.kubernetes.io/name=")
                return json.dumps({"items": [{"status": {"podIP": self.pods.address(name)}}]})
        if "--dry-run=client" in args:
            return super().run(*args, stdin=stdin, check=check)
        if args[0] == "apply" and stdin is not None:
            manifests = list(yaml.safe_load_all(self.pods.resolved(stdin)))
            for manifest in manifests:
                if manifest["kind"] in ("ConfigMap", "Secret"):
                    self.pods.store(manifest)
                elif manifest["kind"] == "Deployment":
                    self.pods.start(manifest)
            stdin = "\n---\n".join(json.dumps(self._own(each)) for each in manifests)
        own = {NAMESPACE: self.namespace, WORLD_NAMESPACE: f"{self.namespace}-world"}
        moved = [own[each] if before == "-n" else each for before, each in zip(("", *args), args, strict=False)]
        return super().run(*moved, stdin=stdin, check=check)

    def _own(self, manifest: Obj) -> Obj:
        """A manifest in the test's own namespace."""
        own = {NAMESPACE: self.namespace, WORLD_NAMESPACE: f"{self.namespace}-world"}
        metadata = manifest["metadata"]
        return manifest | {"metadata": metadata | {"namespace": own[metadata["namespace"]]}}

    def _admin(self, *words: str) -> str:
        options = chain_command.arguments().parse_args(["admin", *words])
        with redirect_stdout(io.StringIO()) as out:
            assert options.run(options) == 0
        return out.getvalue()


def commit_of(document: Obj) -> str:
    """The commit that a revision stands for."""
    revision = str(document["revision"])
    return revision if len(revision) == 40 else hashlib.sha1(str(document["repo"]).encode()).hexdigest()


@dataclass
class Demo:
    """The system of the demo, for one subnet."""

    subnet: DemoSubnet
    operator: World
    stack: Stack
    pods: Pods
    folder: Path
    results: dict[str, EvaluateSummary]
    """What each repository's model is evaluated to."""
    weights: dict[str, str] = field(default_factory=dict)
    """Repositories with the weights of another."""
    programs: list[Program] = field(default_factory=list)

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"

    def job(self, pod: Obj, document: Obj) -> Exit:
        """How a Job ends."""
        match document["kind"]:
            case "Fetch" if document.get("resolveOnly"):
                return Outcomes.resolved(commit_of(document))
            case "Fetch":
                weights = self.weights.get(document["repo"], document["repo"])
                return Outcomes.fetched(
                    document["repo"], weights=weights, commit=commit_of(document), parameters=400_000
                )
            case "TaskSet":
                return self._built(pod, document)
            case _:
                return Exit(0, termination_message(self.results[document["repo"]]))

    def _built(self, pod: Obj, document: Obj) -> Exit:
        tasks = Tasks.model_validate(document["tasks"])
        if any(each.hugging_face is not None for each in tasks.sources):  # there is no hub here
            return Outcomes.built(tasks.count)
        mounts = {each["mountPath"]: each for each in pod["spec"]["containers"][0]["volumeMounts"]}
        out = self.artifacts / mounts[document["outDir"]]["subPath"]
        manifest = build_task_set(tasks, files={int(each): subnets.TASKS for each in document["files"]}, out=out)
        built = {"reason": "TasksReady", "digest": manifest.digest, "count": tasks.count, "baseline": "0.050000"}
        return Exit(0, termination_message(TaskSetSummary.model_validate(built)))

    def bring_up(self) -> None:
        """The demo's own steps, in its order; the chain then waits until its first round has all submissions."""
        scratch = self.folder / "scratch"
        scratch.mkdir()
        subnets.install_chain(self.stack, self.subnet, image=WORLD_IMAGE)
        self.admin("faults", "stall_blocks=true")
        subnets.install_miners(self.stack, self.subnet, scratch, world=WORLD_IMAGE, miner=MINER_IMAGE)
        subnets.apply_objects(self.stack, self.subnet, scratch)
        announcing = sum(not miner.old for miner in self.subnet.miners)
        self.advance(lambda: self.announced() == announcing, what="all miners have announced themselves")

    def admin(self, *words: str) -> Any:
        """What the chain's admin answers."""
        return subnets.admin(self.stack, self.subnet, *words)

    def announced(self) -> int:
        """How many miners have written their address to the chain."""
        return sum(each["call"].endswith(".serve_axon") for each in self.admin("state")["extrinsics"])

    def advance(self, true: Callable[[], bool], *, what: str) -> None:
        """Make a block now and then until something is true."""

        def probe() -> bool:
            if true():
                return True
            self.admin("blocks", "count=1")
            PACE.wait(0.4)
            return False

        eventually(probe, what=what)

    def begin(self, models: int) -> None:
        """Start the validator, and let the chain run when so many models are fetched."""
        self.admin("blocks", "count=5")  # The first round's models are those that are final when it is created.
        self.start_validator()

        def fetched() -> bool:
            found = self.operator.all("minermodels")
            ready = [
                m
                for m in found
                for c in m.get("status", {}).get("conditions", ())
                if (c["type"], c["status"]) == ("Fetched", "True")
            ]
            return len(ready) >= models

        self.advance(fetched, what=f"{models} models are fetched")
        self.admin("faults", "stall_blocks=false")

    def start_validator(self) -> None:
        """Be the node of the validator's pod: run its containers as the operator has made them."""
        ns = self.operator.namespace
        pod = eventually(self._pod, what="the operator makes the validator's Deployment")
        validator, *examiners = pod["containers"]
        account = f"/api/v1/namespaces/{ns}/serviceaccounts/{pod['serviceAccountName']}/token"
        token = self.operator.api.create(account, {"spec": {"expirationSeconds": 3600}})["status"]["token"]
        config = json.loads(self.operator.plane.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token}
        kubeconfig = self.folder / "kubeconfig-validator"
        kubeconfig.write_text(json.dumps(config))
        environment = self.pods.environment | {"KUBECONFIG": str(kubeconfig)}
        socket_path = self.folder / "examiner.sock"
        for examiner in examiners:
            arguments = dict(zip(examiner["command"][2::2], examiner["command"][3::2], strict=True))
            arguments |= {"--socket": str(socket_path), "--artifacts": str(self.artifacts)}
            command = [str(Path(sys.executable).with_name("bitagent-eval")), "examiner"]
            with (self.folder / "examiner.log").open("wb") as log:
                self.pods.running["examiner"] = subprocess.Popen(
                    [*command, *(each for pair in arguments.items() for each in pair)], env=environment, stderr=log
                )
        arguments = ["--hotkey-file", str(self.pods.folder / f"{self.subnet.name}-hotkey" / "hotkey")]
        arguments += ["--examiner-socket", str(socket_path), "--transcripts-dir", str(self.folder / "transcripts")]
        arguments += ["--identity", "pod-1", "--health-port", "0", "--metrics-port", "0", "--stall-seconds", "600"]
        self.programs.append(
            Program(
                "bitagent_validator.main:main",
                [*validator["command"][1:], *arguments],
                environment=environment,
                output=self.folder / "validator.log",
                constants={KUBECONFIG: str(kubeconfig), "bitagent_validator.running.readings:FACTS_SECONDS": 1.0},
            )
        )

    def _pod(self) -> Obj | None:
        found = [each["spec"]["template"]["spec"] for each in self.operator.all("deployments")]
        return next((pod for pod in found if self.subnet.name in pod["containers"][0].get("command", ())), None)

    def watch(self) -> tuple[Emission, dict[str, float]]:
        """Watch the chain as the demo does; also the share of each repository in the last epoch."""
        emission = subnets.watch(self.stack, self.subnet)
        names = subnets.miners(self.stack, self.subnet)
        text = plot(emission, names, title=self.subnet.title)
        assert text.startswith(self.subnet.title)
        assert all(repo in text for repo in names.values())
        return emission, dict(shares(emission, names))

    def end(self) -> None:
        for program in self.programs:
            program.kill()
            program.wait()
        self.pods.end()


@pytest.fixture
def demo(
    world: World,  # noqa: F811 - the fixture
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Demo]]:
    """Make the system of one subnet, without its objects."""
    monkeypatch.setattr(subnets, "WAIT_SECONDS", 300)
    made: list[Demo] = []

    def make(subnet: DemoSubnet, **more: Any) -> Demo:
        world.api.create("/api/v1/namespaces", {"metadata": {"name": f"{world.namespace}-world"}})
        files = tmp_path / "files"
        files.mkdir()
        environment = {name: value for name, value in os.environ.items() if name != "KUBERNETES_SERVICE_HOST"}
        pods = Pods(files, environment)
        binary = world.plane.binaries.kubectl
        kubectl = ProcessKubectl(binary, world.plane.kubeconfig, pods, world.namespace)
        found = Demo(subnet, world, Stack(kubectl, Path("helm"), Path(sys.executable)), pods, tmp_path, **more)
        made.append(found)
        world.kubelet.script = found.job
        world.start_operator()
        return found

    yield make
    for each in made:
        each.end()
        if getattr(request.node, "failed", False):
            status = subnets.status_of(each.stack, each.subnet)
            sys.stderr.write(json.dumps({k: v for k, v in status.items() if k != "conditions"}, indent=1))
            for log in (each.folder / "validator.log", each.operator.log, *sorted(each.pods.folder.glob("*.log"))):
                sys.stderr.write(f"--- {log.name}\n{log.read_text()[-3000:] if log.exists() else ''}\n")


def evaluated(**members: Any) -> EvaluateSummary:
    seconds = {"load": "1.0", "generate": "2.0", "score": "0.1"}
    plain = {"reason": "Evaluated", "passed": 1, "total": 2, "seconds": seconds, "resultDigest": "sha256:" + "7" * 64}
    return EvaluateSummary.model_validate(plain | members)


def loss(value: float) -> EvaluateSummary:
    return evaluated(loss=f"{value:.6f}", batchLosses=[f"{value:.6f}"] * 8, score=f"{math.exp(-value):.6f}")


def test_nous(demo: Callable[..., Demo]) -> None:
    """Two competitions share 60 and 40 percent, a copy earns nothing, and of two as good the earlier one earns."""
    losses = {"acme/tiny-fc-1200": 1.0, "blue/tiny-fc-600": 1.5, "delta/tiny-fc-250": 2.0, "coral/tiny-fc-400": 0.995}
    losses |= {"sense/tiny-sense": 3.0, "memo/tiny-memo": 3.5, "echo/tiny-fc-1200-copy": 1.0}
    on = demo(
        NOUS,
        results={repo: loss(value) for repo, value in losses.items()},
        weights={"echo/tiny-fc-1200-copy": "acme/tiny-fc-1200"},
    )
    on.bring_up()
    # Better than //acme by less than the advantage of who committed first.
    late = f"commitment=coral:tiny-fc-400:{'c' * 40}:None:o1"
    on.admin("neurons", "hotkey=//late", late)
    on.begin(models=7)
    _, found = on.watch()
    of_h1 = {"sense/tiny-sense", "memo/tiny-memo"}
    assert sum(share for repo, share in found.items() if repo in of_h1) == pytest.approx(0.4, abs=0.01)
    assert sum(share for repo, share in found.items() if repo not in of_h1) == pytest.approx(0.6, abs=0.01)
    assert found["acme/tiny-fc-1200"] > 10 * found.get("coral/tiny-fc-400", 0) > 0
    assert "echo/tiny-fc-1200-copy" not in found
    status = subnets.status_of(on.stack, NOUS)
    assert {each["hotkey"]: each["reason"] for each in status["discovery"]["ignored"]} == {
        keys.address("//hasty"): "Malformed"
    }
    unpaid = {(each["competition"], each["hotkey"]): each["reason"] for each in status["unpaid"]}
    assert ("o1", keys.address("//fork")) in unpaid
    # No node runs the pod, whose process is the test's; and the next round's weights may be on their way.
    assert {each.partition(":")[0] for each in subnets.problems(on.stack, NOUS)} <= {
        "Deployed",
        "Ready",
        "WeightsCurrent",
    }


def test_bitagent(demo: Callable[..., Demo]) -> None:
    """Models that axons name are evaluated, and four miners of btauth/1 and one of the old wire asked beside it."""
    scores = {"acme/tiny-fc-1200": 0.9, "blue/tiny-fc-600": 0.6, "delta/tiny-fc-250": 0.3, "coral/tiny-fc-400": 0.5}
    scores["sense/tiny-sense"] = 0.0
    on = demo(BITAGENT, results={repo: evaluated(score=f"{value:.6f}") for repo, value in scores.items()})
    on.bring_up()
    on.begin(models=5)
    emission, found = on.watch()
    assert set(found) == scores.keys() - {"sense/tiny-sense"}, "good answers earn nothing without a good model"
    assert max(found, key=lambda repo: found[repo]) == "acme/tiny-fc-1200"
    assert emission.paying(subnets.miners(on.stack, BITAGENT)) >= subnets.PAYING_EPOCHS
    status = subnets.status_of(on.stack, BITAGENT)
    lines = [line for path in (on.folder / "transcripts").iterdir() for line in path.read_text().splitlines()]
    asked = [each for line in map(json.loads, lines) if line["counts"] for each in line["miners"]]
    wires = {each["hotkey"]: each["wire"] for each in asked if each["outcome"] == "Scored"}
    assert wires == {keys.address(f"//{m.name}"): "axon" if m.old else "btauth/1" for m in BITAGENT.miners}
    drawn = [each for each in status["online"][0]["results"] if each["hotkey"] in wires]
    assert drawn
    assert all(0 < float(each["mean"]) <= 1 for each in drawn)
