"""The documents of one board, what each is made of, and what it depends on.

A document is rendered when it is first asked for after something that it depends on has changed. The same list of
paths is served and exported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import partial

from bitagent_leaderboard.api.badge import badge
from bitagent_leaderboard.api.documents import Api
from bitagent_leaderboard.api.feed import feed
from bitagent_leaderboard.api.openapi import openapi
from bitagent_leaderboard.api.tables import table
from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.model.objects import Round, ValidatorView
from bitagent_leaderboard.model.standing import Standings, standings
from bitagent_leaderboard.pages.html import Pages, pages
from bitagent_leaderboard.pages.links import (
    competition_path,
    model_path,
    page_path,
    round_path,
    validator_path,
)
from bitagent_leaderboard.pages.render import STATIC, Settings, static_file

HTML, JSON, CSV = "text/html; charset=utf-8", "application/json", "text/csv; charset=utf-8"
ATOM, SVG = "application/atom+xml", "image/svg+xml"
_STATIC_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": SVG}
_STANDINGS_KEPT = 32

_NAME = r"(?P<name>[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?)"
_NUMBER = r"(?P<number>[1-9][0-9]{0,3})"
_LISTS = re.compile(rf"(?P<list>rounds|models)(-{_NUMBER})?\.html")
_ROUND = re.compile(rf"rounds/{_NAME}/(index|{_NUMBER})\.html")
_ASKED = re.compile(rf"rounds/{_NAME}/round\.json")
_MODEL = re.compile(rf"models/{_NAME}/index\.html")
_VALIDATOR = re.compile(rf"validators/{_NAME}/index\.html")
_COMPETITION = re.compile(rf"validators/{_NAME}/competitions/(?P<id>[a-z0-9-]{{1,63}})/index\.html")
_BADGE = re.compile(rf"badges/{_NAME}\.svg")
_DATA = re.compile(rf"api/v1/(?P<list>rounds|models|validators)/{_NAME}\.(?P<form>json|csv)")


@dataclass(frozen=True, slots=True)
class Source:
    """What a document is rendered from."""

    kind: str
    """Media type."""
    depends: Hashable
    """What changes whenever the document may."""
    render: Callable[[], str | bytes]


class StandingsCache:
    """Rankings of rounds, computed once for as long as nothing of a round changes."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Standings] = {}

    def of(self, board: Board, round_: Round) -> Standings:
        """Return the ranking of a round."""
        key = _round_state(board, round_)
        found = self._kept.get(key)
        if found is None:
            found = standings(round_, board.measures_of(round_).by_key)
            while len(self._kept) >= _STANDINGS_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = found
        return found


def static_source(path: str) -> Source | None:
    """Return the source of a file that pages load; None if it is none of them."""
    folder, _, name = path.partition("/")
    if folder != "static" or name not in STATIC:
        return None
    return Source(_STATIC_TYPES[name.rpartition(".")[2]], None, lambda: static_file(name))


