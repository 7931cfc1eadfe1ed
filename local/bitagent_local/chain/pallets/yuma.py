"""Yuma consensus: what a subnet's weights and stakes earn in one epoch, as a pure function over plain lists.

The rules are those of the pallet's ``epoch_mechanism`` with classic bonds (Yuma 2, no liquid alpha). Numbers are floats
here and fixed point there, so a result may differ from a real chain's in the last of its 16 bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

U16 = 65535

Row = Mapping[int, float]
"""Values by uid; absent ones are 0."""


@dataclass(frozen=True)
class Input:
    """A subnet at the start of an epoch; sequences are by uid."""

    block: int
    stake: Sequence[int]
    permits: Sequence[bool]
    last_update: Sequence[int]
    registered_at: Sequence[int]
    weights: Sequence[Mapping[int, int]]
    """As stored."""
    bonds: Sequence[Mapping[int, int]]
    """As stored."""
    commit_blocks: Sequence[int | None]
    """The block of the oldest commit that is not revealed yet, for neurons that have one."""
    owner: int | None
    """The uid of the subnet owner's hotkey."""
    bonds_since: int
    """A bond with a slot that was registered in or after this block is void."""
    stake_threshold: int
    activity_cutoff: int
    """In blocks."""
    max_validators: int
    kappa: float
    """The majority, as a share."""
    bonds_moving_average: float
    bonds_penalty: float


@dataclass(frozen=True)
class Result:
    """What an epoch decides; sequences are by uid. Values are shares between 0 and 1."""

    active: list[bool]
    permits: list[bool]
    stake: list[float]
    consensus: list[float]
    incentive: list[float]
    dividends: list[float]
    validator_trust: list[float]
    bonds: list[dict[int, float]]
    """The largest of a column is 1; only for neurons with a permit."""
    emission: list[float]
    """Shares of the whole emission; the chain prunes the neuron with the smallest."""
    server_emission: list[float]
    validator_emission: list[float]


def epoch(subnet: Input) -> Result:
    """Run one epoch of one mechanism."""
    size = len(subnet.stake)
    active = [update + subnet.activity_cutoff >= subnet.block for update in subnet.last_update]
    stake = normalize(
        [
            0 if value < subnet.stake_threshold and uid != subnet.owner else value
            for uid, value in enumerate(subnet.stake)
        ]
    )
    held = [permit or uid == subnet.owner for uid, permit in enumerate(subnet.permits)]
    permits = [chosen or uid == subnet.owner for uid, chosen in enumerate(top(stake, subnet.max_validators))]
    voice = normalize(
        [share if active[uid] and held[uid] else 0 for uid, share in enumerate(stake)],
    )
    weights = [normalize_row(counted(subnet, uid)) if held[uid] else {} for uid in range(size)]
    consensus = [
        weighted_median(voice, [row.get(uid, 0.0) for row in weights], majority=subnet.kappa) for uid in range(size)
    ]
    clipped = [{uid: min(value, consensus[uid]) for uid, value in row.items()} for row in weights]
    trust = [sum(row.values()) for row in clipped]
    incentive = normalize(
        [sum(voice[source] * row.get(uid, 0.0) for source, row in enumerate(clipped)) for uid in range(size)]
    )
    bonds = _bonds(subnet, voice, weights, clipped)
    dividends = normalize([sum(value * incentive[uid] for uid, value in row.items()) for row in bonds])
    earned = sum(incentive) + sum(dividends)
    nothing_earned = voice if any(voice) else stake
    together = normalize([one + other for one, other in zip(incentive, dividends, strict=True)])
    return Result(
        active=active,
        permits=permits,
        stake=stake,
        consensus=consensus,
        incentive=incentive,
        dividends=dividends,
        validator_trust=trust,
        bonds=[row if permits[uid] else {} for uid, row in enumerate(_upscaled_columns(bonds, size))],
        emission=together if earned else nothing_earned,
        server_emission=[value / earned for value in incentive] if earned else [0.0] * size,
        validator_emission=[value / earned for value in dividends] if earned else nothing_earned,
    )


def counted(subnet: Input, uid: int) -> dict[int, float]:
    """Return the weights of a row that count: not for oneself, not older than what they point at."""
    commit = subnet.commit_blocks[uid]
    return {
        target: float(value)
        for target, value in subnet.weights[uid].items()
        if target < len(subnet.stake)
        and (target != uid or uid == subnet.owner)
        and subnet.last_update[uid] > subnet.registered_at[target]
        and (commit is None or commit >= subnet.registered_at[target])
    }


def normalize(values: Sequence[float]) -> list[float]:
    """Scale values to a sum of 1; all zeros stay."""
    total = sum(values)
    return [value / total for value in values] if total else [0.0 for _ in values]


def normalize_row(row: Row) -> dict[int, float]:
    """Scale a row to a sum of 1; all zeros stay."""
    total = sum(row.values())
    return {uid: value / total for uid, value in row.items()} if total else dict(row)


def top(values: Sequence[float], count: int) -> list[bool]:
    """Mark the largest ``count`` values that are not 0; of equals, those with the higher index."""
    ascending = sorted(range(len(values)), key=lambda index: values[index])
    dropped = set(ascending[: max(0, len(values) - count)])
    return [value != 0 and index not in dropped for index, value in enumerate(values)]


def weighted_median(stake: Sequence[float], scores: Sequence[float], *, majority: float) -> float:
    """Return the largest score that stake of at least the majority gives, or 0 without stake."""
    votes = sorted((score, share) for score, share in zip(scores, stake, strict=True) if share > 0)
    total = sum(share for _, share in votes)
    minority, below = total - majority, 0.0
    for score, share in votes:
        below += share
        if below > minority:
            return score
    return votes[-1][0] if votes else 0.0


def _bonds(subnet: Input, voice: Sequence[float], weights: Sequence[Row], clipped: Sequence[Row]) -> list[Row]:
    """Return the moving average of the bonds, each column with a sum of 1."""
    size, penalty = len(subnet.stake), subnet.bonds_penalty
    kept = [
        {
            uid: float(value)
            for uid, value in row.items()
            if uid < size and subnet.registered_at[uid] < subnet.bonds_since
        }
        for row in subnet.bonds
    ]
    bought = [
        {uid: voice[source] * (value + penalty * (clipped[source].get(uid, 0.0) - value)) for uid, value in row.items()}
        for source, row in enumerate(weights)
    ]
    old, new, share = _normalized_columns(kept, size), _normalized_columns(bought, size), subnet.bonds_moving_average
    mixed = [
        {uid: share * before.get(uid, 0.0) + (1 - share) * after.get(uid, 0.0) for uid in sorted({*before, *after})}
        for before, after in zip(old, new, strict=True)
    ]
    return list(_normalized_columns(mixed, size))


def _normalized_columns(rows: Sequence[Row], size: int) -> list[dict[int, float]]:
    totals = [sum(row.get(uid, 0.0) for row in rows) for uid in range(size)]
    return [{uid: value / totals[uid] for uid, value in row.items() if totals[uid]} for row in rows]


def _upscaled_columns(rows: Sequence[Row], size: int) -> list[dict[int, float]]:
    largest = [max((row.get(uid, 0.0) for row in rows), default=0.0) for uid in range(size)]
    return [{uid: value / largest[uid] for uid, value in row.items() if largest[uid]} for row in rows]
