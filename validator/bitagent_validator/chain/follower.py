"""Keep a connection to the chain open and track the last finalised block.

A connection is replaced when it breaks, when a read on it fails, or when the socket is open but no block becomes final.
Each new attempt uses the next endpoint and waits a little longer.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bitagent_crds.conditions import Reason
from bitagent_validator.chain.connection import ChainUnavailable, Connection, connect

log = logging.getLogger(__name__)

STALL_BLOCKS = 15
"""Block times without a finalised block after which the chain counts as stalled. Finality lags by about three."""
STALL_SECONDS_MIN = 10.0
BACKOFF_SECONDS = (0.5, 30.0)
"""Minimum and maximum wait between two attempts."""


@dataclass(frozen=True)
class Up:
    """The chain answers and its blocks advance."""

    connection: Connection
    block: int
    """The last finalised block."""


@dataclass(frozen=True)
class Down:
    """The chain cannot be used now."""

    reason: Reason
    message: str


class Follower:
    """Follows the chain while `run` runs. `state` is the present state; `changed` is called whenever it changes."""

    def __init__(
        self, endpoints: Sequence[str], *, changed: Callable[[], None], stall_seconds: float | None = None
    ) -> None:
        self.state: Up | Down = Down(Reason.CHAIN_UNREACHABLE, f"connecting to {endpoints[0]}")
        self.attempted = False
        """Whether a first attempt to connect has succeeded or failed."""
        self.reconnects = 0
        self._endpoints = list(endpoints)
        self._changed = changed
        self._stall_seconds = stall_seconds
        self._broken = asyncio.Event()
        self._why = ""

    def mark_unusable(self, connection: Connection, *, why: str) -> None:
        """Mark this connection as unusable, so that a new one is opened; stale reports are ignored."""
        if isinstance(self.state, Up) and self.state.connection is connection:
            self._why = why
            self._broken.set()

    async def run(self) -> None:
        """Follow until cancelled."""
        attempt = 0
        while True:
            started = asyncio.get_running_loop().time()
            await self._follow()
            self.reconnects += 1
            self._endpoints.append(self._endpoints.pop(0))
            lasted = asyncio.get_running_loop().time() - started
            attempt = 0 if lasted > BACKOFF_SECONDS[1] else attempt + 1
            longest = min(BACKOFF_SECONDS[1], BACKOFF_SECONDS[0] * 2**attempt)
            await asyncio.sleep(random.uniform(longest / 2, longest))

    async def _follow(self) -> None:
        """Use one connection until it fails and the state is Down."""
        self._broken.clear()
        try:
            async with connect(self._endpoints[0]) as connection:
                self._set_state(Up(connection, await connection.finalized()))
                log.info("chain connected: %s", connection.endpoint)
                down = await self._until_down(connection)
                # Before the connection is closed, which is slow if the node is dead.
                self._set_state(down)
        except ChainUnavailable as error:
            self._set_state(Down(Reason.CHAIN_UNREACHABLE, str(error)))

    async def _until_down(self, connection: Connection) -> Down:
        stall = self._stall_seconds or max(STALL_SECONDS_MIN, STALL_BLOCKS * connection.block_seconds)
        stream = asyncio.create_task(self._stream(connection, stall))
        broken = asyncio.create_task(self._broken.wait())
        try:
            await asyncio.wait({stream, broken}, return_when=asyncio.FIRST_COMPLETED)
            if not stream.done():
                return Down(Reason.CHAIN_UNREACHABLE, self._why)
            try:
                await stream
            except TimeoutError:
                return Down(Reason.CHAIN_STALLED, f"{connection.endpoint} has finalised no block for {stall:g} s")
            return Down(Reason.CHAIN_UNREACHABLE, f"{connection.endpoint} ended the stream of blocks")
        finally:
            stream.cancel()
            broken.cancel()
            await asyncio.wait({stream, broken})

    async def _stream(self, connection: Connection, stall: float) -> None:
        async for block in connection.finalized_blocks(stall_seconds=stall):
            self._set_state(Up(connection, block))

    def _set_state(self, state: Up | Down) -> None:
        if isinstance(state, Down):
            log.warning("chain lost: %s", state.message)
        self.state, self.attempted = state, True
        self._changed()
