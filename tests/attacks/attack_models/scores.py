"""The recorded scores of benchmarks/alterations.json, as the table that documents quote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parents[3] / "benchmarks" / "alterations.json"
COLUMNS = ("table by question", "table by descriptions", "table with names from the prompt", "bag of words")


def recorded() -> dict[str, dict[str, dict[str, Any]]]:
    """Return the scores by task set, alteration and answerer."""
    found: dict[str, dict[str, dict[str, Any]]] = json.loads(RECORDED.read_text())["scores"]
    return found


def markdown(task_set: str) -> str:
    """Return the table of one task set."""
    lines = [f"| alteration | tasks changed | {' | '.join(COLUMNS)} |", "|---|" + "---|" * (1 + len(COLUMNS))]
    for name, scores in recorded()[task_set].items():
        shown = "none" if name == "none" else "all of them" if name == "all" else f"`{name}`"
        shown = shown.replace(", ", "`, `").replace("rewrite with descriptions", "rewrite` with `descriptions")
        cells = [f"{float(scores['changed']):.0%}", *(scores[column] for column in COLUMNS)]
        lines.append(f"| {shown} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
