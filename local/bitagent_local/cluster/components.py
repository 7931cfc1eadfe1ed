"""The command lines of the control plane, as pure functions of where it lies: a node and a bare API server share them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .pki import Credentials


@dataclass(frozen=True)
class Plane:
    """Where one control plane lies and listens."""

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
        """The store's URL; it listens on the loopback only, without authentication."""
        return f"http://127.0.0.1:{self.etcd_port}"

    @property
    def credentials(self) -> Credentials:
        """Keys and kubeconfigs."""
        return Credentials(self.folder / "pki")


def etcd(plane: Plane) -> list[str]:
    """Return the store's command. Nothing is synced to disk: the data is thrown away with the cluster."""
    peer = f"http://127.0.0.1:{plane.peer_port}"
    return [
        str(plane.localkube),
        "etcd",
        f"--data-dir={plane.folder / 'etcd'}",
        f"--listen-client-urls={plane.etcd}",
        f"--advertise-client-urls={plane.etcd}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def api_server(plane: Plane, *, extra: Sequence[str] = ()) -> list[str]:
    """Return the API server's command."""
    made = plane.credentials
    return [
        str(plane.localkube),
        "kube-apiserver",
        f"--etcd-servers={plane.etcd}",
        f"--bind-address={plane.address}",
        f"--advertise-address={plane.address}",
        f"--secure-port={plane.api_port}",
        f"--cert-dir={made.folder}",
        f"--tls-cert-file={made.certificate('apiserver')}",
        f"--tls-private-key-file={made.key('apiserver')}",
        f"--kubelet-certificate-authority={made.ca}",
        f"--kubelet-client-certificate={made.certificate('kubelet-client')}",
        f"--kubelet-client-key={made.key('kubelet-client')}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-cluster-ip-range={plane.service_network}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={made.service_account_key}",
        f"--service-account-signing-key-file={made.service_account_key}",
        f"--token-auth-file={made.tokens}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged",
        *extra,
    ]


def controller_manager(plane: Plane, *, extra: Sequence[str] = ()) -> list[str]:
    """Return the controllers' command; its limits are those of a test that starts hundreds of Jobs at once."""
    made = plane.credentials
    return [
        str(plane.localkube),
        "kube-controller-manager",
        f"--kubeconfig={made.kubeconfig('kube-controller-manager')}",
        f"--service-account-private-key-file={made.service_account_key}",
        f"--root-ca-file={made.ca}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--allocate-node-cidrs=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={plane.controllers_port}",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--concurrent-job-syncs=20",
        *extra,
    ]


def scheduler(plane: Plane) -> list[str]:
    """Return the scheduler's command."""
    return [
        str(plane.localkube),
        "kube-scheduler",
        f"--kubeconfig={plane.credentials.kubeconfig('kube-scheduler')}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    ]
