"""The Python distribution: one wheel, whose bytes follow from the commit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from scripts.release.versions import ROOT


class ReleaseError(Exception):
    """Raised if a part of a release cannot be made; the message has the program's words."""


def build_wheel(out: Path, *, epoch: int, root: Path = ROOT) -> Path:
    """Build the wheel into a folder; its files have the time `epoch`. Raises ReleaseError."""
    before = set(out.glob("*.whl"))
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ReleaseError(f"the wheel cannot be built: {done.stderr.strip()[-2000:]}")
    (made,) = set(out.glob("*.whl")) - before
    return made
