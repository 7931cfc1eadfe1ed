"""One connection to the chain: the SDK's client, with a time limit on every call and plain data as results."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

import bittensor as bt
from websockets.exceptions import WebSocketException

from bitagent_validator.chain.facts import Commitment, Neuron, Rules, Subnet

T = TypeVar("T")

CALL_SECONDS = 20.0
"""Time limit of one read; a node that takes longer is treated as unreachable."""
CLOSE_SECONDS = 2.0
"""How long to wait for a connection to close; closing then continues in the background."""
DEFAULT_ACTIVITY_CUTOFF = 5000
"""The chain's default, in blocks, for runtimes that do not report it."""

SDK_ERRORS = (bt.BittensorError, WebSocketException, OSError, TimeoutError, ValueError, EOFError)
"""What the SDK raises for a chain that cannot be used: its own errors, those of its transport, and ValueError for
storage that the runtime does not have."""


class ChainUnavailable(Exception):
    """The chain did not answer in time, or its answer cannot be used. The connection should be replaced."""


class CommitmentsUnreadable(Exception):
    """A commitment on the subnet has a form that this version cannot read."""


class SubnetNotFound(Exception):
    """The chain has no subnet of this number."""


class Connection:
    """An open connection. Every method raises ChainUnavailable if the chain does not answer in time."""

    def __init__(self, client: Any, *, endpoint: str, block_seconds: float, genesis: str) -> None:
        self._client = client
        self.endpoint = endpoint
        self.genesis = genesis
        """The hash of block 0; it identifies the chain."""
        self.block_seconds = block_seconds
        """Time between two blocks."""
        self._pumps: set[asyncio.Task[None]] = set()

    async def head(self) -> int:
        """Return the number of the best block, which may not be final."""
        return int(await self._read("the best block", self._client.block()))

    async def finalized(self) -> int:
        """Return the number of the last finalised block."""
        return int(await self._read("the finalised block", self._client.finalized_block()))

    async def finalized_blocks(self, *, stall_seconds: float) -> AsyncIterator[int]:
        """Yield the numbers of finalised blocks as they arrive.

        Raises ChainUnavailable if the connection breaks, and TimeoutError if it stays open but no block becomes final
        for `stall_seconds`.
        """
        queue: asyncio.Queue[int | ChainUnavailable] = asyncio.Queue()
        pump = asyncio.create_task(self._pump(queue))
        self._pumps.add(pump)
        pump.add_done_callback(self._pumps.discard)
        try:
            while True:
                async with asyncio.timeout(stall_seconds):
                    item = await queue.get()
                if isinstance(item, ChainUnavailable):
                    raise item
                yield item
        finally:
            # Not awaited: the SDK unsubscribes on cancellation, and a dead node never answers that request.
            pump.cancel()

    async def _pump(self, queue: asyncio.Queue[int | ChainUnavailable]) -> None:
        try:
            async for header in self._client.blocks(finalized=True):
                queue.put_nowait(int(header.number))
        except SDK_ERRORS as error:
            queue.put_nowait(ChainUnavailable(f"{self.endpoint}: {_text(error)}"))
        else:
            queue.put_nowait(ChainUnavailable(f"{self.endpoint} ended the stream of blocks"))

    async def block_hash(self, block: int) -> str:
        """Return the hash of a finalised block: 0x and 64 hex digits."""
        return await self._read(f"block {block}", _block_hash(self._client, block))

    async def commitments(self, netuid: int, *, block: int) -> dict[str, Commitment]:
        """Return the commitments on a subnet at a block, by hotkey.

        The node must still have the state of that block, which most nodes keep for 256 blocks. Raises
        CommitmentsUnreadable if there is one that this version cannot read, or if the chain has none at all.
        """
        view = await self._read(f"block {block}", self._client.at(block))

        async def read() -> dict[str, Commitment]:
            try:
                found = await view.subnets.commitments(netuid)
                return {str(hotkey): _commitment(each) for hotkey, each in found.items()}
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                message = f"{self.endpoint} has commitments on subnet {netuid} that this version cannot read"
                raise CommitmentsUnreadable(f"{message}: {type(error).__name__} {error}") from error

        return await self._read(f"the commitments of subnet {netuid}", read())

    async def timestamp(self, block: int) -> datetime:
        """Return the time of a block, in UTC."""
        stamp: datetime = await self._read(f"the time of block {block}", self._client.timestamp(block))
        return stamp

    async def weights_extrinsic(self, block: int, *, hotkey: str) -> str:
        """Return `block-index` of the extrinsic that set the hotkey's weights in a block; only `block` if none did."""
        info = await self._read(f"block {block}", self._client.block_info(block))
        for index, extrinsic in enumerate(info.extrinsics if info else []):
            call = (extrinsic or {}).get("call") or {}
            if (extrinsic or {}).get("address") == hotkey and "weights" in str(call.get("call_function", "")):
                return f"{block}-{index:04d}"
        return str(block)

    async def subnet(self, netuid: int, *, hotkey: str, block: int) -> Subnet:
        """Read the subnet at a block. Raises SubnetNotFound if the chain has no subnet of this number."""
        view = await self._read(f"block {block}", self._client.at(block))
        graph, threshold = await self._read(
            f"subnet {netuid}",
            _gather(
                view.subnets.metagraph(netuid, commitments=False),
                view.query(("SubtensorModule", "StakeThreshold")),
            ),
        )
        if graph is None:
            raise SubnetNotFound(f"the chain has no subnet {netuid}")
        try:
            neurons = {n.hotkey: _neuron(n) for n in graph.neurons}
            rules = _rules(graph.raw, stake_threshold=int(threshold or 0))
        except (KeyError, TypeError, AttributeError) as error:
            message = f"{self.endpoint} describes subnet {netuid} in a way that this version cannot read"
            raise ChainUnavailable(f"{message}: {type(error).__name__} {error}") from error
        weights: dict[str, int] = {}
        if me := neurons.get(hotkey):
            stored = await self._read("the weights", view.query(("SubtensorModule", "Weights"), [netuid, me.uid]))
            holders = {n.uid: n.hotkey for n in neurons.values()}
            weights = {holders.get(int(uid), f"uid {uid}"): int(value) for uid, value in stored or [] if int(value)}
        return Subnet(
            netuid=netuid,
            block=block,
            neurons=neurons,
            rules=rules,
            hotkey=hotkey,
            weights=weights,
        )

    async def _read(self, what: str, call: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await call
        except SDK_ERRORS as error:
            raise ChainUnavailable(f"{self.endpoint} did not return {what}: {_text(error)}") from error


@asynccontextmanager
async def connect(endpoint: str) -> AsyncIterator[Connection]:
    """Open a connection to one endpoint for a `with` block. Raises ChainUnavailable if it does not answer in time."""
    # No fall-backs: the SDK would switch to another node silently, and that node may lag or be of another chain.
    client = bt.Client(endpoint, fallback_endpoints=[], archive_endpoints=[])
    opening = asyncio.create_task(_open(client))
    try:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                seconds, genesis = await asyncio.shield(opening)
        except SDK_ERRORS as error:
            raise ChainUnavailable(f"cannot connect to {endpoint}: {_text(error)}") from error
        yield Connection(client, endpoint=endpoint, block_seconds=seconds, genesis=genesis)
    finally:
        # Never cancelled: the SDK swallows a cancellation while closing, and leaks the socket while connecting. Both
        # end by the SDK's own time limits, in the background if that takes long.
        await asyncio.wait({asyncio.create_task(_dispose(client, opening))}, timeout=CLOSE_SECONDS)


async def _open(client: Any) -> tuple[float, str]:
    await client.connect()
    return float(await client.block_time()), await _block_hash(client, 0)


async def _block_hash(client: Any, block: int) -> str:
    # The public `block_info` also reads the block's state, which nodes discard after 256 blocks.
    return str(await client._block_hash(block))


async def _dispose(client: Any, opening: asyncio.Task[tuple[float, str]]) -> None:
    await asyncio.wait({opening})
    # Marks the exception as retrieved: the caller has reported it, or has left already.
    if not opening.cancelled():
        opening.exception()
    with contextlib.suppress(*SDK_ERRORS):
        await client.close()


async def _gather(first: Awaitable[Any], second: Awaitable[Any]) -> tuple[Any, Any]:
    one, two = await asyncio.gather(first, second)
    return one, two


def _neuron(neuron: Any) -> Neuron:
    return Neuron(
        uid=int(neuron.uid),
        hotkey=str(neuron.hotkey),
        stake=int(neuron.total_stake.rao),
        permit=bool(neuron.validator_permit),
        registered_at=int(neuron.block_at_registration),
        last_update=int(neuron.last_update),
    )


def _commitment(found: Any) -> Commitment:
    # The chain forgets the block of a sealed commitment once that is revealed; the SDK then gives the block of that.
    block = None if found.status == "revealed" else int(found.block)
    return Commitment(text=str(found.value or ""), block=block)


def _rules(raw: dict[str, Any], *, stake_threshold: int) -> Rules:
    return Rules(
        rate_limit=int(raw["weights_rate_limit"]),
        version_key=int(raw["weights_version"]),
        min_weights=int(raw["min_allowed_weights"]),
        max_weight=int(raw["max_weights_limit"]),
        commit_reveal=bool(raw["commit_reveal_weights_enabled"]),
        stake_threshold=stake_threshold,
        activity_cutoff=int(raw.get("activity_cutoff") or DEFAULT_ACTIVITY_CUTOFF),
    )


def _text(error: BaseException) -> str:
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
