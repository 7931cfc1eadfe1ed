"""The BitAgent policy, its offline half: exp(5 x) of the last complete round's score, normalised.

Paid are hotkeys that are registered and not validators, and that either own a score which they got under their present
registration, or registered since (or came back since) and have a model in the running round: those start at the median
of the others' scores. A hotkey without any model is not paid; see docs/decisions/005-weights-policy-bitagent.md for where
this departs from the subnet's own code, and why.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping

from bitagent_validator.chain.facts import RAO, Neuron
from bitagent_validator.policy.interface import Standings

STEEPNESS = 5.0
"""A perfect score earns exp(5), about 148 times what a score of 0 does. From the subnet's code."""
VALIDATOR_STAKE = 4096 * RAO
"""A permit holder with more stake is a validator, not a miner. From the subnet's code."""


def is_validator(neuron: Neuron) -> bool:
    """Whether the hotkey validates, and so is never paid as a miner."""
    return neuron.permit and neuron.stake > VALIDATOR_STAKE


def shares(standings: Standings, neurons: Mapping[str, Neuron]) -> dict[str, float]:
    """Shares by hotkey; empty when no miner holds a score, as there is then no median to start from."""
    miners = {hotkey: neuron for hotkey, neuron in neurons.items() if not is_validator(neuron)}
    scores = {
        hotkey: score.value
        for hotkey, score in standings.scores.items()
        if hotkey in miners and miners[hotkey].registered_at == score.registered_at
    }
    if not scores:
        return {}
    median = statistics.median(scores.values())
    newcomers = (
        hotkey for hotkey in standings.entrants & miners.keys() - scores.keys() if _is_new(standings, miners[hotkey])
    )
    scores |= dict.fromkeys(newcomers, median)
    # Sorted, so that the sum, and with it the last digit of each share, does not depend on the order of arrival.
    raised = {hotkey: math.exp(STEEPNESS * scores[hotkey]) for hotkey in sorted(scores)}
    total = math.fsum(raised.values())
    return {hotkey: value / total for hotkey, value in raised.items()}


def _is_new(standings: Standings, neuron: Neuron) -> bool:
    """Whether the hotkey's present registration is younger than the round, or than its score in it."""
    return neuron.registered_at > standings.block or neuron.hotkey in standings.scores
