"""Taking the node down: processes, mounts, network, cgroups and state go; the cache stays.

It works from what is there, not from what a start has recorded, so it clears up after a crash as well, and repeats do no harm.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path

from . import network, node_images
from .cgroups import node_cgroups
from .errors import ClusterError
from .node import Node
from .records import remembered
from .status import MARKER


def tear_down(node: Node) -> None:
    """Remove everything of the node but the cache.

    Raises:
        ClusterError: Something would not go; the message lists it.
    """
    cgroups = node_cgroups(node.scope)
    recorded = {record.name: record.pid for record in remembered(node.run) if record.alive()}
    containerd = recorded.get("containerd")
    cgroups.kill(spare=[containerd] if containerd else [])
    if containerd:
        with contextlib.suppress(ClusterError):  # Else the next start does it.
            node_images.purge_containers(node)
    for pid in recorded.values():  # One that died before it entered its cgroup's group, or never did.
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
    """Return what is there of a node on this machine, in words; empty after `tear_down`. The cache does not count."""
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
    """Remove the empty places to mount that the start had to make."""
    with contextlib.suppress(FileNotFoundError):
        for line in (node.run / "made-folders").read_text().splitlines():
            with contextlib.suppress(OSError):  # Somebody else uses it by now, or it went.
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
