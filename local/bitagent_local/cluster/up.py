"""Bring the node up: a healthy one is not touched, any other is torn down and started again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from bitagent_local.cluster import addons, components, network, node_images, runtime
from bitagent_local.cluster.addons import get_gpus, set_gpus
from bitagent_local.cluster.api import Api, ApiError
from bitagent_local.cluster.binaries import Binaries, ensure_binaries
from bitagent_local.cluster.cgroups import Cgroups, node_cgroups
from bitagent_local.cluster.deps import require_folders, require_packages
from bitagent_local.cluster.down import leftovers, tear_down
from bitagent_local.cluster.host import SOURCES, ClusterError, exclusive
from bitagent_local.cluster.node import NAME, Node, Plane
from bitagent_local.cluster.pki import make_credentials
from bitagent_local.cluster.processes import Component, Running, remember, start, wait_ready
from bitagent_local.cluster.status import MARKER, inspect

GPUS = 2
Report = Callable[[str], None]


def bring_up(node: Node, *, gpus: int = GPUS, report: Report = print) -> Api:
    """Make the node run with this many GPUs and return its API as administrator; phases are reported with their
    seconds.

    Raises ClusterError if something is missing on this machine, or a component did not start; it names the component
    and its log.
    """
    require_root()
    require_packages()
    with exclusive(node.lock):
        phases = Stopwatch(report)
        with phases("binaries"):
            binaries = ensure_binaries()
        found = inspect(node)
        if found.healthy and found.build == binaries.folder.name:
            api = Api.from_kubeconfig(node.own_kubeconfig)
            if get_gpus(api) != gpus:
                set_gpus(api, gpus)
            report(f"the node is up (kubeconfig {node.kubeconfig})")
            return api
        if leftovers(node):
            with phases("tear down what is left" if not found.running else "tear down: " + found.summary):
                tear_down(node)
        return _Start(node, binaries, phases, node_cgroups(node.scope)).run(gpus)


def require_root() -> None:
    """Check that this process is root. Raises ClusterError otherwise."""
    if os.geteuid() != 0:
        raise ClusterError("the local node needs root: it makes namespaces, cgroups and mounts; run this with sudo")


@dataclass
class Stopwatch:
    """Reports phases with their seconds."""

    report: Report
    began: float = field(default_factory=time.monotonic)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Report the seconds of the block when it ends without an error."""
        start = time.monotonic()
        yield
        self.report(f"  {name:<32} {time.monotonic() - start:5.1f} s")


