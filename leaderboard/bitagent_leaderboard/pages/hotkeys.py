"""What a Validator pays and asks, by hotkey, beside the scores of the hotkeys' models. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.model.objects import OnlineAnswer, OnlineStep, Result, Round, ValidatorView


@dataclass(frozen=True, slots=True)
class WeightRow:
    """A hotkey with a weight, and its results in the rounds that the weights came from."""

    hotkey: str
    weight: str
    share: float
    """Weight in parts of the largest."""
    results: Sequence[tuple[str, Result]]
    """Round and result."""


def weight_rows(board: Board, validator: ValidatorView) -> list[WeightRow]:
    """Return the weights of a Validator beside the scores that they came from, the largest first."""
    paid = validator.last.rounds if validator.last is not None else ()
    found = _by_hotkey(round_ for name in paid if (round_ := board.rounds.get(name)) is not None)
    largest = max((float(weight) for _, weight in validator.weights), default=0.0) or 1.0
    return [
        WeightRow(hotkey, weight, float(weight) / largest, found.get(hotkey, ()))
        for hotkey, weight in validator.weights
        if float(weight) > 0
    ]


@dataclass(frozen=True, slots=True)
class OnlineAnswerRow:
    """A miner that was asked, and its results in the last complete round of the competition."""

    answer: OnlineAnswer
    results: Sequence[tuple[str, Result]]
    """Round and result."""


def online_rows(board: Board, validator: ValidatorView) -> list[tuple[OnlineStep, list[OnlineAnswerRow]]]:
    """Return the last step of each competition, and its miners beside the scores of their models."""
    steps = []
    for step in validator.online:
        competition = board.competition(validator.name, step.competition)
        latest = competition.latest if competition is not None else None
        found = _by_hotkey([latest] if latest is not None else ())
        steps.append((step, [OnlineAnswerRow(each, found.get(each.hotkey, ())) for each in step.answers]))
    return steps


@dataclass(frozen=True, slots=True)
class Asked:
    """A step in which a hotkey was asked."""

    validator: str
    step: OnlineStep
    answer: OnlineAnswer


def answers_of(board: Board, hotkey: str | None) -> list[Asked]:
    """Return what a hotkey answered in the last step of each competition, where it was drawn."""
    return [
        Asked(each.name, step, answer)
        for each in board.validators.values()
        for step in each.online
        for answer in step.answers
        if answer.hotkey == hotkey
    ]


def _by_hotkey(rounds: Iterable[Round]) -> dict[str, list[tuple[str, Result]]]:
    found: dict[str, list[tuple[str, Result]]] = {}
    for round_ in rounds:
        for result in round_.results:
            if result.hotkey is not None:
                found.setdefault(result.hotkey, []).append((round_.name, result))
    return found
