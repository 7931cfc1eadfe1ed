"""How long an evaluation has been going on: a pod pays for the interpreter's start and the imports too."""

from __future__ import annotations

import os
import time
from pathlib import Path


def seconds_since_process_start() -> float:
    """Age of this process by the kernel's clock, which ticks a hundred times a second."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)


def seconds_since(began: float | None) -> float:
    """Since `began` on the monotonic clock; since this process started where there is no such moment."""
    return seconds_since_process_start() if began is None else time.monotonic() - began
