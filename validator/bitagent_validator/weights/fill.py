"""A row that the subnet takes: what is burnt, and how rows that are too short are filled. Pure.

Burning is weight for a hotkey of the subnet's owner, which the chain does not pay out. Its part is taken off before the
other shares are scaled, so that exactly that part is burnt.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from bitagent_crds.validator import SUBNET_OWNER, Burn, Fill, WithoutResult
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.weights.vector import U16_MAX, quantize


@dataclass(frozen=True)
class Part:
    """The part of one competition."""

    shares: Mapping[str, float]
    """By hotkey; empty if it pays none."""
    without: WithoutResult = WithoutResult.REDISTRIBUTE
    held: Mapping[str, float] = field(default_factory=dict)
    """The shares that it paid last, of hotkeys that are still registered."""

    def effective(self, target: str) -> Mapping[str, float]:
        """Return what it pays now; empty if its part goes to the others. `target` is that of burning, or empty."""
        if self.shares:
            return self.shares
        if self.without is WithoutResult.HOLD:
            total = math.fsum(self.held.values())
            return {hotkey: share / total for hotkey, share in self.held.items()} if total else {}
        if self.without is WithoutResult.BURN and target:
            return {target: 1.0}
        return {}


@dataclass(frozen=True)
class BurnTarget:
    """The hotkey that burnt weights go to."""

    hotkey: str = ""
    """Empty if there is none."""
    problem: str = ""
    """Why there is none."""


def burn_target(burn: Burn, subnet: Subnet) -> BurnTarget:
    """Return the hotkey that burnt weights go to, or why there is none."""
    if burn.target == SUBNET_OWNER:
        hotkey = subnet.owner_hotkey
        if hotkey not in subnet.neurons:
            text = f"the hotkey of the owner of subnet {subnet.netuid} has no slot on it, so that nothing is burnt"
            return BurnTarget(problem=text)
        return BurnTarget(hotkey)
    if burn.target not in subnet.neurons:
        text = f"weights.burn.target {burn.target} has no slot on subnet {subnet.netuid}, so that nothing is burnt"
        return BurnTarget(problem=text)
    if not subnet.is_owners(burn.target):
        text = (
            f"weights.burn.target {burn.target} does not belong to the owner of subnet {subnet.netuid}: what it gets "
            "would be paid out, so that nothing is burnt"
        )
        return BurnTarget(problem=text)
    return BurnTarget(burn.target)


def with_burn(shares: Mapping[str, float], *, percentage: int, target: str) -> dict[str, float]:
    """Return shares that sum to 1, of which the target has `percentage` beside what it has earned."""
    if not shares or not target or not percentage:
        return dict(shares)
    part = percentage / 100
    kept = {hotkey: share * (1 - part) for hotkey, share in shares.items() if part < 1}
    kept[target] = kept.get(target, 0.0) + part
    return dict(sorted(kept.items()))


def smallest_row(subnet: Subnet) -> int:
    """Return how many weights a row needs: the subnet's minimum, but not more than there are hotkeys."""
    return min(len(subnet.neurons), subnet.rules.min_weights)


def needed(subnet: Subnet) -> int:
    """Return how many weights a row needs for its length, and so that none exceeds the largest share allowed."""
    limit = subnet.rules.max_weight
    for_limit = 1 if limit >= U16_MAX else U16_MAX // max(limit, 1) + 1
    return max(smallest_row(subnet), min(for_limit, len(subnet.neurons)), 1)


def filled_row(
    shares: Mapping[str, float], *, fill: Fill, target: str, subnet: Subnet, percentage: int = 0
) -> dict[str, int]:
    """Return the u16 weights of these shares, filled as asked if the subnet would not take them; empty if none.

    A row whose only weight is for oneself is exempt from the subnet's limits. `percentage` is burnt also if no hotkey
    is paid; shares that are given are after burning.
    """
    if not shares:
        shares = _without_any(fill=fill, target=target, subnet=subnet)
        shares = with_burn(shares, percentage=percentage, target=target)
    if shares.keys() == {subnet.hotkey}:
        return {subnet.hotkey: U16_MAX}
    weights = quantize(shares, rules=subnet.rules)
    wanting = needed(subnet) - len(weights)
    if not weights or wanting <= 0 or fill is Fill.NONE:
        return weights
    fillers = _fillers(shares, fill=fill, target=target, subnet=subnet)
    # Of the shares that were rounded to 0, each becomes the smallest weight again.
    least = max(shares.values()) / U16_MAX
    raised = {hotkey: max(share, least) for hotkey, share in shares.items()}
    wanting = needed(subnet) - len(raised)
    count = len(fillers) if fill is Fill.EQUAL else max(0, wanting)
    raised |= dict.fromkeys(fillers[:count], least)
    return quantize(dict(sorted(raised.items())), rules=subnet.rules)


def unearned_part(
    shares: Mapping[str, float], *, apart: str, target: str, fill: Fill, subnet: Subnet, percentage: int
) -> float:
    """Return which part of the target's weight, from 0 to 1, it gets as the target, and not as a miner.

    `shares` are those in which `apart` has what is burnt. A target that only fills the row earns nothing.
    """
    if not shares:
        shares = with_burn(_without_any(fill=fill, target=apart, subnet=subnet), percentage=percentage, target=apart)
    burnt, earned = shares.get(apart, 0.0), shares.get(target, 0.0)
    return burnt / (burnt + earned) if earned else 1.0


def _without_any(*, fill: Fill, target: str, subnet: Subnet) -> Mapping[str, float]:
    """Return the shares if no hotkey is to be paid."""
    if fill is Fill.BURN and target:
        return {target: 1.0}
    if fill is Fill.EQUAL:
        others = sorted(subnet.neurons.keys() - {subnet.hotkey})
        return dict.fromkeys(others, 1 / len(others)) if others else {}
    return {}


def _fillers(paid: Collection[str], *, fill: Fill, target: str, subnet: Subnet) -> list[str]:
    """Return the hotkeys that may get the smallest weight, in the order in which they are taken."""
    by_slot = sorted(subnet.neurons.values(), key=lambda n: (n.hotkey == subnet.hotkey, n.uid))
    first = [target] if fill is Fill.BURN and target else []
    return [hotkey for hotkey in dict.fromkeys([*first, *(n.hotkey for n in by_slot)]) if hotkey not in paid]


def change_between(before: Mapping[str, int], after: Mapping[str, int]) -> float:
    """Return which part of all weights, from 0 to 1, other hotkeys have in one row than in another."""
    one, two = sum(before.values()), sum(after.values())
    if not one or not two:
        return 0.0
    hotkeys = before.keys() | after.keys()
    return math.fsum(abs(before.get(h, 0) / one - after.get(h, 0) / two) for h in sorted(hotkeys)) / 2


def exempt(weights: Mapping[str, int], subnet: Subnet) -> bool:
    """Whether a row is a single weight for oneself."""
    return weights.keys() == {subnet.hotkey}
