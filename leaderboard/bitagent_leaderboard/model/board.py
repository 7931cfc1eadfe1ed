"""Everything that the page knows at one moment, and the questions that its documents ask. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from bitagent_leaderboard.model.measured import Measured
from bitagent_leaderboard.model.objects import Interval, PastScore, Result, Round, Rules, Submission, ValidatorView
from bitagent_leaderboard.model.standing import interval_of

_NONE: Mapping[str, Measured] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Measures:
    """Manifests of one round, by key."""

    version: int
    """Larger when there are more."""
    by_key: Mapping[str, Measured]


@dataclass(frozen=True, slots=True)
class Competition:
    """The rounds of one competition of a Validator, the newest first."""

    validator: str | None
    """None: rounds that no Validator made."""
    id: str
    """Empty without a Validator."""
    rules: Rules | None
    """None if no Validator has it any more."""
    rounds: tuple[Round, ...]

    @property
    def running(self) -> Round | None:
        """The newest round, if it is not complete."""
        return self.rounds[0] if self.rounds and not self.rounds[0].complete else None

    @property
    def latest(self) -> Round | None:
        """The newest complete round."""
        return next((each for each in self.rounds if each.complete), None)


@dataclass(frozen=True, slots=True)
class Appearance:
    """A model in a complete round."""

    round: Round
    result: Result
    measured: Measured | None
    same: bool
    """Whether it is the MinerModel of today, or may be; False: another one had the name."""

    @property
    def interval(self) -> Interval | None:
        """95 % confidence interval of the score; None if neither status nor manifest has it."""
        return interval_of(self.result, self.measured)


@dataclass(frozen=True)
class Board:
    """Rounds, models and validators by name, and the manifests of rounds by their uid; see `board`."""

    revision: int = 0
    models: Mapping[str, Submission] = field(default_factory=dict)
    rounds: Mapping[str, Round] = field(default_factory=dict)
    validators: Mapping[str, ValidatorView] = field(default_factory=dict)
    measures: Mapping[str, Measures] = field(default_factory=dict)
    withheld: frozenset[str] = frozenset()
    """Secrets of rounds that are not shown at all."""

    @cached_property
    def newest(self) -> tuple[Round, ...]:
        """All rounds, the newest first."""
        return tuple(sorted(self.rounds.values(), key=lambda each: (each.created, each.name), reverse=True))

    @cached_property
    def competitions(self) -> tuple[Competition, ...]:
        """Competitions of Validators by name, then those that no Validator has any more, then other rounds."""
        found: dict[tuple[str, str], list[Round]] = {}
        others: list[Round] = []
        for each in self.newest:
            if each.validator and each.competition:
                found.setdefault((each.validator, each.competition), []).append(each)
            else:
                others.append(each)
        rules = {(name, own.id): own for name, each in sorted(self.validators.items()) for own in each.competitions}
        named = [
            Competition(key[0], key[1], rules.get(key), tuple(found.get(key, ())))
            for key in [*rules, *sorted(found.keys() - rules.keys())]
        ]
        return (*named, *([Competition(None, "", None, tuple(others))] if others else ()))

    def competition(self, validator: str, identity: str) -> Competition | None:
        """Return one competition."""
        key = (validator, identity)
        return next((each for each in self.competitions if (each.validator, each.id) == key), None)

    @cached_property
    def open_secrets(self) -> frozenset[str]:
        """What the tasks of rounds follow from that are not complete."""
        unfinished = (each for each in self.rounds.values() if not each.complete)
        return self.withheld.union(*(each.secrets for each in unfinished))

    def tasks_are_public(self, round_: Round) -> bool:
        """Whether the tasks of a round may be known: it is complete, and no other round asks the same."""
        return round_.complete and not round_.secrets & self.open_secrets

    def measures_of(self, round_: Round) -> Measures:
        """Return the manifests of a round that are here."""
        return self.measures.get(round_.uid) or Measures(0, _NONE)

    def has_model(self, name: str) -> bool:
        """Whether there is a MinerModel of this name, or a round that had one."""
        return name in self.models or any(name in each.by_model for each in self.rounds.values())

    def appearances(self, name: str) -> Iterator[Appearance]:
        """Yield the complete rounds with this model, the newest first."""
        now = self.models.get(name)
        for each in self.newest:
            result = each.by_model.get(name) if each.complete else None
            if result is not None:
                measures = self.measures_of(each).by_key
                found = measures.get(result.key) if result.key is not None else None
                same = now is None or result.uid is None or result.uid == now.uid
                yield Appearance(each, result, found, same)

    def running_with(self, name: str) -> Iterator[tuple[Round, Result]]:
        """Yield the rounds with this model that are not complete, the newest first."""
        for each in self.newest:
            result = each.by_model.get(name) if not each.complete else None
            if result is not None:
                yield each, result

    def forgotten(self, name: str) -> tuple[PastScore, ...]:
        """Return the outcomes of a model in rounds that are deleted, the newest first."""
        model = self.models.get(name)
        return tuple(each for each in model.past if each.round not in self.rounds) if model is not None else ()

    def latest(self, name: str) -> PastScore | None:
        """Return a model's last ranking; None if it has none. Where losses were measured, the score is the loss."""
        for each in self.appearances(name):
            if each.same and each.result.rank is not None:
                value = each.result.loss or each.result.score or ""
                return PastScore(each.round.name, value, each.result.rank, each.round.at)
        return next(iter(self.forgotten(name)), None)


def board(
    *,
    revision: int,
    models: Mapping[str, Submission],
    rounds: Mapping[str, Round],
    validators: Mapping[str, ValidatorView],
    measures: Mapping[str, Measures] | None = None,
) -> Board:
    """Return the board of these objects. Rounds whose tasks are asked online are not shown: they rank no one."""
    return Board(
        revision=revision,
        models=models,
        rounds={name: each for name, each in rounds.items() if not each.asked_online},
        validators=validators,
        measures=measures or {},
        withheld=frozenset().union(*(each.secrets for each in rounds.values() if each.asked_online)),
    )


def changes(before: Board, after: Board) -> list[str]:
    """Return what differs, as `rounds/NAME`, `models/NAME` and `validators/NAME`."""
    old, new = _versions(before), _versions(after)
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def _versions(board: Board) -> dict[str, Hashable]:
    found: dict[str, Hashable] = {}
    found |= {f"rounds/{n}": (r.uid, r.version, board.measures_of(r).version) for n, r in board.rounds.items()}
    found |= {f"models/{n}": (m.uid, m.version) for n, m in board.models.items()}
    return found | {f"validators/{n}": (v.uid, v.version) for n, v in board.validators.items()}
