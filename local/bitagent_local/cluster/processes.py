"""Starting a component and waiting until it is ready, with an error that says which one failed and why."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import ClusterError, log_tail


@dataclass(frozen=True)
class Component:
    """A program with its arguments and the file that takes all it prints."""

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
        """The process id; it stays the same when the wrapping commands replace themselves with the component."""
        return self.process.pid

    def failure(self) -> str | None:
        """Return why the component is not running any more, None as long as it is."""
        status = self.process.poll()
        return None if status is None else f"it ended with status {status}"


def start(component: Component, *, prefix: Sequence[str] = ()) -> Running:
    """Start a component in a session of its own; `prefix` is a command that ends in executing its arguments."""
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

    Raises:
        ClusterError: The component ended, or was not ready in time.
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
