"""The chain read in the background, and the miner's address kept there: what differs is written again.

A node that does not answer is left for the next one, and what was read last stays in use.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from dataclasses import dataclass
from typing import Any

from bitagent_miner.chain import Chain, ChainRefused, ChainUnavailable, Neuron, Subnet, connect
from bitagent_miner.metrics import Metrics
from bitagent_miner.operations import Health

log = logging.getLogger(__name__)

BACKOFF_SECONDS = (1.0, 60.0)
"""Pause after the first failure in a row, and the longest."""
REFUSED_SECONDS = 600.0
"""Pause after the chain refused an address: it limits how often one may be written, by blocks."""
CHAIN = "chain"


@dataclass(frozen=True)
class Address:
    """Where validators reach the miner."""

    host: str
    port: int

    @property
    def axon(self) -> str:
        """The address as the SDK writes it."""
        return (
            f"[{self.host}]:{self.port}" if ipaddress.ip_address(self.host).version == 6 else f"{self.host}:{self.port}"
        )


def announcement_due(me: Neuron | None, address: Address | None, *, now: float, refused_at: float | None) -> bool:
    """Whether to write the address: the hotkey is registered, and the chain has another address or none. Pure."""
    if me is None or address is None or me.axon == address.axon:
        return False
    return refused_at is None or now - refused_at >= REFUSED_SECONDS


class Follower:
    """The subnet as it was read last."""

    def __init__(
        self,
        key: Any,
        *,
        netuid: int,
        endpoints: tuple[str, ...],
        address: Address | None,
        refresh_seconds: float,
        metrics: Metrics,
        health: Health,
    ) -> None:
        self._key, self._netuid, self._endpoints, self._address = key, netuid, endpoints, address
        self._refresh, self._metrics, self._health = refresh_seconds, metrics, health
        self._refused_at: float | None = None
        self._reported: str | None = None
        self.subnet: Subnet | None = None
        health.problems[CHAIN] = "the chain was not read yet"

    async def run(self) -> None:
        """Read the chain until cancelled."""
        failures = 0
        while True:
            url = self._endpoints[failures % len(self._endpoints)]
            try:
                async with connect(url) as chain:
                    while True:
                        await self._pass(chain)
                        failures = 0
                        await asyncio.sleep(self._refresh)
            except ChainUnavailable as error:
                failures += 1
                self._metrics.chain_failures.inc()
                self._report(f"the chain is not read: {error}", logging.WARNING)
            first, longest = BACKOFF_SECONDS
            await asyncio.sleep(min(longest, first * 2 ** (failures - 1)))

    async def _pass(self, chain: Chain) -> None:
        """Read the subnet, and write the address if that is due. Raises ChainUnavailable."""
        subnet = await chain.subnet(self._netuid)
        if subnet is None:
            raise ChainUnavailable(f"{chain.endpoint} has no subnet {self._netuid}")
        self.subnet = subnet
        self._health.problems.pop(CHAIN, None)
        me = subnet.neurons.get(self._key.ss58_address)
        self._metrics.chain_read.set(time.time())
        self._metrics.registered.set(me is not None)
        self._metrics.incentive.set(me.incentive if me is not None else 0)
        self._metrics.announced.set(me is not None and self._address is not None and me.axon == self._address.axon)
        if me is None:
            self._report(
                f"hotkey {self._key.ss58_address} is not registered on subnet {self._netuid}: validators do not ask it",
                logging.WARNING,
            )
            return
        self._report(f"uid {me.uid} of subnet {self._netuid}, {len(subnet.neurons)} neurons", logging.INFO)
        if self._address is not None and announcement_due(
            me, self._address, now=time.monotonic(), refused_at=self._refused_at
        ):
            await self._announce(chain, self._address)

    async def _announce(self, chain: Chain, address: Address) -> None:
        try:
            await chain.announce(self._key, self._netuid, address.host, address.port)
        except ChainRefused as error:
            self._refused_at = time.monotonic()
            log.warning("%s is not announced: %s; tried again in %g s", address.axon, error, REFUSED_SECONDS)
        else:
            self._refused_at = None
            self._metrics.announced.set(1)
            log.info("%s is announced on subnet %d", address.axon, self._netuid)

    def _report(self, text: str, level: int) -> None:
        if text != self._reported:
            self._reported = text
            log.log(level, "%s", text)
