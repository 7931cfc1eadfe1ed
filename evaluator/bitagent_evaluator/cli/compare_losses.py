"""How a comparison of losses looks on a terminal, and as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bitagent_evaluator.reports.loss_comparison import LossComparison, LossContrast, LossPair


def losses_view(comparison: LossComparison, limit: int) -> Group:
    """Contrasts, the finding, and the samples that differ most."""
    table = Table()
    table.add_column("category")
    for title in ("samples", "A", "B", "A - B", "95 % interval", "A lower", "B lower"):
        table.add_column(title, justify="right")
    for name, contrast in comparison.categories.items():
        table.add_row(Text(name), *_cells(contrast))
    table.add_section()
    table.add_row("all", *_cells(comparison.overall), style="bold")
    batches = f"batches with the lower mean loss: A {comparison.batches_a}, B {comparison.batches_b}\n"
    parts: list[Table | Text] = [table, Text(comparison.finding, style="bold"), Text(batches)]
    if limit and comparison.differing:
        parts.append(_differing(comparison.differing, limit))
    return Group(*parts)


def plain(comparison: LossComparison) -> dict[str, Any]:
    """The comparison for JSON, which has no infinity: such a number is the text `inf` or `-inf`."""
    content: dict[str, Any] = _finite(asdict(comparison))
    return content


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(member) for member in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _cells(contrast: LossContrast) -> list[str]:
    bounds = contrast.interval
    return [
        str(contrast.total),
        f"{contrast.a_loss:.4f}",
        f"{contrast.b_loss:.4f}",
        f"{contrast.difference:+.4f}",
        f"{bounds[0]:+.4f} to {bounds[1]:+.4f}" if bounds else "",
        str(contrast.lower_a),
        str(contrast.lower_b),
    ]


def _differing(pairs: list[LossPair], limit: int) -> Table:
    shown = pairs[:limit]
    table = Table(caption=f"{len(shown)} of {len(pairs)} samples that differ, most first", caption_justify="left")
    for title in ("sample", "category"):
        table.add_column(title)
    for title in ("A", "B", "A - B"):
        table.add_column(title, justify="right")
    for pair in shown:
        difference = f"{pair.a_loss - pair.b_loss:+.4f}"
        table.add_row(Text(pair.id), Text(pair.category), f"{pair.a_loss:.4f}", f"{pair.b_loss:.4f}", difference)
    return table
