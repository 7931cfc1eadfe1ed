"""How the verbs show BFCL's columns."""

from __future__ import annotations

from rich.table import Table

from bitagent_evaluator.scoring import Aggregate


def columns_view(outcome: Aggregate) -> list[Table]:
    """A table of the columns, in a list that is empty when there are none."""
    if not outcome.leaderboard:
        return []
    table = Table()
    table.add_column("BFCL leaderboard")
    table.add_column("score", justify="right")
    for name, value in outcome.leaderboard.items():
        table.add_row(name, f"{float(value):.2%}")
    return [table]
