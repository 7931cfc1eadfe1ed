"""Weights as the real SDK reads them back: what any stranger sees on the chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import bittensor


@dataclass(frozen=True)
class WeightRow:
    """One target of one validator's weights."""

    validator: str
    hotkey: str
    uid: int
    #: Share of the validator's row; a row's shares sum to 1.
    weight: float
    #: The block at which the validator set its row.
    block: int


async def read_weights(endpoint: str, netuid: int) -> list[WeightRow]:
    """All weights on a subnet, by validator, largest first.

    Raises:
        LookupError: no such subnet.
        bittensor.BittensorError: the endpoint cannot be used.
    """
    async with bittensor.Subtensor(endpoint, fallback_endpoints=[], archive_endpoints=[]) as client:
        now = await client.at()
        graph = await now.subnets.metagraph(netuid)
        if graph is None:
            raise LookupError(f"{endpoint} has no subnet {netuid}")
        rows = await now.weights.weights(netuid)
    neurons = {neuron.uid: neuron for neuron in graph}
    found = [
        WeightRow(neurons[source].hotkey, neurons[target].hotkey, target, share, int(neurons[source].last_update))
        for source, row in rows.items()
        for target, share in row.items()
    ]
    return sorted(found, key=lambda row: (row.validator, -row.weight, row.uid))


def table(rows: Sequence[WeightRow]) -> str:
    """The rows for a terminal."""
    if not rows:
        return "no weights are set"
    lines, validator = [], None
    for row in rows:
        if row.validator != validator:
            validator = row.validator
            lines.append(f"validator {validator}, set at block {row.block}")
            lines.append(f"  {'HOTKEY':<48}  {'UID':>4}  WEIGHT")
        lines.append(f"  {row.hotkey:<48}  {row.uid:>4}  {row.weight:.6f}")
    return "\n".join(lines)
