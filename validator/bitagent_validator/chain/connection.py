"""One connection to the chain: the SDK's client, with a time limit on every call and plain data as results."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import bittensor as bt

from bitagent_crds.conditions import Reason
from bitagent_validator.chain.agreement import Claim
from bitagent_validator.chain.calls import SentRow, sent_row
from bitagent_validator.chain.decoding import (
    check_metagraph,
    commitment_of,
    commits_of,
    neuron_of,
    rules_of,
)
from bitagent_validator.chain.endpoints import seconds_to_wait
from bitagent_validator.chain.facts import AccountFacts, Commitment, MechanismFacts, Neuron, Subnet
from bitagent_validator.chain.published import Published, all_published
from bitagent_wire.redaction import redact, shown

T = TypeVar("T")

CALL_SECONDS = 20.0
"""Time limit of one read; a node that takes longer is treated as unreachable."""
CLOSE_SECONDS = 2.0
"""How long to wait for a connection to close; closing then continues in the background."""
CLOSE_ATTEMPTS = 3
"""How often a session is closed that does not end."""
MECHANISM_STRIDE = 4096
"""Storage of mechanism m of subnet n has the index m * 4096 + n."""
PALLET = "SubtensorModule"
COMMITMENTS = "Commitments"
U16_MAX = 65535


class ChainUnavailable(Exception):
    """The chain did not answer in time, or its answer cannot be used. The connection should be replaced."""

    def __init__(
        self, message: str, *, reason: Reason = Reason.CHAIN_UNREACHABLE, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after
        """Seconds for which the endpoint asks not to be used; None if it does not."""


def unavailable(what: str, error: BaseException) -> ChainUnavailable:
    """Return a failure of the SDK as ChainUnavailable, with what the endpoint says about its limits."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ChainUnavailable):
            return cause
        if isinstance(cause, bt.RpcPolicyError):
            limit = seconds_to_wait(cause.retry_after)
            message = f"{what}: {redact(_text(cause))}"
            return ChainUnavailable(message, reason=Reason.RATE_LIMITED_BY_NODE, retry_after=limit)
        cause = cause.__cause__
    return ChainUnavailable(f"{what}: {redact(_text(error))}")


class CommitmentsUnreadable(Exception):
    """A commitment on the subnet has a form that this version cannot read."""


class SubnetNotFound(Exception):
    """The chain has no subnet of this number."""


