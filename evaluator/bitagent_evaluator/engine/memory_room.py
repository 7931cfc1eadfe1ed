"""How much memory there is: of the GPUs that the engine would use, or of this process's control groups and the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from bitagent_evaluator.engine.memory import Room

_UNLIMITED = 1 << 60
"""Version 1 writes a number near 2**63 where there is no limit."""


def gpu_room(gpus: int) -> Room:
    """The GPU with the least free memory among the first `gpus`."""
    import torch

    free, total = min(torch.cuda.mem_get_info(gpu) for gpu in range(gpus))
    return Room("the GPU's memory" if gpus == 1 else "each GPU's memory", total=total, free=free, gpu=True)


def cpu_room(root: Path = Path("/")) -> Room:
    """The tightest of the machine's memory and the limits of all control groups that this process is in, versions 1 and 2.

    Of a group's use the file cache counts as free: the kernel drops it before it kills anything, and the weights have just been read.
    """
    machine = _numbers(root / "proc/meminfo", factor=1024)
    available = machine["MemAvailable"]
    rooms = [Room("the machine's memory", total=machine["MemTotal"], free=available, gpu=False)]
    for limit, use in _group_limits(root):
        free = min(max(0, limit - use), available)
        rooms.append(Room("the memory limit of this container", total=limit, free=free, gpu=False))
    return min(rooms, key=lambda room: (room.free, room.total))


def _group_limits(root: Path) -> Iterator[tuple[int, int]]:
    """Limit and use, without the file cache, of every limited group from the process's own one up; in a container the mount may begin anywhere on that way."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mount, limit_file, use_file, prefix = "sys/fs/cgroup", "memory.max", "memory.current", ""
        elif "memory" in controllers.split(","):
            mount, limit_file, use_file = "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
            prefix = "total_"
        else:
            continue
        own = PurePosixPath(path)
        for group in (own, *own.parents):
            folder = root / mount / str(group).lstrip("/")
            limit = _number(folder / limit_file)
            if limit is not None and limit < _UNLIMITED:
                statistics = _numbers(folder / "memory.stat")
                cached = sum(statistics.get(f"{prefix}{part}_file", 0) for part in ("active", "inactive"))
                yield limit, (_number(folder / use_file) or 0) - cached


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []


def _number(path: Path) -> int | None:
    """The only number in a file; None for a missing file and for `max`."""
    (text,) = _lines(path)[:1] or [""]
    return int(text) if text.isdigit() else None


def _numbers(path: Path, *, factor: int = 1) -> dict[str, int]:
    """Lines of a name, a number and perhaps a unit."""
    fields = [line.replace(":", " ").split() for line in _lines(path)]
    return {
        name: int(value) * factor
        for name, value, *_ in (field for field in fields if len(field) > 1)
        if value.isdigit()
    }
