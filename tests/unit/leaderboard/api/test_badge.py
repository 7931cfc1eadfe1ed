from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.source.documents import board_of
from tests import leaderboard_objects as objects


def test_rank_and_score(demo: Board, text_of: Callable[..., str]) -> None:
    svg = ElementTree.fromstring(text_of(demo, "badges/model-0.svg"))
    (result,) = [each for each in demo.rounds["demo-tools-2"].ranked if each.model == "model-0"]
    label = f"model-0: bitagent rank {result.rank} of 10 · {100 * float(result.score or 0):.1f} %"
    assert svg.get("aria-label") == label


@pytest.mark.parametrize(
    "results",
    [[objects.refused(1)], [objects.scored(1, 0.9, 1, modelUid=objects.uid("another"))]],
    ids=["refused", "another"],
)
def test_a_model_without_a_rank_of_its_own(results: list[objects.Obj], text_of: Callable[..., str]) -> None:
    board = board_of([objects.model(1), objects.round_("x", results)])
    assert "not ranked" in text_of(board, "badges/model-1.svg")