@dataclass
class _Start:
    """One start of a node, from nothing to ready."""

    node: Node
    binaries: Binaries
    phases: Stopwatch
    cgroups: Cgroups
    running: dict[str, Running] = field(default_factory=dict)

    @property
    def plane(self) -> Plane:
        return self.node.plane(self.binaries.localkube)

    def run(self, gpus: int) -> Api:
        node = self.node
        with self.phases("network, cgroups, keys"):
            self.prepare()
        with self.phases("containerd, registry"):
            self.start_runtime()
        with self.phases("etcd, kube-apiserver"):
            api = Api.from_kubeconfig(node.own_kubeconfig)
            wait_ready(self.running["kube-apiserver"], api.ready, seconds=90)
        with self.phases("node ready"):
            objects = addons.objects(
                dns_image=node_images.dns_image(self.binaries), dns_address=node.dns, api_address=node.address
            )
            for path, body in objects.items():
                _retried(partial(api.apply, path, body))
            self.start_node()
            wait_ready(self.running["kubelet"], lambda: _node_not_ready(api), seconds=90)
            set_gpus(api, gpus)
        with self.phases("service accounts, DNS"):
            controllers = self.running["kube-controller-manager"]
            wait_ready(
                controllers, lambda: _missing(api, "/api/v1/namespaces/default/serviceaccounts/default"), seconds=60
            )
            wait_ready(self.running["kubelet"], lambda: _dns_not_ready(api), seconds=90)
        facts = {"build": self.binaries.folder.name, "scope": node.scope}
        (node.state / MARKER).write_text(json.dumps(facts))
        self.phases.report(
            f"the node is up after {time.monotonic() - self.phases.began:.1f} s (kubeconfig {node.kubeconfig})"
        )
        return api

    def prepare(self) -> None:
        node, plane = self.node, self.plane
        node.cache.mkdir(parents=True, exist_ok=True)
        require_folders(node)
        node.state.mkdir(parents=True, exist_ok=True)
        (node.state / MARKER).write_text("{}")
        self.cgroups.create()
        network.create(node)
        addresses = [node.address, "127.0.0.1", str(node.services[1]), str(node.inner_address)]
        credentials = make_credentials(node.state / "pki", addresses=addresses, server=plane.server, node=NAME)
        node.kubeconfig.touch(mode=0o600)
        node.kubeconfig.write_text(credentials.kubeconfig("admin").read_text())
        # Pods that use the node's own resolver find none: names outside the cluster do not exist.
        (node.state / "resolv.conf").write_text("options ndots:1\n")
        (node.state / "kubelet.json").write_text(components.kubelet_config(node, plane))
        made = runtime.write_configuration(node, pause=node_images.pause_image(self.binaries))
        (node.run / "made-folders").write_text("".join(f"{path}\n" for path in made))

    def start_runtime(self) -> None:
        self.start("etcd", components.etcd(self.plane))
        self.start("kube-apiserver", components.api_server(self.plane))
        self.start_containerd()
        self.start("registry", ["docker-registry", "serve", str(self.node.state / "registry" / "config.yaml")])
        if node_images.purge_containers(self.node):  # Left by a crash; containerd has read them already.
            self.running["containerd"].process.terminate()
            self.running["containerd"].process.wait()
            self.start_containerd()
        node_images.import_missing(self.node, self.binaries)

    def start_containerd(self) -> None:
        running = self.start("containerd", runtime.containerd_command(self.node))
        wait_ready(running, lambda: _silent(self.node.ctr("version")), seconds=30)

    def start_node(self) -> None:
        node, plane = self.node, self.plane
        # Before the kubelet: no pod starts without its policies.
        enforcer = [sys.executable, "-m", "bitagent_local.cluster.netpol"]
        enforcer += [str(plane.credentials.kubeconfig("netpol")), str(node.run / "netpol.sock")]
        self.start("netpol", ["env", f"PYTHONPATH={SOURCES}", *enforcer])
        self.start("kube-controller-manager", components.controller_manager(plane))
        self.start("kube-scheduler", components.scheduler(plane))
        self.start("kubelet", node.inside(components.kubelet(node, plane), mounts_of=self.running["containerd"].pid))
        self.start("kube-proxy", components.kube_proxy(node, plane))

    def start(self, name: str, command: Sequence[str]) -> Running:
        component = Component(name, command, self.node.log(name))
        running = start(component, prefix=[*self.cgroups.join([]), *self.node.enter])
        remember(self.node.run, name, running.pid)
        self.running[name] = running
        return running


def _silent(command: list[str]) -> str | None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stderr.strip()


def _missing(api: Api, path: str) -> str | None:
    try:
        api.get(path)
    except ApiError as error:
        return str(error)
    return None


def _node_not_ready(api: Api) -> str | None:
    try:
        conditions = api.get(f"/api/v1/nodes/{NAME}")["status"].get("conditions", [])
    except ApiError as error:
        return str(error)
    ready = next((condition for condition in conditions if condition["type"] == "Ready"), None)
    if ready is None:
        return "the kubelet has not reported on the node"
    return None if ready["status"] == "True" else ready["message"]


def _dns_not_ready(api: Api) -> str | None:
    try:
        status = api.get(addons.DEPLOYMENT).get("status", {})
    except ApiError as error:
        return str(error)
    return None if status.get("availableReplicas") else "no pod of kube-system/coredns is ready"


def _retried(request: Callable[[], object], *, seconds: float = 10) -> None:
    """Repeat a request while its namespace does not exist: the API server creates the first ones after it is ready."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            request()
            return
        except ApiError as error:
            if error.status != 404 or time.monotonic() > deadline:
                raise
        time.sleep(0.05)
