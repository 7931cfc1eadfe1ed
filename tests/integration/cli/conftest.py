"""A namespace on the real API server, with a double of the kubelet whose containers are processes of this machine.

The API server passes logs and commands on to it as to any kubelet: over TLS, and by a websocket.
"""

from __future__ import annotations

import asyncio
import io
import json
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bitagent_cli.main import main
from bitagent_local.cluster.api import Api, ApiError
from bitagent_local.cluster.control_plane import ControlPlane
from bitagent_local.cluster.pki import Credentials

GROUP = "/apis/bitagent.io/v1alpha1"
Obj = dict[str, Any]
_NOW = "%Y-%m-%dT%H:%M:%SZ"


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass
class Kubelet:
    """Answers for one node; `replaced` has paths of containers and what stands for them here."""

    api: Api
    node: str
    folder: Path
    replaced: dict[str, str] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    """Logs by container."""
    ends: Callable[[Obj], Obj | None] = lambda pod: None
    """How the container of a pod ends, as its terminated state; None: it runs until it is deleted."""
    keeps: Callable[[Obj], Obj | None] = lambda pod: None
    """What keeps a container from running, as its waiting state."""
    commands: list[list[str]] = field(default_factory=list)
    made: list[Obj] = field(default_factory=list)
    """Pods, as they were made."""

    def step(self, namespace: str) -> None:
        """Take the pods of a namespace that have no node, and report what they do."""
        path = f"/api/v1/namespaces/{namespace}/pods"
        for pod in self.api.get(path)["items"]:
            name, seen = pod["metadata"]["name"], pod.get("status", {}).get("containerStatuses")
            if "deletionTimestamp" in pod["metadata"]:
                self.api.delete(f"{path}/{name}?gracePeriodSeconds=0")
            elif not pod["spec"].get("nodeName"):
                self.made.append(pod)
                target = {"apiVersion": "v1", "kind": "Node", "name": self.node}
                self.api.create(f"{path}/{name}/binding", {"metadata": {"name": name}, "target": target})
            elif not seen:
                self._report(path, pod)

    def _report(self, path: str, pod: Obj) -> None:
        now = time.strftime(_NOW, time.gmtime())
        if (waits := self.keeps(pod)) is not None:
            phase, state = "Pending", {"waiting": waits}
        elif (ended := self.ends(pod)) is not None:
            phase = "Failed" if ended["exitCode"] else "Succeeded"
            state = {"terminated": {"startedAt": now, "finishedAt": now} | ended}
        else:
            phase, state = "Running", {"running": {"startedAt": now}}
        first = pod["spec"]["containers"][0]
        container = {"name": first["name"], "image": first["image"], "imageID": "", "ready": False, "restartCount": 0}
        status = {"phase": phase, "containerStatuses": [container | {"state": state}]}
        self.api.merge(f"{path}/{pod['metadata']['name']}/status", {"status": status})

    async def exec(self, request: web.Request) -> web.StreamResponse:
        """Run a command for real, with the paths of this machine."""
        words = request.query.getall("command")
        self.commands.append(words)
        socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await socket.prepare(request)
        here = [self._here(word) for word in words]
        process = await asyncio.create_subprocess_exec(
            *here, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stderr is not None
        while piece := await process.stdout.read(65536):
            await socket.send_bytes(b"\x01" + piece)
        if said := await process.stderr.read():
            await socket.send_bytes(b"\x02" + said)
        code = await process.wait()
        causes = {"details": {"causes": [{"reason": "ExitCode", "message": str(code)}]}, "message": f"exit code {code}"}
        status = {"status": "Success"} if code == 0 else {"status": "Failure", "reason": "NonZeroExitCode"} | causes
        await socket.send_bytes(b"\x03" + json.dumps({"metadata": {}} | status).encode())
        await socket.close()
        return socket

    def _here(self, word: str) -> str:
        for there, here in self.replaced.items():
            if word == there or word.startswith(f"{there}/"):
                return here + word.removeprefix(there)
        return word

    async def log(self, request: web.Request) -> web.StreamResponse:
        """Return the log of a container."""
        return web.Response(text=self.logs.get(request.match_info["container"], ""))


@pytest.fixture(scope="session")
def kubelet_address(plane: ControlPlane) -> Iterator[tuple[str, dict[str, Kubelet]]]:
    """A node whose kubelet is here: its name, and the kubelets of the tests by namespace."""
    kubelets: dict[str, Kubelet] = {}
    made = Credentials(plane.kubeconfig.parent)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.certificate("apiserver"), made.key("apiserver"))
    name, started, loop = f"cli-{uuid.uuid4().hex[:8]}", threading.Event(), asyncio.new_event_loop()
    ports: list[int] = []
    runners: list[web.AppRunner] = []

    async def serve() -> None:
        app = web.Application()

        async def exec_(request: web.Request) -> web.StreamResponse:
            return await kubelets[request.match_info["namespace"]].exec(request)

        async def log(request: web.Request) -> web.StreamResponse:
            return await kubelets[request.match_info["namespace"]].log(request)

        for method in (app.router.add_get, app.router.add_post):
            method("/exec/{namespace}/{pod}/{container}", exec_)
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", log)
        runner = web.AppRunner(app, shutdown_timeout=1)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        assert site._server is not None
        ports.append(site._server.sockets[0].getsockname()[1])  # type: ignore[attr-defined]
        started.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())
        loop.run_forever()

    threading.Thread(target=run, daemon=True).start()
    assert started.wait(60)
    plane.api.create("/api/v1/nodes", {"metadata": {"name": name}})
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": ports[0]}},
    }
    plane.api.merge(f"/api/v1/nodes/{name}/status", {"status": status})
    yield name, kubelets
    plane.api.delete(f"/api/v1/nodes/{name}")
    asyncio.run_coroutine_threadsafe(runners[0].cleanup(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)


@dataclass
class Cluster:
    """A namespace, and the command that works in it."""

    api: Api
    namespace: str
    kubeconfig: Path
    kubelet: Kubelet

    def run(self, *words: str, kubeconfig: Path | None = None) -> Done:
        """Run the command in this process."""
        out, err = io.StringIO(), io.StringIO()
        options = ["-n", self.namespace, "--kubeconfig", str(kubeconfig or self.kubeconfig)]
        with redirect_stdout(out), redirect_stderr(err):
            try:
                code = main([*words, *options])
            except SystemExit as error:
                code = int(error.code or 0)
        return Done(code, out.getvalue(), err.getvalue())

    def path(self, plural: str, name: str = "") -> str:
        """The path of a kind's objects."""
        root = GROUP if plural in ("evalrounds", "minermodels", "validators") else "/api/v1"
        return "/".join(part for part in (f"{root}/namespaces/{self.namespace}/{plural}", name) if part)

    def make(self, plural: str, obj: Obj, status: Obj | None = None) -> Obj:
        """Create an object, and write its status."""
        kinds = {"evalrounds": "EvalRound", "minermodels": "MinerModel", "validators": "Validator"}
        header = {"apiVersion": "bitagent.io/v1alpha1", "kind": kinds[plural]} if plural in kinds else {}
        made = self.api.create(self.path(plural), header | obj)
        if status is None:
            return made
        return self.api.merge(self.path(plural, f"{obj['metadata']['name']}/status"), {"status": status})

    def round(self, name: str = "r", status: Obj | None = None, labels: Obj | None = None) -> Obj:
        """Make a round, with a status."""
        tasks = {"count": 2, "seed": "1", "sources": [{"bfcl": {"categories": ["simple_python"]}}]}
        spec = {"models": {"matchLabels": {}}, "tasks": tasks}
        return self.make("evalrounds", {"metadata": {"name": name, "labels": labels or {}}, "spec": spec}, status)


@pytest.fixture
def cluster(
    plane: ControlPlane, kubelet_address: tuple[str, dict[str, Kubelet]], request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Cluster]:
    """A fresh namespace with a kubelet."""
    node, kubelets = kubelet_address
    name = f"cli-{uuid.uuid4().hex[:10]}"
    plane.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    kubelet = kubelets[name] = Kubelet(plane.api, node, tmp_path)
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.1):
            try:
                kubelet.step(name)
            except ApiError as error:
                if error.status not in (404, 409, 422):
                    raise

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    yield Cluster(plane.api, name, plane.kubeconfig, kubelet)
    stop.set()
    worker.join()


@pytest.fixture
def reader_kubeconfig(cluster: Cluster, tmp_path: Path) -> Path:
    """A kubeconfig of somebody who may only read the three kinds of the namespace."""
    core, rbac = f"/api/v1/namespaces/{cluster.namespace}", "/apis/rbac.authorization.k8s.io/v1"
    roles = f"{rbac}/namespaces/{cluster.namespace}"
    cluster.api.create(f"{core}/serviceaccounts", {"metadata": {"name": "reader"}})
    rule = {"apiGroups": ["bitagent.io"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
    cluster.api.create(f"{roles}/roles", {"metadata": {"name": "reader"}, "rules": [rule]})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": cluster.namespace}
    binding = {"metadata": {"name": "reader"}, "roleRef": reference, "subjects": [subject]}
    cluster.api.create(f"{roles}/rolebindings", binding)
    token = cluster.api.create(f"{core}/serviceaccounts/reader/token", {"spec": {"expirationSeconds": 3600}})
    config = json.loads(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token["status"]["token"]}
    path = tmp_path / "reader.kubeconfig"
    path.write_text(json.dumps(config))
    return path
