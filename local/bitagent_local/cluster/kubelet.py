"""The node's own components: kubelet and kube-proxy, as pure functions of where the node lies."""

from __future__ import annotations

import json

from .components import Plane
from .node import NAME, Node


def kubelet_config(node: Node, plane: Plane) -> str:
    """Return the kubelet's configuration file.

    Limits are those of a test machine: nothing is evicted before it is really full, images are never collected (the cache
    keeps them), and hundreds of pods may come and go at once.
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
    """Return kube-proxy's command; it leaves the machine's connection tracking limits alone."""
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
