"""What this process and its descendants have computed and read, by the kernel's counters in /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Activity:
    """Sums over the processes that live; those of a descendant that has ended are in its parent's CPU time."""

    cpu_seconds: float
    bytes_read: int
    """By system calls, and from disks."""


def activity(root: int | None = None, *, proc: Path = _PROC) -> Activity:
    """Return the sums of the process `root`, by default this one, and its descendants; what cannot be read counts 0."""
    stats = dict(_stats(proc))
    children: dict[int, list[int]] = {}
    for pid, fields in stats.items():
        children.setdefault(int(fields[1]), []).append(pid)
    left, own = [os.getpid() if root is None else root], set()
    while left:
        pid = left.pop()
        if pid in stats and pid not in own:
            own.add(pid)
            left += children.get(pid, ())
    ticks = sum(int(value) for pid in own for value in stats[pid][11:15])
    return Activity(ticks / _TICKS, sum(_bytes_read(proc / str(pid)) for pid in own))


def _stats(proc: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each process and the fields of its `stat` after its name."""
    try:
        pids = [int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()]
    except OSError:
        return
    for pid in pids:
        try:
            yield pid, (proc / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it has ended


def _bytes_read(process: Path) -> int:
    try:
        lines = (process / "io").read_text().splitlines()
    except OSError:
        return 0  # some sandboxes have no such file
    counters = dict(line.split(": ") for line in lines if ": " in line)
    return int(counters.get("rchar", 0)) + int(counters.get("read_bytes", 0))
