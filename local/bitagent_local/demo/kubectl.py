"""kubectl as an object: the demo runs the commands that a user would type."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bitagent_local.cluster.host import ClusterError

T = TypeVar("T")


class NotInTime(ClusterError):
    """What was waited for did not come true."""


@dataclass(frozen=True)
class Kubectl:
    """The kubectl binary with one kubeconfig."""

    binary: Path
    kubeconfig: Path

    def environment(self) -> dict[str, str]:
        """Return the process environment with KUBECONFIG set."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def run(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """Return the standard output of `kubectl ARGS`.

        Raises ClusterError with its output if it fails and `check` is set.
        """
        done = subprocess.run(
            [str(self.binary), *args], env=self.environment(), input=stdin, capture_output=True, text=True, check=False
        )
        if check and done.returncode != 0:
            raise ClusterError(f"kubectl {' '.join(args)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def apply(self, manifest: str, *args: str) -> None:
        """Server-side apply YAML or JSON text."""
        self.run("apply", "--server-side", "--force-conflicts", *args, "-f", "-", stdin=manifest)

    def get(self, *args: str) -> Any:
        """Return the parsed output of `kubectl get ARGS -o json`."""
        return json.loads(self.run("get", *args, "-o", "json"))

    def find(self, *args: str) -> Any | None:
        """Return one object as `get` does, or None if it does not exist."""
        out = self.run("get", *args, "-o", "json", "--ignore-not-found")
        return json.loads(out) if out.strip() else None


def wait_until(look: Callable[[], T | None], *, seconds: float, what: str, pace: float = 0.5) -> T:
    """Poll until `look` returns a true value. Raises NotInTime naming `what` if that takes longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise NotInTime(f"{what}: not within {seconds:.0f} s")
        time.sleep(pace)
