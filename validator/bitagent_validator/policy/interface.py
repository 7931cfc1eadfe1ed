"""What a policy is given and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bitagent_validator.chain.facts import Neuron


@dataclass(frozen=True)
class Score:
    """One hotkey's best score in a round."""

    value: float
    """From 0 to 1."""
    registered_at: int | None
    """The block of the hotkey's registration when the round's scores were taken; None if it was not registered."""


@dataclass(frozen=True)
class Standings:
    """What is known of one competition: the last complete round, and who is being evaluated for the first time."""

    block: int
    """The first block of the round's epoch."""
    scores: Mapping[str, Score]
    """By hotkey."""
    entrants: frozenset[str] = frozenset()
    """Hotkeys with a model under evaluation in the competition's running round."""


PolicyFunction = Callable[[Standings, Mapping[str, Neuron]], dict[str, float]]
"""Standings and the registered neurons by hotkey, to shares by hotkey: each above 0, summing to 1; empty for nobody."""
