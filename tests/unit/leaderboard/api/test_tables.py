from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

from bitagent_leaderboard.api.tables import HEAD
from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.source.documents import board_of, with_manifests
from tests import leaderboard_objects as objects


def test_rows_and_categories(demo: Board, text_of: Callable[..., str]) -> None:
    rows = list(csv.DictReader(io.StringIO(text_of(demo, "api/v1/rounds/demo-tools-2.csv"))))
    assert set(HEAD) <= set(rows[0])
    assert rows[0]["rank"] == "1"
    assert rows[0]["category: irrelevance"] == rows[0]["score"]
    assert {row["reason"] for row in rows if not row["rank"]} == {"CustomCode", "DuplicateWeights"}


def test_no_cell_is_a_formula(tmp_path: Path, text_of: Callable[..., str]) -> None:
    made = objects.round_("x", [objects.scored(1, 0.5, 1)])
    objects.put_manifest(
        tmp_path, made, 1, objects.manifest(1, 0.5, categories={'=HYPERLINK("http://x")': 0.5, "-1": 0.5})
    )
    board = with_manifests(board_of([made]), tmp_path)
    rows = list(csv.reader(io.StringIO(text_of(board, "api/v1/rounds/x.csv"))))
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert 'category: =HYPERLINK("http://x")' in rows[0]
