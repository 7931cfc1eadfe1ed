"""A weight policy."""

from __future__ import annotations

from collections.abc import Mapping

from bitagent_validator.chain.facts import Neuron
from bitagent_validator.policy.interface import PolicyInput


def equal_shares(given: PolicyInput, neurons: Mapping[str, Neuron]) -> dict[str, float]:
    """Give every hotkey above the baseline the same share, or only as many of the best as parameter `best` says."""
    best = int((given.parameters.plugin or {}).get("best", len(neurons)))
    ranked = sorted(given.scores, key=lambda hotkey: (-given.scores[hotkey].score, hotkey))
    return {hotkey: 1 / len(ranked[:best]) for hotkey in ranked[:best]}
