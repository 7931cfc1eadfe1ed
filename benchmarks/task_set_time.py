"""How long a task set of 1,000 takes to build with six alterations, against the same set without, in one run.

    python benchmarks/task_set_time.py [--repeat N] [--out FILE]

Whole processes of `bitagent-eval tasks build` on five categories of BFCL, in turn; the seconds are of the processor, of
which a busy machine changes less than of the clock. Writes task_set_time.json beside this file: medians, and the ratio
to `without alterations`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import described

COUNT = 1_000
CATEGORIES = "simple_python,multiple,parallel,live_simple,live_multiple"
SIX = ("merge:percent=10", "distractor-tools", "tool-shuffle", "function-mask", "parameter-mask", "default-value-mask")
BASELINE = "without alterations"
VARIANTS: dict[str, tuple[str, ...]] = {BASELINE: (), "six alterations": SIX}


def seconds_of(alterations: tuple[str, ...], out: Path) -> float:
    """Build one set in a process of its own; return the seconds of the processor that it took."""
    flags = [word for name in alterations for word in ("--alter", name)]
    build = ["build", "--bfcl", CATEGORIES, "--count", str(COUNT), "--seed", "demo", "--out", str(out), "--quiet"]
    process = subprocess.Popen(
        [sys.executable, "-m", "bitagent_evaluator.cli.app", "tasks", *build, *flags], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"tasks build failed: {status}")
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    found: dict[str, list[float]] = {name: [] for name in VARIANTS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.repeat):
            for name, alterations in VARIANTS.items():
                found[name].append(seconds_of(alterations, Path(folder) / name))
    medians = {name: statistics.median(values) for name, values in found.items()}
    result = {
        "machine": described("bitagent", "bfcl-eval"),
        "tasks": COUNT,
        "repeated": options.repeat,
        "seconds": {name: round(value, 2) for name, value in medians.items()},
        "ratio": {name: round(value / medians[BASELINE], 2) for name, value in medians.items()},
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["seconds"]), json.dumps(result["ratio"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
