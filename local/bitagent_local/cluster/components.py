"""The command lines and configuration of Kubernetes' components, as pure functions of folders and addresses.

A node and a bare API server share those of the control plane; `kubelet` and `kube_proxy` are the node's own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from bitagent_local.cluster.node import NAME, Node, Plane


def etcd(plane: Plane) -> list[str]:
    """Return etcd's command. Nothing is synced to disk: the data ends with the cluster."""
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
    """Return the controller manager's command; its limits allow a test to start hundreds of Jobs at once."""
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
        # A claim that comes before its volume is seen is bound at the next of these, by default every 15 s.
        "--pvclaimbinder-sync-period=1s",
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


def kubelet_config(node: Node, plane: Plane) -> str:
    """Return the kubelet's configuration file.

    Limits are those of a test machine: nothing is evicted before the disk is really full, images are never collected
    (the cache keeps them), and hundreds of pods may start and end at once.
    """
    made = plane.credentials
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "failSwapOn": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.scope}",
        "containerRuntimeEndpoint": f"unix://{node.containerd_socket}",
        "port": 10250,
        "tlsCertFile": str(made.certificate("kubelet")),
        "tlsPrivateKeyFile": str(made.key("kubelet")),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(made.ca)},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "clusterDNS": [node.dns],
        "clusterDomain": "cluster.local",
        "resolvConf": str(node.state / "resolv.conf"),
        "podLogsDir": str(node.logs / "pods"),
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "maxPods": min(200, node.pods.num_addresses - 4),
        "oomScoreAdj": 0,
        "enforceNodeAllocatable": [],
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1Gi", "imagefs.available": "1Gi"},
        "imageGCHighThresholdPercent": 100,
        "serializeImagePulls": False,
        "registryPullQPS": 0,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "eventRecordQPS": 0,
    }
    return json.dumps(config, indent=1)


def kubelet(node: Node, plane: Plane) -> list[str]:
    """Return the kubelet's command."""
    return [
        str(plane.localkube),
        "kubelet",
        f"--config={node.state / 'kubelet.json'}",
        f"--kubeconfig={plane.credentials.kubeconfig('kubelet')}",
        f"--hostname-override={NAME}",
        f"--node-ip={node.address}",
    ]


def kube_proxy(node: Node, plane: Plane) -> list[str]:
    """Return kube-proxy's command; it does not change the machine's connection tracking limits."""
    return [
        str(plane.localkube),
        "kube-proxy",
        f"--kubeconfig={plane.credentials.kubeconfig('kube-proxy')}",
        "--proxy-mode=iptables",
        f"--hostname-override={NAME}",
        f"--cluster-cidr={node.pods}",
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
    ]
