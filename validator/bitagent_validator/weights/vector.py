"""From the competitions' shares to the row that goes on the chain. Pure."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from bittensor.intents import normalize
from bittensor.intents.weights import clip_to_max_weight

from bitagent_validator.chain.facts import Rules, WeightRow

U16_MAX = 65535
ROUNDING = 1
"""A stored weight may differ by so much from the one sent: the chain scales rows in its own arithmetic."""


@dataclass(frozen=True)
class Wanted:
    """The weights that should be on the chain now."""

    row: WeightRow
    rounds: tuple[str, ...]
    """The EvalRounds that they were computed from."""

    @property
    def digest(self) -> str:
        """SHA-256 of the row by hotkey."""
        return row_digest(self.row)


def combine(shares: Mapping[str, Mapping[str, float]], *, reward_shares: Mapping[str, int]) -> dict[str, float]:
    """Weights by hotkey from each competition's shares, scaled by its reward share.

    A competition that pays nobody, as it has no complete round yet, leaves its part to the others. The result sums to 1,
    or is empty.
    """
    paying = {competition: by_hotkey for competition, by_hotkey in shares.items() if by_hotkey}
    total = sum(reward_shares[competition] for competition in paying)
    parts: dict[str, list[float]] = {}
    for competition in sorted(paying):
        for hotkey, share in paying[competition].items():
            parts.setdefault(hotkey, []).append(share * reward_shares[competition] / total)
    return {hotkey: math.fsum(parts[hotkey]) for hotkey in sorted(parts)}


def quantize(weights: Mapping[str, float], *, rules: Rules) -> dict[str, int]:
    """The row as the chain will store it: no share above the subnet's limit, u16, the largest 65535, zeros left out.

    When no row of so many hotkeys can keep to the limit, all are equal: see `fits`.
    """
    if not weights:
        return {}
    row, limit = _levels(weights), rules.max_weight
    while not fits(row, rules=rules) and limit * len(weights) > U16_MAX:
        row = _levels(weights, limit=limit)
        # Rounded levels can pass the limit by a hair, and the chain would refuse them: clip a little deeper.
        limit -= 1
    return row if fits(row, rules=rules) else dict.fromkeys(sorted(weights), U16_MAX)


def fits(row: WeightRow, *, rules: Rules) -> bool:
    """Whether no share of the row is above the subnet's limit, in the chain's own terms."""
    return max(row.values()) * U16_MAX <= rules.max_weight * sum(row.values())


def _levels(weights: Mapping[str, float], *, limit: int = U16_MAX) -> dict[str, int]:
    hotkeys = sorted(weights)
    values = [weights[hotkey] for hotkey in hotkeys]
    if limit < U16_MAX:
        values = clip_to_max_weight(values, limit / U16_MAX)
    indices, levels = normalize(range(len(hotkeys)), values)
    return {hotkeys[index]: level for index, level in zip(indices, levels, strict=True)}


def row_digest(row: WeightRow) -> str:
    """Identify a row, whatever its order."""
    text = json.dumps(dict(row), sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def same_row(left: WeightRow, right: WeightRow) -> bool:
    """Whether two rows pay the same hotkeys the same, up to the chain's rounding."""
    return all(abs(left.get(hotkey, 0) - right.get(hotkey, 0)) <= ROUNDING for hotkey in left.keys() | right.keys())
