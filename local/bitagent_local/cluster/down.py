"""Tear the node down: processes, mounts, network, cgroups and state are removed; the cache stays.

It works from what exists, not from what a start has recorded, so it also cleans up after a crash and may be repeated.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path

from bitagent_local.cluster import network, node_images
from bitagent_local.cluster.cgroups import node_cgroups
from bitagent_local.cluster.host import ClusterError
from bitagent_local.cluster.node import Node
from bitagent_local.cluster.processes import remembered
from bitagent_local.cluster.status import MARKER


def tear_down(node: Node) -> None:
    """Remove everything of the node but the cache. Raises ClusterError if something remains; the message lists it."""
    cgroups = node_cgroups(node.scope)
    recorded = {record.name: record.pid for record in remembered(node.run) if record.alive()}
    containerd = recorded.get("containerd")
    cgroups.kill(spare=[containerd] if containerd else [])
    if containerd:
        with contextlib.suppress(ClusterError):  # Otherwise the next start does it.
            node_images.purge_containers(node)
    for pid in recorded.values():  # Those that never entered the cgroup.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    cgroups.kill()
    cgroups.remove()
    network.remove(node)
    _remove_made_folders(node)
    if (node.state / MARKER).exists() and not _mounts(node):
        shutil.rmtree(node.state)
    if left := leftovers(node):
        raise ClusterError("not everything of the node could be removed:\n" + "\n".join(f"  {item}" for item in left))


def leftovers(node: Node) -> list[str]:
    """Describe what exists of a node on this machine; empty after `tear_down`. The cache does not count."""
    cgroups = node_cgroups(node.scope)
    found = [f"process {pid} ({_command(pid)})" for pid in cgroups.processes()]
    found += [f"process {record.pid} ({record.name})" for record in remembered(node.run) if record.alive()]
    found += [f"cgroup {path}" for path in cgroups.existing()]
    found += [f"network link {name}" for name in network.links(node)]
    namespace = network.NAMESPACES / node.scope
    found += [f"network namespace {namespace}"] if namespace.exists() else []
    found += [f"mount {path}" for path in _mounts(node)]
    found += [f"folder {node.state}"] if (node.state / MARKER).exists() else []
    return list(dict.fromkeys(found))


def _remove_made_folders(node: Node) -> None:
    """Remove the empty mount points that the start had to make."""
    with contextlib.suppress(FileNotFoundError):
        for line in (node.run / "made-folders").read_text().splitlines():
            with contextlib.suppress(OSError):  # Used by something else by now, or already removed.
                Path(line).rmdir()


def _mounts(node: Node) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4] for line in lines]
    below = (f"{node.state}/", f"{node.containerd_root}/")
    return [point for point in points if point.startswith(below)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:80].strip()
    except OSError:
        return "gone"
