"""Names, addresses and folders of a node, and of a control plane.

A machine has room for two nodes at a time: the demo's, and one of another name (`$BITAGENT_NODE`) for tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from bitagent_local.cluster.host import DEFAULT_NODE, cache_root, node_name, state_root
from bitagent_local.cluster.pki import Credentials

NAME = "local"
"""The Node object's name."""


@dataclass(frozen=True)
class Networks:
    """Address ranges of a node."""

    pods: IPv4Network
    services: IPv4Network
    link: IPv4Network
    """The two ends between this machine and the node."""


DEMO_NETWORKS = Networks(
    pods=IPv4Network("10.245.0.0/24"), services=IPv4Network("10.97.0.0/16"), link=IPv4Network("10.245.255.0/30")
)
OTHER_NETWORKS = Networks(
    pods=IPv4Network("10.246.0.0/24"), services=IPv4Network("10.98.0.0/16"), link=IPv4Network("10.246.255.0/30")
)


@dataclass(frozen=True)
class Plane:
    """Folder, addresses and ports of one control plane."""

    localkube: Path
    folder: Path
    address: str
    """The IP address of the API server."""
    api_port: int
    etcd_port: int
    peer_port: int
    controllers_port: int
    service_network: str
    """CIDR of Service addresses."""

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.address}:{self.api_port}"

    @property
    def etcd(self) -> str:
        """The URL of etcd; it listens on the loopback only, without authentication."""
        return f"http://127.0.0.1:{self.etcd_port}"

    @property
    def credentials(self) -> Credentials:
        """Keys and kubeconfigs."""
        return Credentials(self.folder / "pki")


@dataclass(frozen=True)
class Node:
    """Names, addresses and folders of the node. Its ports are fixed: they are in a network namespace of their own."""

    cache: Path = field(default_factory=cache_root)
    state: Path = field(default_factory=state_root)
    scope: str = field(default_factory=node_name)
    """The node's name: that of its network namespace and cgroup, and prefix of its links, whose names may have 15
    characters."""

    @property
    def networks(self) -> Networks:
        """The address ranges: the demo's node has its own, so that one other node fits beside it."""
        return DEMO_NETWORKS if self.scope == DEFAULT_NODE else OTHER_NETWORKS

    @property
    def pods(self) -> IPv4Network:
        """The pods' addresses."""
        return self.networks.pods

    @property
    def services(self) -> IPv4Network:
        """The addresses of Services."""
        return self.networks.services

    @property
    def link(self) -> IPv4Network:
        """The two ends between this machine and the node."""
        return self.networks.link

    @property
    def lock(self) -> Path:
        """The file whose lock a process holds while it starts or removes the node."""
        return self.cache / f"{self.scope}.lock"

    @property
    def address(self) -> str:
        """The node's IP address: API server, kubelet, and the pods' gateway."""
        return str(self.pods[1])

    @property
    def dns(self) -> str:
        """The Service address of the cluster's DNS."""
        return str(self.services[10])

    @property
    def host_address(self) -> str:
        """The address at which pods reach this machine; servers for pods must listen there (or on 0.0.0.0)."""
        return str(self.link[1])

    @property
    def inner_address(self) -> IPv4Address:
        """The node's end of the link."""
        return self.link[2]

    @property
    def registry(self) -> str:
        """The image registry, as the kubelet and pushes name it: plain HTTP on the node's loopback."""
        return "localhost:5000"

    @property
    def enter(self) -> list[str]:
        """Prefix of a command to run in the node's network, where `localhost` is the node."""
        return ["nsenter", f"--net=/run/netns/{self.scope}"]

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, for people; `kubectl config` may have changed it, and writes YAML."""
        return self.state / "admin.kubeconfig"

    @property
    def own_kubeconfig(self) -> Path:
        """The same as it was made, for requests of the node's own programs."""
        return Credentials(self.state / "pki").kubeconfig("admin")

    @property
    def run(self) -> Path:
        """Folder of process records and sockets."""
        return self.state / "run"

    @property
    def logs(self) -> Path:
        """Folder with a log per component, and the pods' logs in `pods`."""
        return self.state / "log"

    @property
    def containerd_socket(self) -> Path:
        """The socket of containerd, for `ctr -a` and the kubelet.

        In the node's mounts it is where clients expect it.
        """
        return self.run / "containerd" / "containerd.sock"

    @property
    def containerd_root(self) -> Path:
        """Folder of pulled images; in the cache, so that the next node of this name has them."""
        return self.cache / ("containerd" if self.scope == DEFAULT_NODE else f"containerd-{self.scope}")

    @property
    def registry_storage(self) -> Path:
        """Folder of pushed images; in the cache, so that the next node has them."""
        return self.cache / "registry"

    def log(self, component: str) -> Path:
        """Return the log of a component."""
        return self.logs / f"{component}.log"

    def ctr(self, *arguments: str) -> list[str]:
        """Return the command line of containerd's own client, in the namespace that the kubelet uses."""
        return ["ctr", "-a", str(self.containerd_socket), "-n", "k8s.io", *arguments]

    def plane(self, localkube: Path) -> Plane:
        """Return the node's control plane."""
        return Plane(
            localkube=localkube,
            folder=self.state,
            address=self.address,
            api_port=6443,
            etcd_port=2379,
            peer_port=2380,
            controllers_port=10257,
            service_network=str(self.services),
        )

    def inside(self, command: Sequence[str], *, mounts_of: int) -> list[str]:
        """Wrap a command so that it runs in the mount namespace of a process."""
        return ["nsenter", f"--target={mounts_of}", "--mount", *command]
