"""containerd and the registry of the node: configuration as pure functions, and a mount namespace for their files.

containerd starts in a mount namespace of its own, shared inside so that volumes may propagate. The paths that are built
into containerd, CNI and the kubelet are mounted from the node's state there: on this machine they stay empty, and every
mount of every pod ends with the namespace.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

from bitagent_local.cluster.netpol import plugin
from bitagent_local.cluster.network import bridge
from bitagent_local.cluster.node import Node

PLUGINS = Path("/usr/lib/cni")
POLICY_PLUGIN = "bitagent-netpol"


def containerd_config(node: Node, *, pause: str) -> str:
    """Return containerd's configuration (version 2, which 1.6 and 2.x read)."""
    return f"""\
version = 2
root = "{node.containerd_root}"
state = "{node.run}/containerd-state"
[grpc]
  address = "{node.containerd_socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{node.run}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Root may lack the capability to lower this score below its own, as in many containers and virtual machines.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{node.state}/cni/bin"
    conf_dir = "{node.state}/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{node.state}/registry/hosts"
"""


def registry_hosts(node: Node) -> str:
    """Return containerd's configuration of the registry."""
    return f'server = "http://{node.registry}"\n[host."http://{node.registry}"]\n  capabilities = ["pull", "resolve"]\n'


def registry_config(node: Node) -> str:
    """Return the registry's configuration."""
    return f"""\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {json.dumps(str(node.registry_storage))}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{node.registry.rpartition(":")[2]}"}}
"""


def pod_network(node: Node) -> str:
    """Return the CNI configuration: a bridge with host-local addresses, host ports, and network policies."""
    addresses = {
        "type": "host-local",
        "dataDir": f"{node.state}/cni/addresses",
        "ranges": [[{"subnet": str(node.pods), "rangeStart": str(node.pods[2]), "gateway": node.address}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins = [
        {
            "type": "bridge",
            "bridge": bridge(node),
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": addresses,
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
        {"type": POLICY_PLUGIN, "socket": str(node.run / "netpol.sock")},
    ]
    return json.dumps({"cniVersion": "1.0.0", "name": node.scope, "plugins": plugins}, indent=1)


def mounts(node: Node) -> dict[Path, Path | None]:
    """Return the mounts of the node's mount namespace at paths that cannot be configured; None is an empty tmpfs."""
    return {
        Path("/run/netns"): None,
        Path("/run/containerd"): node.run / "containerd",
        Path("/var/log"): None,
        Path("/var/lib/cni"): node.state / "cni" / "results",
        Path("/var/lib/kubelet"): node.state / "kubelet",
    }


def containerd_command(node: Node) -> list[str]:
    """Return the command that creates the mount namespace and becomes containerd in it."""
    script = ["mount --make-rshared /"]
    for at, source in mounts(node).items():
        what = "-t tmpfs tmpfs" if source is None else f"--bind {shlex.quote(str(source))}"
        script.append(f"mount {what} {at}")
    script.append(f"exec containerd -c {shlex.quote(str(node.state / 'containerd.toml'))}")
    return ["unshare", "--mount", "sh", "-ec", "\n".join(script)]


def write_configuration(node: Node, *, pause: str) -> list[Path]:
    """Write all files and folders above; return the mount points that had to be made on this machine."""
    made = [path for path in mounts(node) if not path.exists()]
    for folder in [*mounts(node), *filter(None, mounts(node).values()), node.containerd_root, node.registry_storage]:
        folder.mkdir(parents=True, exist_ok=True)
    hosts = node.state / "registry" / "hosts" / node.registry
    plugins = node.state / "cni" / "bin"
    for folder in (hosts, plugins, node.state / "cni" / "net.d", node.logs / "pods", node.run):
        folder.mkdir(parents=True, exist_ok=True)
    (node.state / "containerd.toml").write_text(containerd_config(node, pause=pause))
    (hosts / "hosts.toml").write_text(registry_hosts(node))
    (node.state / "registry" / "config.yaml").write_text(registry_config(node))
    (node.state / "cni" / "net.d" / "10-pods.conflist").write_text(pod_network(node))
    for name in ("bridge", "host-local", "portmap", "loopback"):
        (plugins / name).symlink_to(PLUGINS / name)
    wrapper = plugins / POLICY_PLUGIN
    wrapper.write_text(f"#!/bin/sh\nexec {shlex.join([sys.executable, '-IS', str(Path(plugin.__file__))])}\n")
    wrapper.chmod(0o755)
    return made
