"""What is kept of scores: results of complete rounds, averages of online answers, and submissions."""

from __future__ import annotations

import statistics
from typing import Annotated, Any

from pydantic import (
    Field,
    model_serializer,
    model_validator,
)

from bitagent_crds.model_result import ResultState
from bitagent_crds.policies import SMOOTHING_MAX
from bitagent_validator.state.base import Document


class RoundResult(Document):
    """What one complete round says about one hotkey: the result of its model that counts.

    It is stored as the list of its fields without the trailing defaults, because there are many.
    """

    state: ResultState
    score: Annotated[float, Field(ge=0, le=1)] = 0.0
    win_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of the batches that it won against the round's best models (policy WinRate); None for others."""
    near_copy: bool = False
    """Whether the model is a near copy of an earlier one of another hotkey."""

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: object) -> object:
        return dict(zip(cls.model_fields, value, strict=False)) if isinstance(value, list) else value

    @model_serializer(mode="plain")
    def _as_list(self) -> list[Any]:
        length = 4 if self.near_copy else 3 if self.win_rate is not None else 2 if self.score else 1
        return [self.state.value, self.score, self.win_rate, self.near_copy][:length]


WEIGHTS_MAX = 4
"""Weights of one hotkey that are remembered."""
_DIGEST_LENGTH = len("sha256:") + 24


def short_digest(digest: str) -> str:
    """Return as much of a digest of weights as is kept: that of other weights cannot be made to have it."""
    return digest[:_DIGEST_LENGTH].removeprefix("sha256:")


def _is_empty(weights: dict[str, int]) -> bool:
    return not weights


class HotkeyScore(Document):
    """What the last complete rounds say about one hotkey, under one registration."""

    registered_at: int
    """The block of the hotkey's registration when the results were recorded."""
    block: int | None = None
    """The block of the commitment of the model that counted last; None if it has none."""
    results: Annotated[tuple[RoundResult | None, ...], Field(min_length=1, max_length=SMOOTHING_MAX)]
    """By round, the last one at the end, as many as there were since its first; None for a round without a model."""
    weights: Annotated[dict[str, int], Field(max_length=WEIGHTS_MAX, exclude_if=_is_empty)] = {}
    """Weights that it had in complete rounds, by `short_digest`, the last ones at the end: the block before which the
    first of these rounds had fixed its models."""

    @property
    def last(self) -> RoundResult | None:
        """The result in the last complete round."""
        return self.results[-1]


class ScoredRound(Document):
    """The last complete round of one competition, with the results of the rounds before it."""

    round: str
    epoch: int
    block: int
    """The first block of the epoch."""
    scores: dict[str, HotkeyScore]
    """By hotkey: those that were registered when the round was recorded."""
    baselines: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(max_length=SMOOTHING_MAX)] = ()
    """Score of the best constant answer in each of the last rounds, the last one at the end; 0 where none is known."""

    def baseline(self, rounds_ago: int = 0) -> float:
        """Return the score of the best constant answer in the last round, or in an earlier one."""
        return self.baselines[-1 - rounds_ago] if rounds_ago < len(self.baselines) else 0.0


class OnlineMean(Document):
    """The moving average of one hotkey's online scores, under one registration; stored as the list of its fields."""

    registered_at: int
    """The block of the hotkey's registration."""
    mean: Annotated[float, Field(ge=0, le=1)]
    count: Annotated[int, Field(ge=1)]
    """Number of steps that it was in."""
    block: int
    """The block of the last of them."""

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: object) -> object:
        return dict(zip(cls.model_fields, value, strict=True)) if isinstance(value, list) else value

    @model_serializer(mode="plain")
    def _as_list(self) -> list[Any]:
        return [self.registered_at, self.mean, self.count, self.block]


class OnlineState(Document):
    """Online evaluation of one competition, after its last step that counted."""

    block: int
    """The block of that step."""
    pool: str = ""
    """The EvalRound of the task set that it used."""
    baseline: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Score of the best constant answer to the tasks of that pool; 0 if none is known."""
    means: dict[str, OnlineMean] = {}
    """By hotkey: those that are registered."""

    def mean(self, hotkey: str, *, registered_at: int) -> float:
        """Return a hotkey's average; that at which it begins, the median, if it was in no step since it registered."""
        known = self.means.get(hotkey)
        if known is not None and known.registered_at == registered_at:
            return known.mean
        return statistics.median(each.mean for each in self.means.values()) if self.means else 0.0


class Submission(Document):
    """The miner of one model, as it was when a round froze its set."""

    hotkey: str
    block: int | None = None
    """The block of the commitment; None if it has none."""
