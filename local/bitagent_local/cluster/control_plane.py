"""etcd and kube-apiserver alone, for tests: real validation, CEL, RBAC, watches and garbage collection, but no node.

    with control_plane() as plane:
        plane.api.get("/api/v1/namespaces")            # or any client with plane.kubeconfig

Everything listens on 127.0.0.1 at free ports, so any number may run at once, without root. On leaving, the components
are killed and the data is removed; the kernel kills them if the thread that entered ends first.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bitagent_local.cluster import components
from bitagent_local.cluster.api import Api
from bitagent_local.cluster.binaries import Binaries, ensure_binaries
from bitagent_local.cluster.node import Plane
from bitagent_local.cluster.pki import make_credentials
from bitagent_local.cluster.ports import free_ports
from bitagent_local.cluster.processes import Component, Running, start, wait_ready

NODELESS = "*,-node-lifecycle-controller,-taint-eviction-controller"
"""Controllers for tests that act as the kubelet of a Node object: none that evicts the pods of a silent node."""

SECONDS_TO_START = 60.0


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane."""

    binaries: Binaries
    kubeconfig: Path
    """Kubeconfig of a user in `system:masters`."""
    server: str
    api: Api
    logs: Path
    """A folder with a log per component."""
    running: Mapping[str, Running]
    """Components by name; a test may stop, continue or kill `running[...].process`."""

    def kubectl(self, *arguments: str) -> list[str]:
        """Return the command line of kubectl for this API server."""
        return [str(self.binaries.kubectl), f"--kubeconfig={self.kubeconfig}", *arguments]


@contextmanager
def control_plane(
    *,
    controllers: str | None = None,
    folder: Path | None = None,
    api_server_arguments: Sequence[str] = (),
    controller_arguments: Sequence[str] = (),
) -> Iterator[ControlPlane]:
    """Start etcd and kube-apiserver, and kube-controller-manager if `controllers` names some (`*`, or `NODELESS`).

    `folder` receives data and logs and stays; without one they are removed with the control plane.

    Raises ClusterError if a component did not start; the message has the end of its log.
    """
    binaries = ensure_binaries()
    with ExitStack() as stack:
        root = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="control-plane-")))
        api_port, etcd_port, peer_port, controllers_port = free_ports(4)
        plane = Plane(
            localkube=binaries.localkube,
            folder=root,
            address="127.0.0.1",
            api_port=api_port,
            etcd_port=etcd_port,
            peer_port=peer_port,
            controllers_port=controllers_port,
            service_network="10.97.0.0/16",
        )
        credentials = make_credentials(root / "pki", addresses=[plane.address], server=plane.server)
        kubeconfig = credentials.kubeconfig("admin")
        api = Api.from_kubeconfig(kubeconfig)
        running: dict[str, Running] = {}

        def run(name: str, command: list[str]) -> Running:
            component = Component(name, command, root / "log" / f"{name}.log")
            running[name] = start(component, prefix=["setpriv", "--pdeathsig=KILL"])
            return running[name]

        stack.callback(_kill, running)
        run("etcd", components.etcd(plane))
        server = run("kube-apiserver", components.api_server(plane, extra=api_server_arguments))
        wait_ready(server, api.ready, seconds=SECONDS_TO_START)
        if controllers is not None:
            extra = [f"--controllers={controllers}", *controller_arguments]
            run("kube-controller-manager", components.controller_manager(plane, extra=extra))
        yield ControlPlane(binaries, kubeconfig, plane.server, api, root / "log", running)


def _kill(running: Mapping[str, Running]) -> None:
    for each in running.values():
        each.process.kill()
    for each in running.values():
        each.process.wait()
