"""A round as CSV, for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from bitagent_leaderboard.model.objects import Round
from bitagent_leaderboard.model.standing import Standings
from bitagent_leaderboard.model.text import cell

HEAD = (
    *("rank", "model", "hotkey", "state", "reason", "score", "loss", "interval_low", "interval_high", "passed"),
    *("tasks", "duplicate_of", "near_copy_of", "repo", "commit", "key", "result_digest"),
)


def table(round_: Round, standings: Standings) -> str:
    """Return the results of a round, one a line; categories are further columns, as `category: NAME`."""
    out = io.StringIO()
    writer = csv.writer(out)
    parts = [
        *(("column", name) for name in standings.columns),
        *(("kind", name) for name in standings.kinds),
        *(("category", name) for name in standings.categories),
    ]
    writer.writerow(_cells([*HEAD, *(f"{kind}: {name}" for kind, name in parts)]))
    for row in standings.rows:
        result, measured = row.result, row.measured
        low, high = row.interval or ("", "")
        of = {
            "column": measured.columns if measured is not None else {},
            "kind": measured.kinds if measured is not None else {},
            "category": measured.categories if measured is not None else {},
        }
        values = [
            *(result.rank, result.model, result.hotkey, result.state, result.outcome.reason, result.score),
            *(result.loss, low, high, result.passed, round_.tasks, result.duplicate_of, result.near_copy_of),
            *(result.repo, result.commit, result.key, result.digest),
            *(of[kind][name].score if name in of[kind] else "" for kind, name in parts),
        ]
        writer.writerow(_cells(values))
    return out.getvalue()


def _cells(values: Sequence[object]) -> list[str]:
    return ["" if value is None else cell(str(value)) for value in values]
