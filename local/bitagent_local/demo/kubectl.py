"""kubectl as a small object: the demo does what a user would do at a prompt."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bitagent_local.cluster.errors import ClusterError

T = TypeVar("T")


@dataclass(frozen=True)
class Kubectl:
    """One binary and one kubeconfig."""

    binary: Path
    kubeconfig: Path

    def environment(self) -> dict[str, str]:
        """The process environment with KUBECONFIG set."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}

    def run(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """Standard output of `kubectl ARGS`.

        Raises:
            ClusterError: It failed; the message has what it wrote.
        """
        done = subprocess.run(
            [str(self.binary), *args], env=self.environment(), input=stdin, capture_output=True, text=True, check=False
        )
        if check and done.returncode != 0:
            raise ClusterError(f"kubectl {' '.join(args)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def apply(self, manifest: str, *args: str) -> None:
        """Server-side apply of YAML or JSON text."""
        self.run("apply", "--server-side", "--force-conflicts", *args, "-f", "-", stdin=manifest)

    def get(self, *args: str) -> Any:
        """`kubectl get ARGS -o json`, parsed."""
        return json.loads(self.run("get", *args, "-o", "json"))

    def find(self, *args: str) -> Any | None:
        """Like `get` for one object; None when it is not there."""
        out = self.run("get", *args, "-o", "json", "--ignore-not-found")
        return json.loads(out) if out.strip() else None


def wait_until(look: Callable[[], T | None], *, seconds: float, what: str, pace: float = 0.5) -> T:
    """Poll until `look` returns something true. Raises ClusterError naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise ClusterError(f"{what}: not within {seconds:.0f} s")
        time.sleep(pace)
