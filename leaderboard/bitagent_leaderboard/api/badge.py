"""A model's rank as a small picture, for model cards."""

from __future__ import annotations

from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.pages.render import environment, percent

_CHARACTER = 6.6
"""Width of a character at 11 pixels, on the average; the text is fitted to what is reserved for it."""
_PADDING = 12


def badge(board: Board, name: str) -> str:
    """Return the picture: rank and score of the last complete round in which the model has a rank."""
    label, value, good = "bitagent", "not ranked", False
    for each in board.appearances(name):
        if each.same and each.result.rank is not None:
            found = f"loss {each.result.loss}" if each.result.loss else f"{percent(each.result.score)} %"
            value, good = f"rank {each.result.rank} of {len(each.round.ranked)} · {found}", True
            break
    left, right = (round(len(text) * _CHARACTER) + _PADDING for text in (label, value))
    return (
        environment()
        .get_template("badge.svg.jinja")
        .render(label=label, value=value, left=left, right=right, good=good, name=name)
    )
