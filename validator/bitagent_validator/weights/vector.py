"""From the competitions' shares to the weights that go on the chain. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

from bittensor.intents import normalize
from bittensor.intents.weights import clip_to_max_weight

from bitagent_validator.chain.facts import Rules, WeightsByHotkey

U16_MAX = 65535
ROUNDING = 1
"""Maximum difference between a stored weight and the one sent: the chain rescales weights in its own arithmetic."""


def combine(shares: Mapping[str, Mapping[str, float]], *, reward_shares: Mapping[str, int]) -> dict[str, float]:
    """Return shares by hotkey over all competitions, each scaled by its reward share; they sum to 1, or are empty.

    The part of a competition that pays no hotkey, for instance because no round is complete yet, goes to the others.
    """
    paying = {competition: by_hotkey for competition, by_hotkey in shares.items() if by_hotkey}
    total = sum(reward_shares[competition] for competition in paying)
    parts: dict[str, list[float]] = {}
    for competition in sorted(paying):
        for hotkey, share in paying[competition].items():
            parts.setdefault(hotkey, []).append(share * reward_shares[competition] / total)
    return {hotkey: math.fsum(parts[hotkey]) for hotkey in sorted(parts)}


def quantize(shares: Mapping[str, float], *, rules: Rules) -> dict[str, int]:
    """Return the weights as the chain will store them: u16, the largest 65535, zeros left out, none above the limit.

    If so few hotkeys cannot keep to the subnet's limit on one share, all weights are equal and do not fit (`fits`).
    """
    if not shares:
        return {}
    weights, limit = _scale(shares), rules.max_weight
    while not fits(weights, rules=rules) and limit * len(shares) > U16_MAX:
        weights = _scale(shares, limit=limit)
        # Rounding can push a weight slightly above the limit, and the chain would refuse it: clip a little lower.
        limit -= 1
    return weights if fits(weights, rules=rules) else dict.fromkeys(sorted(shares), U16_MAX)


def fits(weights: WeightsByHotkey, *, rules: Rules) -> bool:
    """Return whether no share is above the subnet's limit, computed as the chain computes it."""
    return max(weights.values()) * U16_MAX <= rules.max_weight * sum(weights.values())


def _scale(shares: Mapping[str, float], *, limit: int = U16_MAX) -> dict[str, int]:
    hotkeys = sorted(shares)
    values = [shares[hotkey] for hotkey in hotkeys]
    if limit < U16_MAX:
        values = clip_to_max_weight(values, limit / U16_MAX)
    indices, levels = normalize(range(len(hotkeys)), values)
    return {hotkeys[index]: level for index, level in zip(indices, levels, strict=True)}


def same_weights(left: WeightsByHotkey, right: WeightsByHotkey) -> bool:
    """Return whether both give every hotkey the same weight, up to the chain's rounding."""
    return same_values(left, right)


K = TypeVar("K", str, int)


def same_values(left: Mapping[K, int], right: Mapping[K, int]) -> bool:
    """Return whether both rows, by hotkey or by slot, have the same weights, up to the chain's rounding."""
    return all(abs(left.get(key, 0) - right.get(key, 0)) <= ROUNDING for key in left.keys() | right.keys())
