"""What is known about the node's processes after the command that started them has ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Record:
    """A started component; `started` (clock ticks since boot) tells it from a later process with the same id."""

    name: str
    pid: int
    started: int

    def alive(self) -> bool:
        """Whether this very process runs."""
        return started_at(self.pid) == self.started


def started_at(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None if there is none, or only its remains (a zombie)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # From the third on; the second may contain anything.
    return None if fields[0] in "ZX" else int(fields[19])


def remember(folder: Path, name: str, pid: int) -> None:
    """Record a component that was just started; one that has ended already is recorded as such."""
    record = Record(name, pid, started_at(pid) or 0)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(asdict(record)))


def remembered(folder: Path) -> Iterator[Record]:
    """Yield all recorded components."""
    for path in sorted(folder.glob("*.json")):
        yield Record(**json.loads(path.read_text()))
