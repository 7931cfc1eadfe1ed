"""Rounds as an Atom feed (RFC 4287): an entry when a round is created, which changes when it ends."""

from __future__ import annotations

from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.pages.links import round_path
from bitagent_leaderboard.pages.render import Settings, environment, instant

ENTRIES = 50
"""Rounds of the feed at most."""
_EPOCH = "1970-01-01T00:00:00Z"


def feed(board: Board, settings: Settings) -> str:
    """Return the feed. Links are relative to it, unless the page's address is known."""
    rounds = board.newest[:ENTRIES]
    root = f"{settings.site}/" if settings.site is not None else ""
    return (
        environment()
        .get_template("feed.atom.jinja")
        .render(
            settings=settings,
            rounds=[(each, root + round_path(each.name)) for each in rounds],
            updated=instant(max(each.at for each in rounds)) if rounds else _EPOCH,
            root=root,
        )
    )
