"""Named steps, each timed and with a log; the error of a failed step names the step, the cause and the log."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from bitagent_local.cluster.host import ClusterError
from bitagent_local.cluster.processes import log_tail


class PhaseError(ClusterError):
    """A step failed; the message names the step, the cause and its log."""


@dataclass
class Phase:
    """One running step."""

    name: str
    log: Path

    def run(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: str | None = None,
    ) -> str:
        """Run a command, append its output to the log, and return its standard output.

        Raises PhaseError if it ends with a status other than 0, or does not exist.
        """
        words = [str(w) for w in command]
        with self.log.open("a") as log:
            log.write(f"$ {' '.join(words)}\n")
            log.flush()
            try:
                done = subprocess.run(
                    words, env=env, cwd=cwd, input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=log, text=True, check=False,
                )  # fmt: skip
            except FileNotFoundError as error:
                raise PhaseError(f"{self.name}: there is no command {words[0]!r}") from error
            log.write(done.stdout)
        if done.returncode != 0:
            raise PhaseError(
                f"{self.name}: {words[0]} ended with status {done.returncode}; "
                f"its log is {self.log}:\n{log_tail(self.log)}"
            )
        return done.stdout


@dataclass
class Phases:
    """The steps of one run. Steps may run side by side in threads."""

    logs: Path
    out: TextIO = field(default_factory=lambda: sys.stdout)
    seconds: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        """Time a step and print its seconds when it ends.

        Raises PhaseError, with the step's name, if the body fails.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        phase = Phase(name, self.logs / f"{name.replace(' ', '-').replace('/', '-')}.log")
        phase.log.write_text("")
        start = time.monotonic()
        try:
            yield phase
        except PhaseError:
            self._print("✗", name, time.monotonic() - start)
            raise
        except (ClusterError, OSError, subprocess.SubprocessError) as error:
            self._print("✗", name, time.monotonic() - start)
            raise PhaseError(f"{name}: {error}") from error
        self._print("✓", name, time.monotonic() - start)

    def together(self, *lanes: Callable[[], None]) -> None:
        """Run lanes side by side; the first error is raised once all have ended, so that none is left running."""
        with ThreadPoolExecutor(len(lanes)) as pool:
            futures = [pool.submit(lane) for lane in lanes]
        for future in futures:
            future.result()

    def _print(self, mark: str, name: str, seconds: float) -> None:
        with self._lock:
            self.seconds[name] = round(seconds, 1)
            self.out.write(f"  {mark} {name:<36} {seconds:6.1f} s\n")
            self.out.flush()