class Connection:
    """An open connection. Every method raises ChainUnavailable if the chain does not answer in time."""

    def __init__(self, client: Any, *, url: str, block_seconds: float, genesis: str) -> None:
        self._client = client
        self.url = url
        """The whole address, which may contain a key: for the submitting process only."""
        self.endpoint = shown(url)
        self.genesis = genesis
        """The hash of block 0; it identifies the chain."""
        self.block_seconds = block_seconds
        """Time between two blocks."""
        self._pumps: set[asyncio.Task[None]] = set()

    async def head(self) -> int:
        """Return the number of the best block, which may not be final."""
        return await self._height("the best block", self._client.block())

    async def finalized(self) -> int:
        """Return the number of the last finalised block."""
        return await self._height("the finalised block", self._client.finalized_block())

    async def head_age(self) -> float | None:
        """Return the age of the best block in seconds by this machine's clock; None on a chain without any block."""
        number = await self.head()
        if number == 0:
            return None
        stamp = (await self.timestamp(number)).timestamp()
        return time.time() - stamp

    async def claim(self) -> Claim | None:
        """Return the last finalised block and its time; None before the first block."""
        number = await self.finalized()
        return Claim(number, (await self.timestamp(number)).timestamp()) if number else None

    async def blocks(self, *, stall_seconds: float, finalized: bool = True) -> AsyncIterator[int]:
        """Yield the numbers of finalised blocks, or of new best blocks, as they arrive.

        Raises ChainUnavailable if the connection breaks, and TimeoutError if it stays open but no block arrives for
        `stall_seconds`.
        """
        queue: asyncio.Queue[int | ChainUnavailable] = asyncio.Queue()
        pump = asyncio.create_task(self._pump(queue, finalized))
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

    async def _pump(self, queue: asyncio.Queue[int | ChainUnavailable], finalized: bool) -> None:
        try:
            async for header in self._client.blocks(finalized=finalized):
                queue.put_nowait(int(header.number))
        except Exception as error:  # noqa: BLE001 - a node may answer anything, and the SDK raises what comes of it
            queue.put_nowait(unavailable(self.endpoint, error))
        else:
            queue.put_nowait(ChainUnavailable(f"{self.endpoint} ended the stream of blocks"))

    async def block_hash(self, block: int) -> str:
        """Return the hash of a finalised block: 0x and 64 hex digits."""
        return await self._read(f"block {block}", _block_hash(self._client, block))

    async def commitments(self, netuid: int, *, block: int) -> dict[str, Commitment]:
        """Return the commitments on a subnet at a block as text, by hotkey, without those of an unknown form.

        The node must still have the state of that block, which most nodes keep for 256 blocks. Raises
        CommitmentsUnreadable if the chain has no commitments at all.
        """
        found = await self.published(netuid, block=block)
        return {hotkey: commitment_of(each) for hotkey, each in found.items() if each is not None}

    async def published(self, netuid: int, *, block: int) -> dict[str, Published | None]:
        """Return the same as bytes; None for a commitment of an unknown form. Raises CommitmentsUnreadable."""
        view = await self._read(f"block {block}", self._client.at(block))

        async def read() -> dict[str, Published | None]:
            try:
                records, reveals = await _gather(
                    view.query_map((COMMITMENTS, "CommitmentOf"), [netuid]),
                    view.query_map((COMMITMENTS, "RevealedCommitments"), [netuid]),
                )
                return all_published(records, reveals)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                message = f"{self.endpoint} has commitments on subnet {netuid} that this version cannot read"
                raise CommitmentsUnreadable(f"{message}: {type(error).__name__} {error}") from error

        return await self._read(f"the commitments of subnet {netuid}", read())

    async def timestamp(self, block: int) -> datetime:
        """Return the time of a block, in UTC."""

        async def read() -> datetime:
            stamp = await self._client.timestamp(block)
            if not isinstance(stamp, datetime):
                raise TypeError("the time of a block is not a time")
            return stamp

        return await self._read(f"the time of block {block}", read())

    async def weights_extrinsic(self, block: int, *, hotkey: str) -> str:
        """Return `block-index` of the extrinsic that set the hotkey's weights in a block; only `block` if none did."""
        calls = await self._weight_calls(block, hotkey=hotkey)
        return next(iter(calls), str(block))

    async def sent_rows(self, block: int, *, hotkey: str) -> dict[str, SentRow]:
        """Return the rows that the hotkey has signed in a block, by `block-index`."""
        calls = await self._weight_calls(block, hotkey=hotkey)
        found = {extrinsic: sent_row(call) for extrinsic, call in calls.items()}
        return {extrinsic: row for extrinsic, row in found.items() if row is not None}

    async def _weight_calls(self, block: int, *, hotkey: str) -> dict[str, dict[str, Any]]:
        """Return the calls about weights that a hotkey has signed in a block, by `block-index`."""
        info = await self._read(f"block {block}", self._client.block_info(block))
        calls: dict[str, dict[str, Any]] = {}
        for index, extrinsic in enumerate(getattr(info, "extrinsics", None) or []):
            # What cannot be read is not ours.
            found = extrinsic if isinstance(extrinsic, dict) else {}
            call = found.get("call")
            if not isinstance(call, dict) or found.get("address") != hotkey:
                continue
            if "weights" in str(call.get("call_function", "")):
                calls[f"{block}-{index:04d}"] = call
        return calls

    async def subnet(self, netuid: int, *, hotkey: str, block: int, mechanisms: Sequence[int] = (0,)) -> Subnet:
        """Read the subnet at a block. Raises SubnetNotFound if the chain has no subnet of this number."""
        view = await self._read(f"block {block}", self._client.at(block))
        graph, threshold = await self._read(
            f"subnet {netuid}",
            _gather(view.subnets.metagraph(netuid, commitments=False), _if_any(view.query((PALLET, "StakeThreshold")))),
        )
        if graph is None:
            raise SubnetNotFound(f"the chain has no subnet {netuid}")
        try:
            check_metagraph(graph.raw, netuid=netuid, block=block)
            axons = list(graph.raw.get("axons") or [])
            neurons = {n.hotkey: neuron_of(n, axons[n.uid] if n.uid < len(axons) else None) for n in graph.neurons}
            subnet = Subnet(
                netuid=netuid,
                block=block,
                neurons=neurons,
                rules=rules_of(graph.raw, stake_threshold=int(threshold or 0)),
                hotkey=hotkey,
                weights={},
                owner_hotkey=str(graph.owner_hotkey or ""),
                owner_coldkey=str(graph.owner_coldkey or ""),
            )
        except Exception as error:
            message = f"{self.endpoint} describes subnet {netuid} in a way that this version cannot read"
            raise ChainUnavailable(f"{message}: {type(error).__name__} {error}") from error
        if (me := subnet.me) is None:
            return subnet
        if max(mechanisms, default=0):
            count = _if_any(view.query((PALLET, "MechanismCountCurrent"), [netuid]))
            number = await self._read("the number of mechanisms", count)
            subnet = replace(subnet, mechanism_count=None if number is None else max(1, int(number)))
        # What is left of a mechanism that is gone is not in effect.
        found = {
            each: await self._read("the weights", _mechanism(view, subnet, me, each))
            if subnet.has(each)
            else MechanismFacts()
            for each in mechanisms
        }
        if subnet.rules.commit_reveal:
            epoch = await self._number("the epoch", view.query((PALLET, "SubnetEpochIndex"), [netuid]))
            subnet = replace(subnet, epoch=epoch)
        return replace(subnet, mechanisms=found).on(min(mechanisms, default=0))

    async def account(self, netuid: int, me: Neuron) -> AccountFacts:
        """Return what is reported about the hotkey's account beside what decisions need, at the best block."""
        balance = await self._read("the balance", self._client.query(("System", "Account"), [me.coldkey]))
        trusts = await self._read("the trust", self._client.query((PALLET, "ValidatorTrust"), [netuid]))
        try:
            free = int(balance["data"]["free"]) if balance else 0
            trust = int(trusts[me.uid]) / U16_MAX if trusts and len(trusts) > me.uid else 0.0
        except Exception as error:
            raise ChainUnavailable(f"{self.endpoint} describes an account in an unknown way: {error}") from error
        return AccountFacts(balance=free, trust=trust)

    async def version_key(self, netuid: int) -> int:
        """Return the subnet's version key at the best block."""
        key = _if_any(self._client.query((PALLET, "WeightsVersionKey"), [netuid]))
        return await self._number("the version key", key)

    async def owner(self, netuid: int) -> str | None:
        """Return the hotkey of the subnet's owner at the best block; empty without one, None if it is not known."""
        query = self._client.query((PALLET, "SubnetOwnerHotkey"), [netuid])
        owner = await self._read("the owner", _if_any(query, missing=False))
        return None if owner is False else str(owner or "")

    async def _height(self, what: str, call: Awaitable[Any]) -> int:
        async def read() -> int:
            found = await call
            if not isinstance(found, int) or found < 0:
                raise TypeError("the height of a block is not a number")
            return found

        return await self._read(what, read())

    async def _number(self, what: str, call: Awaitable[Any]) -> int:
        async def read() -> int:
            return int(await call or 0)

        return await self._read(what, read())

    async def _read(self, what: str, call: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await call
        except CommitmentsUnreadable:
            raise
        except Exception as error:  # A node may answer anything, and the SDK then raises whatever comes of it.
            raise unavailable(f"{self.endpoint} did not return {what}", error) from error


@asynccontextmanager
async def connect(endpoint: str) -> AsyncIterator[Connection]:
    """Open a connection to one endpoint for a `with` block. Raises ChainUnavailable if it does not answer in time."""
    # No fall-backs: the SDK would switch to another node silently, and that node may lag or be of another chain.
    client = bt.Client(endpoint, fallback_endpoints=[], archive_endpoints=[])
    sessions = _sessions_of(client)
    opening = asyncio.create_task(_open(client))
    try:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                seconds, genesis = await asyncio.shield(opening)
        except Exception as error:  # As in `Connection._read`.
            raise unavailable(f"cannot connect to {shown(endpoint)}", error) from error
        yield Connection(client, url=endpoint, block_seconds=seconds, genesis=genesis)
    finally:
        # Never cancelled: the SDK swallows a cancellation while closing. That ends by the SDK's own time limits, in the
        # background if it takes long.
        await asyncio.wait({asyncio.create_task(_dispose(client, opening, sessions))}, timeout=CLOSE_SECONDS)


async def _open(client: Any) -> tuple[float, str]:
    await client.connect()
    return float(await client.block_time()), await _block_hash(client, 0)


async def _block_hash(client: Any, block: int) -> str:
    # The public `block_info` also reads the block's state, which nodes discard after 256 blocks.
    return str(await client._block_hash(block))


def _sessions_of(client: Any) -> list[Any]:
    """Return the list of the sessions that a client opens from now on.

    The client forgets one whose first answers are odd or do not come, and nothing else closes its socket.
    """
    substrate = client._substrate
    make, sessions = substrate._interface, list[Any]()

    def made(*given: Any) -> Any:
        session = make(*given)
        sessions.append(session)
        return session

    substrate._interface = made
    return sessions


async def _dispose(client: Any, opening: asyncio.Task[tuple[float, str]], sessions: list[Any]) -> None:
    for session in sessions:
        for _ in range(CLOSE_ATTEMPTS):
            # Whoever waits for an answer of it gets an error: that ends `opening` as well. The SDK's task may swallow
            # the cancellation, and has to be cancelled again.
            closing = asyncio.create_task(session.close())
            ended, _ = await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
            if ended:
                closing.exception()
                break
            closing.cancel()
    await asyncio.wait({opening})
    # Marks the exception as retrieved: the caller has reported it, or has left already.
    if not opening.cancelled():
        opening.exception()
    with contextlib.suppress(Exception):
        await client.close()


async def _gather(first: Awaitable[Any], second: Awaitable[Any]) -> tuple[Any, Any]:
    one, two = await asyncio.gather(first, second)
    return one, two


async def _if_any(call: Awaitable[Any], *, missing: Any = None) -> Any:
    """Return what is stored in an item that can be done without; `missing` if the runtime has none of this name.

    A runtime may lose an item, or give it another name, and that must not stop what does not need it.
    """
    try:
        return await call
    except ValueError as error:
        # The SDK does not export this type.
        if type(error).__name__ != "StorageFunctionNotFound":
            raise
        return missing


async def _mechanism(view: Any, subnet: Subnet, me: Neuron, mechanism: int) -> MechanismFacts:
    """Return one mechanism's row, last update and sealed rows of the validator's own hotkey."""
    index = mechanism * MECHANISM_STRIDE + subnet.netuid
    stored = await view.query((PALLET, "Weights"), [index, me.uid])
    last_update = me.last_update
    if mechanism:
        updates = await view.query((PALLET, "LastUpdate"), [index])
        last_update = int(updates[me.uid]) if updates and len(updates) > me.uid else 0
    if not stored and last_update > me.registered_at and not subnet.rules.commit_reveal:
        # It has set weights. An answer that was lost looks as if there were none, and they would be set twice.
        stored = await view.query((PALLET, "Weights"), [index, me.uid])
    row = {int(uid): int(value) for uid, value in stored or [] if int(value)}
    sealed = await view.query_map((PALLET, "TimelockedWeightCommits"), [index]) if subnet.rules.commit_reveal else ()
    return MechanismFacts(row=row, last_update=last_update, commits=commits_of(sealed, hotkey=subnet.hotkey))


def _text(error: BaseException) -> str:
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
