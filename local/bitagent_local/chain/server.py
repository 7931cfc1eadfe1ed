"""The server of the chain: one or more endpoints, and the clock that makes blocks.

Everything runs on one event loop, the only place where the chain is accessed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict
from typing import Any

from websockets.asyncio.server import serve

from bitagent_local.chain.endpoint import Endpoint
from bitagent_local.chain.faults import ChainFaultRequest, ChainFaults, EndpointFaults
from bitagent_local.chain.node import ChainNode
from bitagent_local.chain.outcomes import Included, Reorganised, describe
from bitagent_local.chain.pallets import balances, drand
from bitagent_local.chain.peer import Peer
from bitagent_local.chain.scale import to_hex

log = logging.getLogger(__name__)

MESSAGE_LIMIT = 1 << 24


class Server:
    """Serves one chain until `stopping` is set."""

    def __init__(self, node: ChainNode, *, endpoints: int = 1) -> None:
        self.node = node
        self.faults = ChainFaults()
        self.endpoints = [Endpoint(Peer(node), EndpointFaults(time.monotonic)) for _ in range(endpoints)]
        self.ports: list[int] = []
        """The ports that were bound, by endpoint."""
        self.stopping = asyncio.Event()

    async def run(self, host: str, port: int, *, started: asyncio.Future[int]) -> None:
        """Serve and make blocks until ``stopping`` is set; ``started`` receives the first port that was bound.

        The other endpoints get the ports after the first, or free ones if that is 0.
        """
        # No client may see the genesis as the head: the start block can be far from it.
        self.announce(self.node.produce())
        async with AsyncExitStack() as stack:
            for number, endpoint in enumerate(self.endpoints):
                listening = await stack.enter_async_context(
                    serve(
                        endpoint.serve,
                        host,
                        port + number if port else 0,
                        process_request=endpoint.handshake,
                        compression=None,
                        max_size=MESSAGE_LIMIT,
                    )
                )
                self.ports.append(next(iter(listening.sockets)).getsockname()[1])
            started.set_result(self.ports[0])
            await self._make_blocks()

    def apply_faults(self, request: ChainFaultRequest) -> None:
        """Switch faults on or off. Raises ValueError if there is no such endpoint."""
        if request.endpoint >= len(self.endpoints):
            raise ValueError(f"there is no endpoint {request.endpoint}: the chain has {len(self.endpoints)}")
        self.faults.apply(request)
        node = self.node
        if request.clear:
            node.finality_lag, node.clock_offset, node.missing_rounds = node.seed.finality_lag, 0.0, frozenset()
        if request.finality_lag is not None:
            node.finality_lag = request.finality_lag
        if request.clock_offset is not None:
            node.clock_offset = request.clock_offset
        if request.missing_rounds is not None:
            node.missing_rounds = frozenset(request.missing_rounds)
        self.endpoints[request.endpoint].apply_faults(request)

    def describe_faults(self) -> dict[str, Any]:
        """Return the active faults as JSON; those of the first endpoint beside those of the chain."""
        first, *_ = each = [
            {
                "lag": endpoint.peer.lag,
                "stuck": endpoint.peer.stuck,
                "isolated": endpoint.peer.isolated,
                **endpoint.faults.describe(),
            }
            for endpoint in self.endpoints
        ]
        return {
            "stall_finality": self.faults.stall_finality,
            "stall_blocks": self.faults.stall_blocks,
            "finality_lag": self.node.finality_lag,
            "clock_offset": self.node.clock_offset,
            **first,
            "endpoints": each,
        }

    def describe(self) -> dict[str, Any]:
        """Return the state that tests inspect, as JSON."""
        node, subnet = self.node, self.node.subnet
        columns = {
            name: subnet.get(item)
            for name, item in (
                ("emission", "Emission"),
                ("consensus", "Consensus"),
                ("dividends", "Dividends"),
                ("validator_trust", "ValidatorTrust"),
            )
        }
        columns["incentive"] = subnet.of_mechanism("Incentive", 0)
        neurons = [
            {
                "uid": neuron.uid,
                "hotkey": neuron.hotkey,
                "coldkey": neuron.coldkey,
                "stake": neuron.stake / 10**9,
                "balance": balances.free(subnet.view, neuron.coldkey) / 10**9,
                "permit": neuron.permit,
                "active": neuron.active,
                "last_update": neuron.last_update,
                "registered_at": neuron.registered_at,
                **{name: int(values[neuron.uid]) for name, values in columns.items()},
            }
            for neuron in subnet.neurons()
        ]
        return {
            "netuid": node.seed.netuid,
            "block": node.blocks.head.number,
            "block_hash": to_hex(node.blocks.head.hash),
            "finalized": node.finalized.number,
            "genesis_hash": to_hex(node.blocks.genesis.hash),
            "spec_version": node.runtime.spec_version,
            "epoch": int(subnet.get("SubnetEpochIndex")),
            "next_epoch": subnet.next_epoch(),
            "drand_round": drand.last_stored(subnet.view),
            "ports": self.ports,
            "connections": sum(endpoint.connections for endpoint in self.endpoints),
            "faults": self.describe_faults(),
            "neurons": neurons,
            "weights": node.weights(),
            "mechanisms": [node.weights(mechanism) for mechanism in range(subnet.mechanisms)],
            "pool": len(node.pool),
            "escrow": len(node.escrow),
            "reveals": [asdict(outcome) for outcome in node.reveals],
            "extrinsics": [describe(included) for included in node.included],
        }

    def announce(self, included: Iterable[Included]) -> None:
        """Notify all clients of the block that was just made, and of what has become final."""
        head = self.node.blocks.head
        for item in included:
            for endpoint in self.endpoints:
                endpoint.included(item, head)
            outcome, call = item.error or "ok", item.extrinsic.call
            log.info("block %d: %s by %s: %s", head.number, call.function, item.extrinsic.signer, outcome)
        for reveal in self.node.reveals:
            if reveal.block == head.number:
                log.info("block %d: commit of %s: %s", head.number, reveal.hotkey, reveal.dropped or "revealed")
        for dropped in self.node.take_dropped():
            log.info("dropped: %s by %s", dropped.call.function, dropped.signer)
            for endpoint in self.endpoints:
                endpoint.show_dropped(dropped.hash)
        if not self.faults.stall_finality:
            self.node.finalize()
        for endpoint in self.endpoints:
            endpoint.show_heads()

    def reorg(self, depth: int, *, lose: bool) -> Reorganised:
        """Move the chain to another branch. Raises ValueError if one of the blocks that would be left is final."""
        done = self.node.reorg(depth, lose=lose)
        for endpoint in self.endpoints:
            for extrinsic in done.extrinsics:
                endpoint.show_retracted(extrinsic.hash)
        log.info("left %d blocks for another branch, head %d", len(done.left), self.node.blocks.head.number)
        self.announce(())
        return done

    async def _make_blocks(self) -> None:
        period = self.node.runtime.milliseconds_per_block / 1000
        due = time.monotonic() + period
        while not self.stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), max(0.0, due - time.monotonic()))
                return
            if not self.faults.stall_blocks:
                self.announce(self.node.produce())
            # After a late block the next ones are not sooner.
            due = max(due + period, time.monotonic())
