"""What a benchmark ran on, in words that a ratio is read with."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path


def described(*packages: str) -> dict[str, object]:
    """Return processor, usable cores, and versions of Python and packages. Ratios differ less than times."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
    }
