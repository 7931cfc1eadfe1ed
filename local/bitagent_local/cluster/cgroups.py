"""The node's cgroups: they limit its pods, and identify every process of the node.

The node has one group at the top of each hierarchy. Its `system` child holds the components; the kubelet puts pods
beside it. Their children stay below, so that the processes to kill at teardown are known without looking at names.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bitagent_local.cluster.host import ClusterError

MOUNT = Path("/sys/fs/cgroup")
CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")


@dataclass(frozen=True)
class Cgroups:
    """The groups of one node."""

    scope: str
    hierarchies: tuple[Path, ...]
    tracking: Path
    """The hierarchy in which the node's processes are found."""
    unified: bool
    """Whether this is cgroup v2 alone."""

    @property
    def system(self) -> Path:
        """The file through which a component enters the node's group; a process writes 0 for itself."""
        return self.tracking / self.scope / "system" / "cgroup.procs"

    def create(self) -> None:
        """Create the groups that do not exist yet. Raises ClusterError if the kernel does not allow it here."""
        try:
            if self.unified:
                _delegate(self.tracking)
            for hierarchy in self.hierarchies:
                (hierarchy / self.scope).mkdir(exist_ok=True)
                _inherit_cpuset(hierarchy, hierarchy / self.scope)
            if self.unified:
                _delegate(self.tracking / self.scope)
            self.system.parent.mkdir(exist_ok=True)
            _inherit_cpuset(self.system.parents[1], self.system.parent)
        except OSError as error:
            raise ClusterError(
                f"cannot make cgroups for the node ({error}); is this root, on a writable /sys/fs/cgroup?"
            ) from error

    def join(self, command: Iterable[str]) -> list[str]:
        """Wrap a command so that it runs as a process of the node."""
        return ["sh", "-c", 'echo 0 > "$0" && exec "$@"', str(self.system), *command]

    def processes(self) -> list[int]:
        """Return the ids of all processes of the node, pods included."""
        found: list[int] = []
        for path in (self.tracking / self.scope).rglob("cgroup.procs"):
            with contextlib.suppress(OSError):  # The group was removed in the meantime.
                found += [int(line) for line in path.read_text().split()]
        return found

    def kill(self, *, spare: Iterable[int] = (), seconds: float = 10) -> list[int]:
        """Kill all processes of the node but the spared ones; return those that are still there after this time."""
        spared = set(spare)
        deadline = time.monotonic() + seconds
        while left := [pid for pid in self.processes() if pid not in spared]:
            if time.monotonic() > deadline:
                return left
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        return []

    def existing(self) -> list[Path]:
        """Return the node's top groups that exist."""
        return [group for hierarchy in self.hierarchies if (group := hierarchy / self.scope).exists()]

    def remove(self) -> None:
        """Remove the groups, except those that still hold a process."""
        for top in self.existing():
            for group in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
                _remove(group)
            _remove(top)


def node_cgroups(scope: str, *, mount: Path = MOUNT) -> Cgroups:
    """Return the groups of a node on this machine, with cgroup v2 or v1.

    Raises ClusterError if no usable hierarchy is mounted.
    """
    if (mount / "cgroup.controllers").exists():
        return Cgroups(scope, (mount,), mount, unified=True)
    tracking = mount / "pids"
    if not tracking.is_dir():
        raise ClusterError(
            f"neither cgroup v2 nor the v1 controller `pids` is mounted below {mount}; containers need one"
        )
    hierarchies = tuple(sorted(path for path in mount.iterdir() if path.is_dir() and not path.is_symlink()))
    return Cgroups(scope, hierarchies, tracking, unified=False)


def _delegate(group: Path) -> None:
    """Enable a v2 group's controllers for its children."""
    available = (group / "cgroup.controllers").read_text().split()
    enabled = [f"+{name}" for name in CONTROLLERS if name in available]
    (group / "cgroup.subtree_control").write_text(" ".join(enabled))


def _inherit_cpuset(parent: Path, child: Path) -> None:
    """Copy the cpuset that v1 leaves empty: no process may enter a group without one."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        source = parent / name
        if source.exists() and (child / name).exists() and not (parent / "cgroup.controllers").exists():
            (child / name).write_text(source.read_text())


def _remove(group: Path) -> None:
    deadline = time.monotonic() + 2
    while group.exists():
        try:
            group.rmdir()
        except OSError:  # Busy for a moment after its last process died.
            if time.monotonic() > deadline:
                return
            time.sleep(0.02)
