"""All documents of several namespaces: each namespace's in a folder of its own, below a first page that lists them.

Names of objects are unique within a namespace only. A single namespace has no folder, and no list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from bitagent_leaderboard.api.documents import namespaces_document
from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.pages.links import namespace_path, within_namespace
from bitagent_leaderboard.pages.namespaces import NamespacesPage
from bitagent_leaderboard.pages.render import STATIC, Settings
from bitagent_leaderboard.site.documents import HTML, JSON, Site, Source, StandingsCache, static_source

INDEX, LIST = "index.html", "api/v1/namespaces.json"


class Documents(Protocol):
    """What is served or exported."""

    def paths(self) -> Iterator[str]:
        """Yield the paths of all documents."""

    def find(self, path: str) -> Source | None:
        """Return what a document is made of; None if there is none at this path."""

    def missing(self, path: str) -> str:
        """Return the page in place of one that does not exist."""


class Sites:
    """The documents of several namespaces; None: that namespace was not read yet."""

    def __init__(
        self, boards: Mapping[str, Board | None], settings: Settings, cache: StandingsCache | None = None
    ) -> None:
        kept = cache or StandingsCache()
        self._boards = _without_open_tasks(boards)
        self._page = NamespacesPage(self._boards, settings)
        self._sites = {
            name: Site(board, _of_namespace(settings, name), kept)
            for name, board in self._boards.items()
            if board is not None
        }

    def paths(self) -> Iterator[str]:
        """Yield the paths of all documents."""
        yield from (f"static/{name}" for name in STATIC)
        yield from (INDEX, LIST)
        for name, site in self._sites.items():
            yield from (namespace_path(name) + path for path in site.paths())

    def find(self, path: str) -> Source | None:
        """Return what a document is made of; None if there is none at this path."""
        name, rest = within_namespace(path)
        if name is not None:
            site = self._sites.get(name)
            return site.find(rest) if site is not None else None
        if path == INDEX:
            return Source(HTML, self._state(), self._page.index)
        if path == LIST:
            return Source(JSON, self._state(), lambda: namespaces_document(self._boards))
        return static_source(path)

    def missing(self, path: str) -> str:
        """Return the page in place of one that does not exist."""
        name, rest = within_namespace(path)
        site = self._sites.get(name) if name is not None else None
        return site.missing(rest) if site is not None else self._page.missing(path)

    def _state(self) -> tuple[int | None, ...]:
        return tuple(board.revision if board is not None else None for board in self._boards.values())


def documents_of(
    boards: Mapping[str, Board | None], settings: Settings, cache: StandingsCache | None = None
) -> Documents:
    """Return the documents of boards by namespace; of a single one they are not in a folder."""
    if len(boards) == 1:
        ((name, board),) = boards.items()
        return Site(board or Board(), replace(settings, has_manifests=settings.has_manifests_of(name)), cache)
    return Sites(boards, settings, cache)


def _of_namespace(settings: Settings, name: str) -> Settings:
    site = f"{settings.site}/{namespace_path(name).rstrip('/')}" if settings.site is not None else None
    return replace(
        settings,
        title=f"{settings.title}: {name}",
        site=site,
        namespace=name,
        has_manifests=settings.has_manifests_of(name),
    )


def _without_open_tasks(boards: Mapping[str, Board | None]) -> dict[str, Board | None]:
    """Return the boards, each with the secrets of the others' rounds that are not complete.

    Validators of one subnet may ask the same tasks from different namespaces, and end their rounds at different times.
    While a namespace was not read, any round may be one whose tasks it asks.
    """
    secrets = {name: board.open_secrets for name, board in boards.items() if board is not None}
    found: dict[str, Board | None] = {}
    for name, board in boards.items():
        if board is None:
            found[name] = None
            continue
        others = frozenset[str]().union(*(each for other, each in secrets.items() if other != name))
        if len(secrets) < len(boards):
            others = others.union(*(each.secrets for each in board.rounds.values()))
        found[name] = replace(board, withheld=board.withheld | others) if others else board
    return found
