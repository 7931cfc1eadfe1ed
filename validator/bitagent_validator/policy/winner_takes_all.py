"""The WinnerTakesAll policy: one hotkey earns everything.

Models are compared in the order of their commitments. A later one takes the first place only if it exceeds the best
earlier one by the margin, so that a copy with some noise, or many of them, never do. Those without a commitment come
last, in the order of their registration.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from bitagent_crds.policies import WinnerTakesAllParameters
from bitagent_validator.chain.facts import Neuron
from bitagent_validator.policy.interface import Candidate, PolicyInput

TOLERANCE = 1e-9
"""Scores have six decimals; a margin that is met exactly must not be missed by the rounding of a sum."""


def shares(given: PolicyInput, neurons: Mapping[str, Neuron]) -> dict[str, float]:
    """Return the share of the one winner; empty without candidates."""
    winner = find_winner(given.scores, neurons, given.parameters.winner_takes_all or WinnerTakesAllParameters())
    return {winner: 1.0} if winner else {}


def find_winner(
    candidates: Mapping[str, Candidate], neurons: Mapping[str, Neuron], parameters: WinnerTakesAllParameters
) -> str:
    """Return the hotkey that holds the first place; the empty string without candidates."""
    margin = parameters.margin_percent / 100

    def seniority(item: tuple[str, Candidate]) -> tuple[float, int, str]:
        hotkey, candidate = item
        return (math.inf if candidate.block is None else candidate.block, neurons[hotkey].registered_at, hotkey)

    winner, best = "", 0.0
    for hotkey, candidate in sorted(candidates.items(), key=seniority):
        # No score exceeds 1, so that close to it a perfect score is enough.
        needed = min(best + margin, 1.0) if winner else 0.0
        if candidate.score > best and candidate.score >= needed - TOLERANCE:
            winner, best = hotkey, candidate.score
    return winner