class Site:
    """All documents of one board."""

    def __init__(self, board: Board, settings: Settings, cache: StandingsCache | None = None) -> None:
        self.board, self._settings, self._kept = board, settings, cache or StandingsCache()
        self._pages = Pages(board, settings, self._standing)
        self._api = Api(self._pages)

    def _standing(self, round_: Round) -> Standings:
        return self._kept.of(self.board, round_)

    def paths(self) -> Iterator[str]:
        """Yield the paths of all documents."""
        board = self.board
        yield from (f"static/{name}" for name in STATIC)
        yield from ("index.html", "about.html", "feed.atom")
        yield from (f"api/v1/{name}.json" for name in ("openapi", "board", "rounds", "models"))
        yield from (page_path("rounds", n + 1) for n in range(pages(len(board.rounds))))
        yield from (page_path("models", n + 1) for n in range(pages(len(board.models))))
        for each in board.competitions:
            if each.validator is not None:
                yield competition_path(each.validator, each.id)
        for name in board.validators:
            yield from (validator_path(name), f"api/v1/validators/{name}.json")
        for name, round_ in board.rounds.items():
            yield from (round_path(name, n + 1) for n in range(pages(len(round_.results))))
            yield from (f"api/v1/rounds/{name}.json", f"api/v1/rounds/{name}.csv")
            if self._is_asked(round_):
                yield f"rounds/{name}/round.json"
        names = {*board.models, *(name for each in board.rounds.values() for name in each.by_model)}
        for name in sorted(names):
            yield from (model_path(name), f"badges/{name}.svg", f"api/v1/models/{name}.json")

    def find(self, path: str) -> Source | None:
        """Return what a document is made of; None if there is none at this path."""
        made, api, revision = self._pages, self._api, self.board.revision
        plain: dict[str, tuple[str, Hashable, Callable[[], str | bytes]]] = {
            "index.html": (HTML, revision, made.index),
            "about.html": (HTML, None, made.about),
            "feed.atom": (ATOM, revision, lambda: feed(self.board, self._settings)),
            "api/v1/openapi.json": (JSON, None, openapi),
            "api/v1/board.json": (JSON, revision, api.board),
            "api/v1/rounds.json": (JSON, revision, api.rounds),
            "api/v1/models.json": (JSON, revision, api.models),
        }
        if path in plain:
            return Source(*plain[path])
        if (static := static_source(path)) is not None:
            return static
        finders = (self._list, self._round, self._asked, self._model, self._of_validator, self._data)
        return next((found for finder in finders if (found := finder(path)) is not None), None)

    def missing(self, path: str) -> str:
        """Return the page in place of one that does not exist."""
        return self._pages.missing(path)

    def _list(self, path: str) -> Source | None:
        match = _LISTS.fullmatch(path)
        if match is None:
            return None
        number = int(match["number"] or 1)
        of_rounds = match["list"] == "rounds"
        items = len(self.board.rounds if of_rounds else self.board.models)
        render = self._pages.rounds if of_rounds else self._pages.models
        if number > pages(items) or match["number"] == "1":
            return None
        return Source(HTML, self.board.revision, lambda: render(number))

    def _round(self, path: str) -> Source | None:
        match = _ROUND.fullmatch(path)
        round_ = self.board.rounds.get(match["name"]) if match is not None else None
        if match is None or round_ is None or match["number"] == "1":
            return None
        number = int(match["number"] or 1)
        if number > pages(len(round_.results)):
            return None
        return Source(HTML, self._state(round_), lambda: self._pages.round(round_, number))

    def _asked(self, path: str) -> Source | None:
        match = _ASKED.fullmatch(path)
        round_ = self.board.rounds.get(match["name"]) if match is not None else None
        if round_ is None or not self._is_asked(round_):
            return None
        return Source(JSON, self._state(round_), lambda: self._api.asked(round_))

    def _is_asked(self, round_: Round) -> bool:
        """Whether the document is public by which anyone can ask the same."""
        return round_.document is not None and self._pages.public(round_)

    def _model(self, path: str) -> Source | None:
        for pattern, kind, render in ((_MODEL, HTML, self._pages.model), (_BADGE, SVG, partial(badge, self.board))):
            match = pattern.fullmatch(path)
            if match is not None and self.board.has_model(match["name"]):
                name = match["name"]
                return Source(kind, (name, self._model_state(name)), partial(render, name))
        return None

    def _of_validator(self, path: str) -> Source | None:
        match = _VALIDATOR.fullmatch(path)
        validator = self.board.validators.get(match["name"]) if match is not None else None
        if validator is not None:
            return Source(HTML, self._validator_state(validator), lambda: self._pages.validator(validator))
        match = _COMPETITION.fullmatch(path)
        competition = self.board.competition(match["name"], match["id"]) if match is not None else None
        if competition is None:
            return None
        return Source(HTML, self.board.revision, lambda: self._pages.competition(competition))

    def _data(self, path: str) -> Source | None:
        match = _DATA.fullmatch(path)
        if match is None:
            return None
        name, kind, form, board = match["name"], match["list"], match["form"], self.board
        if kind == "rounds" and (round_ := board.rounds.get(name)) is not None:
            if form == "csv":
                return Source(CSV, self._state(round_), lambda: table(round_, self._standing(round_)))
            return Source(JSON, self._state(round_), lambda: self._api.round(round_))
        if form == "csv":
            return None
        if kind == "models" and board.has_model(name):
            return Source(JSON, (name, self._model_state(name)), lambda: self._api.model(name))
        if kind == "validators" and (validator := board.validators.get(name)) is not None:
            return Source(JSON, self._validator_state(validator), lambda: self._api.validator(validator))
        return None

    def _state(self, round_: Round) -> Hashable:
        return _round_state(self.board, round_), self.board.tasks_are_public(round_)

    def _model_state(self, name: str) -> Hashable:
        model = self.board.models.get(name)
        rounds = [self._state(each) for each in self.board.newest if name in each.by_model]
        validators = [(each.uid, each.version) for each in self.board.validators.values()]
        return (model.uid, model.version) if model is not None else None, tuple(rounds), tuple(validators)

    def _validator_state(self, validator: ValidatorView) -> Hashable:
        paid = validator.last.rounds if validator.last is not None else ()
        rounds = [_round_state(self.board, found) for name in paid if (found := self.board.rounds.get(name))]
        mine = [(each.name, each.complete) for each in self.board.newest if each.validator == validator.name]
        return validator.uid, validator.version, tuple(rounds), tuple(mine)


def _round_state(board: Board, round_: Round) -> Hashable:
    return round_.uid, round_.version, board.measures_of(round_).version
