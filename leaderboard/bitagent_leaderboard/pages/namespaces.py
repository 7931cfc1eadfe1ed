"""The first page of several namespaces: which there are, and what happens in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.model.objects import Round
from bitagent_leaderboard.pages.links import Links
from bitagent_leaderboard.pages.render import Settings, render


@dataclass(frozen=True, slots=True)
class NamespaceView:
    """A namespace in the list."""

    name: str
    board: Board | None
    """None: it was not read yet."""
    running: tuple[Round, ...]
    """Rounds that are not complete and the newest of their competition."""
    latest: Round | None
    """The complete round that ended last."""


class NamespacesPage:
    """The list of namespaces, and what is shown in place of a document that none of them has."""

    def __init__(self, boards: Mapping[str, Board | None], settings: Settings) -> None:
        self._boards, self._settings = boards, settings

    def index(self) -> str:
        """Return the list."""
        views = [_view(name, board) for name, board in self._boards.items()]
        return self._render("index.html", "*", "namespaces", namespaces=views)

    def missing(self, path: str) -> str:
        """Return what is shown in place of a document that does not exist."""
        return self._render(path, "", "missing")

    def _render(self, path: str, topics: str, template: str, **values: object) -> str:
        links = Links(path, files=self._settings.files)
        return render(
            f"{template}.html.jinja", links=links, settings=self._settings, topics=topics, is_list=True, **values
        )


def _view(name: str, board: Board | None) -> NamespaceView:
    if board is None:
        return NamespaceView(name, None, (), None)
    complete = [each for each in board.newest if each.complete]
    running = tuple(each.running for each in board.competitions if each.running is not None)
    return NamespaceView(name, board, running, max(complete, key=lambda each: each.at, default=None))
