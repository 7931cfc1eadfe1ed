"""Reading the chain, and the two things that a miner writes there: where it serves, and its commitment."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import bittensor as bt

from bitagent_wire.axon import WIRE_VERSION
from bitagent_wire.redaction import redact, shown

CALL_SECONDS = 30.0
"""Limit of one reading."""
SUBMIT_SECONDS = 120.0
"""Limit of one transaction: the SDK itself waits without one if the chain stalls."""
CLOSE_SECONDS = 5.0
ERA_BLOCKS = 16
"""A transaction expires after so many blocks, so that one that was given up cannot land much later."""
RAO = 10**9
T = TypeVar("T")


class ChainUnavailable(Exception):
    """The chain did not answer; the message names what was asked, without an address's secret parts."""


class ChainRefused(Exception):
    """The chain did not take a transaction."""


@dataclass(frozen=True)
class Neuron:
    """A registered hotkey."""

    uid: int
    hotkey: str
    stake: float
    """In TAO, with the subnet's token at its weight."""
    permit: bool
    """Whether it may set weights."""
    axon: str | None
    """`address:port`; None if it never served."""
    incentive: float = 0.0


@dataclass(frozen=True)
class Subnet:
    """A subnet at a block."""

    netuid: int
    block: int
    neurons: Mapping[str, Neuron]
    """By hotkey."""


@dataclass(frozen=True)
class Commitment:
    """What a hotkey has committed."""

    block: int
    content: bytes | None
    """The plain fields one after the other; None if it is sealed or of another form."""


class Chain:
    """An open connection. Every method raises ChainUnavailable if the chain does not answer in time."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self.endpoint = shown(url)

    async def subnet(self, netuid: int) -> Subnet | None:
        """Return the subnet at the best block; None if the chain has none of this number."""
        graph = await self._read(f"subnet {netuid}", self._client.subnets.metagraph(netuid, commitments=False))
        if graph is None:
            return None
        try:
            return Subnet(netuid, int(graph.block), {str(each.hotkey): _neuron(each) for each in graph.neurons})
        except Exception as error:
            raise ChainUnavailable(
                f"{self.endpoint} describes subnet {netuid} in an unknown way: {_text(error)}"
            ) from error

    async def commitment(self, netuid: int, hotkey: str) -> Commitment | None:
        """Return what a hotkey has committed last."""
        record = await self._read(
            "the commitment", self._client.query(("Commitments", "CommitmentOf"), [netuid, hotkey])
        )
        if not record:
            return None
        try:
            return Commitment(int(record["block"]), _content(record["info"]["fields"]))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise ChainUnavailable(
                f"{self.endpoint} describes a commitment in an unknown way: {_text(error)}"
            ) from error

    async def announce(self, key: Any, netuid: int, address: str, port: int) -> None:
        """Write where the hotkey serves. Raises ChainRefused."""
        intent = bt.ServeAxon(netuid, address, port, version=WIRE_VERSION)
        await self._submit("the address", self._client.execute(intent, key, period=ERA_BLOCKS))

    async def commit(self, key: Any, netuid: int, content: bytes) -> None:
        """Commit a text of at most 384 bytes. Raises ChainRefused."""
        pieces = [content[start : start + 128] for start in range(0, len(content), 128)]
        fields = [{f"Raw{len(piece)}": piece} for piece in pieces]
        call = bt.calls.Commitments.set_commitment(netuid=netuid, info={"fields": fields})
        submitted = self._client.submit_call(call, key, signer="hotkey", period=ERA_BLOCKS)
        await self._submit("the commitment", submitted)

    async def _submit(self, what: str, call: Awaitable[Any]) -> None:
        try:
            async with asyncio.timeout(SUBMIT_SECONDS):
                result = await call
        except TimeoutError as error:
            message = f"{self.endpoint} did not include {what} within {SUBMIT_SECONDS:g} s; it may still land"
            raise ChainUnavailable(message) from error
        except bt.ChainError as error:
            raise ChainRefused(f"the chain did not take {what}: {_text(error)}") from error
        except Exception as error:  # A node may answer anything, and the SDK then raises whatever comes of it.
            raise ChainUnavailable(f"{self.endpoint} did not take {what}: {_text(error)}") from error
        if not result.success:
            raise ChainRefused(f"the chain did not take {what}: {result.message}")

    async def _read(self, what: str, call: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await call
        except Exception as error:  # As in `_submit`.
            raise ChainUnavailable(f"{self.endpoint} did not return {what}: {_text(error)}") from error


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Chain]:
    """Open a connection to one node for a `with` block. Raises ChainUnavailable if it does not answer in time."""
    # No fall-backs: the SDK would switch to another node silently, which may be of another chain.
    client = bt.Client(url, fallback_endpoints=[], archive_endpoints=[])
    opening = asyncio.create_task(client.connect())
    try:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await asyncio.shield(opening)
        except Exception as error:  # As in `Chain`.
            raise ChainUnavailable(f"cannot connect to {shown(url)}: {_text(error)}") from error
        yield Chain(client, url)
    finally:
        # Never cancelled: the SDK swallows a cancellation while closing, and leaks the socket while connecting.
        await asyncio.wait({asyncio.create_task(_dispose(client, opening))}, timeout=CLOSE_SECONDS)


@asynccontextmanager
async def connect_any(urls: tuple[str, ...]) -> AsyncIterator[Chain]:
    """Open a connection to the first node that answers. Raises ChainUnavailable with the last one's words if none."""
    for number, url in enumerate(urls, start=1):
        stack = contextlib.AsyncExitStack()
        try:
            chain = await stack.enter_async_context(connect(url))
        except ChainUnavailable:
            if number == len(urls):
                raise
            continue
        async with stack:
            yield chain
        return
    raise ChainUnavailable("no node of the chain is given: --chain-endpoint")


async def _dispose(client: Any, opening: asyncio.Task[Any]) -> None:
    await asyncio.wait({opening})
    # Marks the exception as retrieved: the caller has reported it, or has left already.
    if not opening.cancelled():
        opening.exception()
    with contextlib.suppress(Exception):
        await client.close()


def _neuron(found: Any) -> Neuron:
    return Neuron(
        uid=int(found.uid),
        hotkey=str(found.hotkey),
        stake=int(found.total_stake.rao) / RAO,
        permit=bool(found.validator_permit),
        axon=_axon(found.axon),
        incentive=float(found.incentive or 0),
    )


def _axon(found: Any) -> str | None:
    host, _, _port = str(found or "").rpartition(":")
    try:
        return str(found) if not ipaddress.ip_address(host.strip("[]")).is_unspecified else None
    except ValueError:
        return None


def _content(fields: Any) -> bytes | None:
    content = b""
    for entry in fields:
        for kind, value in entry.items() if isinstance(entry, dict) else ():
            if not kind.startswith("Raw") or not isinstance(value, str):
                return None
            content += bytes.fromhex(value.removeprefix("0x"))
    return content


def _text(error: BaseException) -> str:
    return redact(str(error)) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
