"""Weights as the real SDK reads them back: what any client of the chain sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import bittensor

CLOSE_SECONDS = 2
READ_SECONDS = 30


@dataclass(frozen=True)
class WeightRow:
    """One target of one validator's weights."""

    validator: str
    hotkey: str
    uid: int
    weight: float
    """Share of the validator's row; the shares of a row sum to 1."""
    block: int
    """The block at which the validator set its row."""


@asynccontextmanager
async def connected(endpoint: str) -> AsyncIterator[Any]:
    """Connect a client to one endpoint, and close it in bounded time.

    Under Python 3.11 the SDK's ``close`` can wait for ever: its reader waits in ``asyncio.wait_for``, which loses a
    cancellation that coincides with an arriving message. A timeout cancels it a second time, which ends it.
    """
    client = await bittensor.Subtensor(endpoint, fallback_endpoints=[], archive_endpoints=[])
    try:
        yield client
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await client.close()


async def read_weights(endpoint: str, netuid: int) -> list[WeightRow]:
    """Return all weights on a subnet, by validator, largest first.

    Raises LookupError if there is no such subnet, ConnectionError if the endpoint does not answer correctly and in
    time.
    """
    try:
        async with asyncio.timeout(READ_SECONDS), connected(endpoint) as client:
            now = await client.at()
            graph = await now.subnets.metagraph(netuid)
            if graph is None:
                raise LookupError(f"{endpoint} has no subnet {netuid}")
            rows = await now.weights.weights(netuid)
    except TimeoutError as error:
        raise ConnectionError(f"{endpoint} did not answer within {READ_SECONDS} s") from error
    except bittensor.BittensorError as error:
        raise ConnectionError(f"{endpoint} cannot be read: {error}") from error
    neurons = {neuron.uid: neuron for neuron in graph}
    found = [
        WeightRow(neurons[source].hotkey, neurons[target].hotkey, target, share, int(neurons[source].last_update))
        for source, row in rows.items()
        for target, share in row.items()
    ]
    return sorted(found, key=lambda row: (row.validator, -row.weight, row.uid))


def table(rows: Sequence[WeightRow]) -> str:
    """Format the rows for a terminal."""
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
