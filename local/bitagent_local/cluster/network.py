"""The node's network namespace: a veth pair to this machine, a bridge for pods, and routes to both from here.

The bridge and the rules of kube-proxy and of the policy enforcer are in the namespace and vanish with it. This machine
gets one link and two routes. Pods reach this machine at the near end of the link, and nothing beyond it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path

from bitagent_local.cluster.host import ClusterError
from bitagent_local.cluster.node import Node

NAMESPACES = Path("/run/netns")


def bridge(node: Node) -> str:
    """Return the name of the pods' bridge in the node."""
    return f"{node.scope}-br"


def _near(node: Node) -> str:
    return f"{node.scope}-h"


def _far(node: Node) -> str:
    return f"{node.scope}-n"


def create(node: Node) -> None:
    """Create the namespace, its links and its routes.

    Raises ClusterError if a step fails, for example because the addresses are in use.
    """
    near, far, inner = _near(node), _far(node), bridge(node)
    if not Path("/proc/sys/net/bridge").exists():  # Built into some kernels, a module in others.
        subprocess.run(["modprobe", "br_netfilter"], check=False, capture_output=True)
    _run("ip", "netns", "add", node.scope)
    prefix = node.link.prefixlen
    _run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", node.scope)
    _run("ip", "address", "add", f"{node.host_address}/{prefix}", "dev", near)
    _run("ip", "link", "set", near, "up")
    # One batch: a process per line costs more than the line.
    _run(
        "ip",
        "-n",
        node.scope,
        "-batch",
        "-",
        text=f"""\
link set lo up
address add {node.inner_address}/{prefix} dev {far}
link set {far} up
route add default via {node.host_address}
link add {inner} type bridge
address add {node.address}/{node.pods.prefixlen} dev {inner}
link set {inner} up
""",
    )
    for network in (node.pods, node.services):
        _run("ip", "route", "add", str(network), "via", str(node.inner_address))
    _run(*node.enter, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1")


def remove(node: Node) -> None:
    """Remove what `create` made and still exists."""
    if _near(node) in links(node):
        _run("ip", "link", "delete", _near(node))
    if (NAMESPACES / node.scope).exists():
        _run("ip", "netns", "delete", node.scope)
    # `ip netns add` makes this folder, and mounts it onto itself for good.
    if NAMESPACES.is_dir() and not any(NAMESPACES.iterdir()):
        subprocess.run(["umount", NAMESPACES], check=False, capture_output=True)
        with contextlib.suppress(OSError):
            NAMESPACES.rmdir()


def links(node: Node) -> list[str]:
    """Return this machine's links that belong to the node."""
    listed = json.loads(_run("ip", "-json", "link", "show") or "[]")
    return [link["ifname"] for link in listed if link["ifname"] in (_near(node), _far(node))]


def _run(*command: str, text: str | None = None) -> str:
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ClusterError(f"there is no `{command[0]}`: run `python3 -m bitagent_local.cluster deps`") from error
    if done.returncode != 0:
        raise ClusterError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout
