"""Where the one node of this machine lies: names, addresses and folders, decided once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from .components import Plane
from .paths import cache_root, state_root

NAME = "local"
"""The Node object's name."""
PODS = IPv4Network("10.245.0.0/24")
SERVICES = IPv4Network("10.97.0.0/16")
LINK = IPv4Network("10.245.255.0/30")


@dataclass(frozen=True)
class Node:
    """The node's place on this machine. Ports need no choice: they are in a network namespace of their own."""

    cache: Path = field(default_factory=cache_root)
    state: Path = field(default_factory=state_root)
    scope: str = "bitagent"
    """Name of the network namespace and of the cgroup, and prefix of the links (which may have 15 characters)."""
    pods: IPv4Network = PODS
    services: IPv4Network = SERVICES
    link: IPv4Network = LINK
    """The two ends between this machine and the node."""

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
        """Where pods reach this machine: what shall be called from pods must listen there (or on 0.0.0.0)."""
        return str(self.link[1])

    @property
    def inner_address(self) -> IPv4Address:
        """The node's end of the link."""
        return self.link[2]

    @property
    def registry(self) -> str:
        """The image registry as the kubelet and pushes name it; it is plain HTTP on the node's loopback."""
        return "localhost:5000"

    @property
    def enter(self) -> list[str]:
        """Prefix of a command that shall run in the node's network; `localhost` is the node then."""
        return ["nsenter", f"--net=/run/netns/{self.scope}"]

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.state / "admin.kubeconfig"

    @property
    def run(self) -> Path:
        """Process records and sockets."""
        return self.state / "run"

    @property
    def logs(self) -> Path:
        """A file per component, and the pods' logs in `pods`."""
        return self.state / "log"

    @property
    def containerd_socket(self) -> Path:
        """Of containerd; for `ctr -a` and the kubelet. In the node's mounts it is where clients expect it."""
        return self.run / "containerd" / "containerd.sock"

    @property
    def containerd_root(self) -> Path:
        """Pulled images; in the cache, so that the next node need not pull them again."""
        return self.cache / "containerd"

    @property
    def registry_storage(self) -> Path:
        """Pushed images; in the cache, so that the next node has them."""
        return self.cache / "registry"

    def log(self, component: str) -> Path:
        """Return the log of a component."""
        return self.logs / f"{component}.log"

    def ctr(self, *arguments: str) -> list[str]:
        """Return the command line of containerd's own client, in the namespace that the kubelet uses."""
        return ["ctr", "-a", str(self.containerd_socket), "-n", "k8s.io", *arguments]

    def plane(self, localkube: Path) -> Plane:
        """Return the place of the node's control plane."""
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
        """Return the command to run in the mount namespace of a process."""
        return ["nsenter", f"--target={mounts_of}", "--mount", *command]
