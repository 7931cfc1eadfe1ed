"""What each page shows: a board in, HTML out."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bitagent_crds.model_result import ResultState
from bitagent_leaderboard.model.board import Appearance, Board, Competition
from bitagent_leaderboard.model.measured import Part
from bitagent_leaderboard.model.objects import Result, Round, ValidatorView
from bitagent_leaderboard.model.standing import Row, Standings
from bitagent_leaderboard.pages.commands import Command, reproduction
from bitagent_leaderboard.pages.hotkeys import answers_of, online_rows, weight_rows
from bitagent_leaderboard.pages.links import (
    Links,
    competition_path,
    model_path,
    page_path,
    round_path,
    validator_path,
)
from bitagent_leaderboard.pages.plots import Plot, Value, plot
from bitagent_leaderboard.pages.render import Settings, moment, percent, render

PAGE = 100
"""Rows of one page of a list."""
_BEST = 5
"""Rows of a ranking on the first page."""
_OTHERS = "other rounds"

Standing = Callable[[Round], Standings]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CompetitionView:
    """A competition on the first page."""

    competition: Competition
    validator: ValidatorView | None
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a model's rounds hold anything."""

    interval: bool
    loss: bool
    passed: bool
    files: bool
    note: bool


def pages(count: int) -> int:
    """Return the number of pages of a list; an empty one has one."""
    return max(1, -(-count // PAGE))


def page_of(items: Sequence[T], number: int) -> Sequence[T]:
    """Return one page of a list, counted from 1."""
    return items[(number - 1) * PAGE : number * PAGE]


class Pages:
    """The HTML pages of one board. `standing` returns the ranking of a round, computed once."""

    def __init__(self, board: Board, settings: Settings, standing: Standing) -> None:
        self.board, self.settings, self.standing = board, settings, standing

    def index(self) -> str:
        """Return the first page."""
        views = [
            CompetitionView(
                each,
                self.board.validators.get(each.validator) if each.validator is not None else None,
                self.standing(each.latest).ranked[:_BEST] if each.latest is not None else (),
            )
            for each in self.board.competitions
        ]
        return self._render("index.html", "*", "index", competitions=views)

    def rounds(self, number: int) -> str:
        """Return a page of the list of rounds."""
        newest = self.board.newest
        values = {"rounds": page_of(newest, number), "number": number, "last": pages(len(newest))}
        return self._render(page_path("rounds", number), "*", "rounds", **values)

    def models(self, number: int) -> str:
        """Return a page of the list of models."""
        names = sorted(self.board.models, key=_in_numbers)
        rows = [(self.board.models[name], self.board.latest(name)) for name in page_of(names, number)]
        values = {"models": rows, "rounds": self.board.rounds, "number": number, "last": pages(len(names))}
        return self._render(page_path("models", number), "*", "models", **values)

    def competition(self, competition: Competition) -> str:
        """Return the page of a competition of a Validator."""
        validator = competition.validator or ""
        path = competition_path(validator, competition.id)
        topics = [f"validators/{validator}", *(f"rounds/{each.name}" for each in competition.rounds[:3])]
        return self._render(
            path,
            " ".join(topics),
            "competition",
            competition=competition,
            validator=self.board.validators.get(validator),
        )

    def round(self, round_: Round, number: int) -> str:
        """Return a page of a round."""
        standings = self.standing(round_)
        rows = page_of(standings.rows, number)
        ranked = [row for row in rows if row.result.rank is not None]
        archive, public = self.archive(round_), self.public(round_)
        commands = {row.result.model: self.command(round_, row.result) for row in ranked}
        return self._render(
            round_path(round_.name, number),
            f"rounds/{round_.name}",
            "round",
            round=round_,
            standings=standings,
            rows=ranked,
            others=[row for row in rows if row.result.rank is None],
            measured=any(row.measured is not None for row in standings.rows),
            intervals=any(row.interval is not None for row in standings.ranked),
            notes=any(row.result.near_copy_of or row.result.state != ResultState.SUCCEEDED for row in ranked),
            commands={name: command for name, command in commands.items() if command is not None},
            archive=archive,
            public=public,
            document=public and round_.document is not None,
            number=number,
            last=pages(len(standings.rows)),
        )

    def model(self, name: str) -> str:
        """Return the page of a model."""
        model = self.board.models.get(name)
        appearances, forgotten = list(self.board.appearances(name)), self.board.forgotten(name)
        running = list(self.board.running_with(name))
        own = [each for each in appearances if each.same]
        scored = next((each for each in own if self.command(each.round, each.result) is not None), None)
        parted = next((each for each in own if each.measured is not None), None)
        newest = own[0].result if own else None
        hotkey = model.hotkey if model is not None else newest.hotkey if newest is not None else None
        repo, commit = (model.repo, model.commit) if model is not None and model.repo is not None else (None, None)
        if repo is None and newest is not None:
            repo, commit = newest.repo, newest.commit
        topics = [f"models/{name}", *(f"rounds/{each.name}" for each, _ in running)]
        archives = {each.round.name: self.archive(each.round) for each in appearances}
        refused = {pair for each in self.board.validators.values() for pair in each.refused_claims}
        return self._render(
            model_path(name),
            " ".join(topics),
            "model",
            name=name,
            model=model,
            hotkey=hotkey,
            repo=repo,
            commit=commit,
            weights=self._weights_of(hotkey),
            online=answers_of(self.board, hotkey),
            running=running,
            appearances=appearances,
            forgotten=forgotten,
            figures=_figures(own),
            archives=archives,
            refused=refused,
            columns=Columns(
                interval=any(each.interval is not None for each in appearances),
                loss=any(each.result.loss is not None for each in appearances),
                passed=any(each.result.passed is not None and each.result.loss is None for each in appearances),
                files=any(archives.values()),
                note=bool(forgotten) or any(_noted(each, refused) for each in appearances),
            ),
            parts=_parts(parted) if parted is not None else (),
            parts_round=parted.round.name if parted is not None else "",
            command=self.command(scored.round, scored.result) if scored is not None else None,
            command_round=scored.round.name if scored is not None else "",
        )

    def validator(self, validator: ValidatorView) -> str:
        """Return the page of a Validator: its weights beside the scores that they came from."""
        paid = validator.last.rounds if validator.last is not None else ()
        topics = [f"validators/{validator.name}", *(f"rounds/{name}" for name in paid)]
        return self._render(
            validator_path(validator.name),
            " ".join(topics),
            "validator",
            validator=validator,
            rounds=self.board.rounds,
            weights=weight_rows(self.board, validator),
            online=online_rows(self.board, validator),
        )

    def about(self) -> str:
        """Return the page about the page."""
        return self._render("about.html", "", "about")

    def missing(self, path: str) -> str:
        """Return what is shown in place of a document that does not exist."""
        return self._render(path, "", "missing")

    def public(self, round_: Round) -> bool:
        """Whether it may be shown from what the tasks of a round were drawn."""
        return self.settings.with_tasks and self.board.tasks_are_public(round_)

    def archive(self, round_: Round) -> str | None:
        """Return the public address of a round's archive; None while its tasks may not be known."""
        archives = self.settings.archives
        return archives.of(round_.archive) if archives is not None and self.board.tasks_are_public(round_) else None

    def command(self, round_: Round, result: Result) -> Command | None:
        """Return the command that repeats a score."""
        return reproduction(
            round_, result, archive=self.archive(round_), public=self.public(round_), site=self.settings.site
        )

    def _weights_of(self, hotkey: str | None) -> list[tuple[str, str]]:
        """Return the weights of a hotkey by Validator."""
        return [
            (each.name, weight)
            for each in self.board.validators.values()
            for other, weight in each.weights
            if other == hotkey
        ]

    def _render(self, path: str, topics: str, template: str, **values: object) -> str:
        links = Links(path, files=self.settings.files)
        return render(f"{template}.html.jinja", links=links, settings=self.settings, topics=topics, **values)


def _in_numbers(name: str) -> list[tuple[int, str]]:
    """Return what names are sorted by, so that model-9 comes before model-10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _noted(each: Appearance, refused: Container[tuple[str, str]]) -> bool:
    """Whether there is more to say about a model in a round than its numbers."""
    result = each.result
    special = result.state != ResultState.SUCCEEDED or result.near_copy_of is not None
    return special or not each.same or (each.round.name, result.model) in refused


def _figures(appearances: Sequence[Appearance]) -> list[tuple[str, Plot]]:
    """Return a plot for each competition in which a model has more than one number, in the order of time."""
    by_competition: dict[tuple[str, bool], list[Value]] = {}
    for each in reversed(appearances):
        if each.result.score is None:
            continue
        competition = f"{each.round.validator} / {each.round.competition}" if each.round.competition else _OTHERS
        by_competition.setdefault((competition, each.result.loss is not None), []).append(_value(each))
    return [
        (f"{'Loss' if losses else 'Score'} in {competition}", figure)
        for (competition, losses), values in by_competition.items()
        if len(values) > 1 and (figure := plot(values, scores=not losses)) is not None
    ]


def _value(each: Appearance) -> Value:
    result, interval = each.result, each.interval
    number = float(result.loss if result.loss is not None else result.score or 0)
    label = str(each.round.epoch) if each.round.epoch is not None else f"{each.round.at:%m-%d}"
    name = f"loss {result.loss}" if result.loss is not None else f"{percent(result.score)} %"
    title = f"{each.round.name}, {moment(each.round.at)}: {name}, rank {result.rank}"
    if result.loss is not None:
        return Value(label, title, number)
    baseline = float(each.round.baseline) if each.round.baseline is not None else None
    return Value(label, title, number, interval, baseline)


def _parts(each: Appearance) -> list[tuple[str, Part]]:
    measured = each.measured
    if measured is None:
        return []
    return [*measured.columns.items(), *measured.kinds.items(), *measured.categories.items()]
