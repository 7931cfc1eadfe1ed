from __future__ import annotations

from typing import Any

from bitagent_leaderboard.model.board import Board, changes
from bitagent_leaderboard.source.documents import board_of
from tests import leaderboard_objects as objects


def rounds(**several: Any) -> Board:
    return board_of([objects.round_(name, **given) for name, given in several.items()])


def test_competitions_with_their_rounds(demo: Board) -> None:
    tools, others = demo.competitions
    assert (tools.validator, tools.id) == ("demo", "tools")
    assert tools.latest is not None
    assert tools.latest.name == "demo-tools-2"
    assert tools.running is not None
    assert tools.running.name == "demo-tools-3"
    assert (others.validator, [each.name for each in others.rounds]) == (None, ["by-hand"])


def test_rounds_of_a_competition_that_no_validator_has() -> None:
    (found,) = board_of([objects.round_("x", [], validator="gone")]).competitions
    assert (found.validator, found.id, found.rules) == ("gone", "tools", None)


class TestTasksArePublic:
    DONE = [objects.scored(1, 0.5, 1)]

    def test_of_a_complete_round(self) -> None:
        board = board_of([objects.round_("x", self.DONE)])
        assert board.tasks_are_public(board.rounds["x"])

    def test_not_of_any_other(self) -> None:
        board = board_of([objects.round_("x", self.DONE, phase="Failed")])
        assert not board.tasks_are_public(board.rounds["x"])

    def test_not_while_another_round_asks_the_same(self) -> None:
        same = {"tasks": {"seed": "one"}}
        board = board_of([objects.round_("x", self.DONE, **same), objects.round_("y", [], phase="Running", **same)])
        assert not board.tasks_are_public(board.rounds["x"])
        board = board_of([objects.round_("x", self.DONE, **same), objects.round_("y", self.DONE, **same)])
        assert board.tasks_are_public(board.rounds["x"])

    def test_not_while_miners_are_asked_the_same_online(self) -> None:
        online = objects.round_("y", [], tasks={"seed": "one"})
        online["spec"]["tasksOnly"] = True
        board = board_of([objects.round_("x", self.DONE, tasks={"seed": "one"}), online])
        assert not board.tasks_are_public(board.rounds["x"])
        assert "y" not in board.rounds, "and such a round is not shown"


def test_another_model_of_the_same_name_has_a_history_of_its_own() -> None:
    mine = objects.model(1)
    earlier = objects.round_("a", [objects.scored(1, 0.9, 1, modelUid=objects.uid("other"))], end=10)
    later = objects.round_("b", [objects.scored(1, 0.4, 7)], end=20)
    board = board_of([mine, earlier, later])
    assert [(each.round.name, each.same) for each in board.appearances("model-1")] == [("b", True), ("a", False)]
    latest = board.latest("model-1")
    assert latest is not None
    assert (latest.round, latest.score, latest.rank) == ("b", "0.400000", 7)


def test_outcomes_of_rounds_that_are_deleted() -> None:
    past = [{"round": name, "score": "0.300000", "rank": 5, "at": objects.at(5)} for name in ("gone", "a")]
    board = board_of([objects.model(1, history=past), objects.round_("a", [])])
    assert [each.round for each in board.forgotten("model-1")] == ["gone"]
    latest = board.latest("model-1")
    assert latest is not None
    assert latest.round == "gone"


def test_changes_name_what_differs() -> None:
    before = board_of([objects.model(1), objects.model(2), objects.round_("a", []), objects.validator()])
    after = board_of(
        [objects.model(1), objects.round_("a", [], version=2), objects.round_("b", []), objects.validator()]
    )
    assert changes(before, after) == ["models/model-2", "rounds/a", "rounds/b"]
    assert changes(after, after) == []
