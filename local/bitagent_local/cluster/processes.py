"""Processes of the cluster's components: start, wait until ready, and record for later commands."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bitagent_local.cluster.host import ClusterError


@dataclass(frozen=True)
class Component:
    """A program with its arguments and the file that receives its output."""

    name: str
    command: Sequence[str]
    log: Path


@dataclass(frozen=True)
class Running:
    """A started component."""

    component: Component
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The process id; it stays the same when wrapping commands replace themselves with the component."""
        return self.process.pid

    def failure(self) -> str | None:
        """Return why the component has ended; None while it runs."""
        status = self.process.poll()
        return None if status is None else f"it ended with status {status}"


def start(component: Component, *, prefix: Sequence[str] = ()) -> Running:
    """Start a component in a session of its own; `prefix` is a command that executes its arguments."""
    component.log.parent.mkdir(parents=True, exist_ok=True)
    with component.log.open("ab") as log:
        process = subprocess.Popen(
            [*prefix, *component.command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Running(component, process)


def wait_ready(running: Running, probe: Callable[[], str | None], *, seconds: float) -> None:
    """Wait until the probe returns None; until then it returns what is still missing.

    Raises ClusterError if the component ends, or is not ready in time.
    """
    deadline = time.monotonic() + seconds
    while (missing := probe()) is not None:
        why = running.failure()
        if why is None and time.monotonic() > deadline:
            why = f"not ready within {seconds:g} s: {missing}"
        if why is not None:
            log = running.component.log
            raise ClusterError(f"{running.component.name}: {why}; its log is {log}:\n{log_tail(log)}")
        time.sleep(0.03)


def log_tail(log: Path, *, lines: int = 12) -> str:
    """Return the last lines of a log, indented for an error message; empty if there is no such file."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join("    " + line[:400] for line in text.splitlines()[-lines:])


@dataclass(frozen=True)
class Record:
    """A started component; `started` (clock ticks since boot) excludes a later process with the same id."""

    name: str
    pid: int
    started: int

    def alive(self) -> bool:
        """Whether this process still runs."""
        return started_at(self.pid) == self.started


def started_at(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None if there is none, or only a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # From the third field on; the second may contain anything.
    return None if fields[0] in "ZX" else int(fields[19])


def remember(folder: Path, name: str, pid: int) -> None:
    """Record a component that was just started; one that has already ended is recorded as such."""
    record = Record(name, pid, started_at(pid) or 0)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(asdict(record)))


def remembered(folder: Path) -> Iterator[Record]:
    """Yield all recorded components."""
    for path in sorted(folder.glob("*.json")):
        yield Record(**json.loads(path.read_text()))
