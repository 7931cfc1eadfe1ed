"""Comparisons of the results of earlier runs (`results/`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recordings.program import DATASETS, MODELS, evaluate

RESULTS = Path(__file__).resolve().parents[1] / "results"
JUDGED = {
    "calls-tiny-fc-1200": ("calls", "--scorer", "Bfcl"),
    "calls-tiny-fc-400": ("calls", "--scorer", "Bfcl"),
    "texts-tiny-fc-1200": ("texts", "--scorer", "Loss", "--batches", "4"),
    "texts-tiny-fc-400": ("texts", "--scorer", "Loss", "--batches", "4"),
    "single-endpoint": ("single", "--scorer", "BitAgent202504"),
}
"""Task set and options of `score`, by results directory."""
COMPARED = {
    "calls": ("calls-tiny-fc-1200", "calls-tiny-fc-400"),
    "calls and a model's fault": ("calls-broken", "calls-tiny-fc-400"),
    "texts": ("texts-tiny-fc-1200", "texts-tiny-fc-400"),
}
FILES = {
    "calls": ("--file", f"1={MODELS / 'tasks.jsonl'}", "--rewrites", RESULTS / "calls" / "rewrites.jsonl"),
    "texts": ("--file", f"0={DATASETS / 'answers' / 'train.jsonl'}"),
    "single": ("--file", f"0={MODELS / 'tasks.jsonl'}"),
}
"""What a task set is built of besides its spec."""


def observe(folder: Path) -> dict[str, Any]:
    """Compare what is there; the directories are left out."""
    found: dict[str, Any] = {}
    for name, (a, b) in COMPARED.items():
        comparison = json.loads(evaluate("compare", RESULTS / a, RESULTS / b, "--json"))
        found[name] = {key: of for key, of in comparison.items() if key not in ("a", "b")}
    return found
