"""Keep a connection to the chain open and track the block that is read: the last finalised one, or the best.

A connection is replaced when it breaks, when a read on it fails, when the socket is open but no block arrives, when the
node's newest block is too old, when another endpoint is far ahead, and when its height is not believed. Each new
attempt uses the next endpoint and waits a little longer; an endpoint that limits requests is left alone for as long as
it asks.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bitagent_crds.conditions import Reason
from bitagent_validator.chain.agreement import (
    AHEAD_BLOCKS,
    Anchor,
    Claim,
    Moment,
    credible,
    distrust,
    limit_of,
    needs_others,
    weigh,
)
from bitagent_validator.chain.connection import ChainUnavailable, Connection, connect, unavailable
from bitagent_validator.chain.endpoints import Rotation, is_public
from bitagent_validator.chain.heights import height
from bitagent_wire.redaction import shown

log = logging.getLogger(__name__)

STALL_BLOCKS = 15
"""Block times without a new block after which the chain counts as stalled. Finality lags by about three."""
STALL_SECONDS_MIN = 10.0
BACKOFF_SECONDS = (0.5, 30.0)
"""Minimum and maximum wait between two attempts."""
LAG_SECONDS = 300.0
"""Age of the newest block above which a node counts as behind, unless the spec says otherwise. A block that is so far
in the future is not believed."""
CHECK_SECONDS = 60.0
"""Time between two looks at the age of the node's newest block."""
HEIGHTS_SECONDS = 300.0
"""Time between two looks at the heights of the other endpoints."""
CLOCK_SECONDS = 300.0
"""By how much the machine's clock may be behind the chain's, where it decides what the chain can have reached."""
SKEW_SECONDS = 15.0
"""How far the clock may differ from the chain's, beside two block times that the newest block may be old."""
WRONG_CHAIN_SECONDS = 60.0
"""For how long an endpoint of another chain is not used while there are others."""
_LEFT = frozenset({Reason.WRONG_CHAIN, Reason.CHAIN_BEHIND, Reason.CHAIN_CONTRADICTED})


@dataclass(frozen=True)
class Up:
    """The chain answers and its blocks advance."""

    connection: Connection
    block: int
    """The last finalised block, or the best block if that is read."""
    age: float | None = None
    """Age of the node's newest block in seconds when it was looked at last; None if not known."""
    limit: int | None = None
    """The highest block that the chain can have reached by what this node says; None if not known."""
    agreed: bool = False
    """Whether other endpoints have agreed with this node's height."""
    alone: bool = False
    """Whether there are other endpoints, of which none has agreed with this node's height."""
    contradicting: Mapping[str, int] = field(default_factory=dict)
    """By other endpoint: the height that contradicts this node's, which is believed all the same."""

    @property
    def contradiction(self) -> str:
        """What contradicts this node, as one sentence with what to do; empty if nothing does."""
        if not self.contradicting:
            return ""
        # Without the present block: the sentence is in the status, and changes only with what others say.
        said = " and ".join(f"{endpoint} says block {block}" for endpoint, block in self.contradicting.items())
        here = f"{said}, which cannot be of the chain that {self.connection.endpoint} shows"
        if self.agreed:
            return f"{here}; another endpoint confirms the latter: remove the one that differs from spec.chain"
        return f"{here}; which is right is not known: remove the wrong one from spec.chain, or add a third that decides"

    @property
    def skew(self) -> float | None:
        """By how many seconds the clock differs from the chain's; None while it is within the tolerance.

        Negative if the chain is ahead of the clock. A chain whose blocks are late looks like a clock that is ahead.
        """
        if self.age is None:
            return None
        late = self.age - 2 * self.connection.block_seconds
        if self.age < -SKEW_SECONDS:
            return self.age
        return late if late > SKEW_SECONDS else None


@dataclass(frozen=True)
class Down:
    """The chain cannot be used now."""

    reason: Reason
    message: str


class Follower:
    """Follows the chain while `run` runs. `state` is the present state; `changed` is called whenever it changes."""

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        changed: Callable[[], None],
        stall_seconds: float | None = None,
        finalized: bool = True,
        lag_seconds: float = LAG_SECONDS,
        heights_seconds: float = HEIGHTS_SECONDS,
    ) -> None:
        self.state: Up | Down = Down(Reason.CHAIN_UNREACHABLE, f"connecting to {shown(endpoints[0])}")
        self.attempted = False
        """Whether a first attempt to connect has succeeded or failed."""
        self.reconnects = 0
        self._rotation = Rotation(endpoints, clock=time.monotonic)
        self._anchor: Anchor | None = None
        self._believed: tuple[Claim, float, float] | None = None
        """The last claim of the present node, when it was read, and how old its block was then."""
        self._contradicting: Mapping[str, Claim] = {}
        """By endpoint: what contradicted the node that was used when the others were asked last."""
        self._changed = changed
        self._stall_seconds = stall_seconds
        self._finalized = finalized
        self._lag_seconds = lag_seconds
        self._heights_seconds = heights_seconds
        self._broken = asyncio.Event()
        self._why = Down(Reason.CHAIN_UNREACHABLE, "")

    def mark_unusable(self, connection: Connection, *, error: ChainUnavailable) -> None:
        """Mark this connection as unusable, so that a new one is opened; stale reports are ignored."""
        if isinstance(self.state, Up) and self.state.connection is connection:
            self._park(error)
            self._why = Down(error.reason, str(error))
            self._broken.set()

    @property
    def others(self) -> list[str]:
        """The other endpoints, which may be asked for what they say about the same."""
        return self._rotation.witnesses

    async def run(self) -> None:
        """Follow until cancelled."""
        attempt = 0
        while True:
            started = asyncio.get_running_loop().time()
            await self._follow()
            self.reconnects += 1
            wait = self._rotation.advance()
            lasted = asyncio.get_running_loop().time() - started
            attempt = 0 if lasted > BACKOFF_SECONDS[1] else attempt + 1
            longest = min(BACKOFF_SECONDS[1], BACKOFF_SECONDS[0] * 2**attempt)
            await asyncio.sleep(max(wait, random.uniform(longest / 2, longest)))

    async def _follow(self) -> None:
        """Use one connection until it fails and the state is Down."""
        self._broken.clear()
        self._believed = None
        try:
            async with connect(self._rotation.current) as connection:
                age = await self._checked_age(connection)
                await self._check_height(connection, ask=self._anchor is None)
                block = await (connection.finalized() if self._finalized else connection.head())
                self._set_state(self._up(connection, block, age))
                log.info("chain connected: %s", connection.endpoint)
                down = await self._until_down(connection)
                # Before the connection is closed, which is slow if the node is dead.
                self._set_state(down)
        except ChainUnavailable as error:
            self._park(error)
            self._set_state(Down(error.reason, str(error)))
        except Exception as error:  # No answer of a node may end the process: the next endpoint is tried.
            failure = unavailable(shown(self._rotation.current), error)
            log.exception("an endpoint caused an error that is not known")
            self._set_state(Down(failure.reason, str(failure)))

    async def _until_down(self, connection: Connection) -> Down:
        stall = self._stall_seconds or max(STALL_SECONDS_MIN, STALL_BLOCKS * connection.block_seconds)
        stream = asyncio.create_task(self._stream(connection, stall))
        broken = asyncio.create_task(self._broken.wait())
        checks = asyncio.create_task(self._check(connection))
        tasks: set[asyncio.Task[object]] = {stream, broken, checks}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if broken.done():
                return self._why
            try:
                await (stream if stream.done() else checks)
            except TimeoutError:
                what = "finalised no block" if self._finalized else "had no new block"
                return Down(Reason.CHAIN_STALLED, f"{connection.endpoint} has {what} for {stall:g} s")
            except ChainUnavailable as error:
                self._park(error)
                return Down(error.reason, str(error))
            return Down(Reason.CHAIN_UNREACHABLE, f"{connection.endpoint} ended the stream of blocks")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _stream(self, connection: Connection, stall: float) -> None:
        async for block in connection.blocks(stall_seconds=stall, finalized=self._finalized):
            age = self.state.age if isinstance(self.state, Up) else None
            up = self._up(connection, block, age)
            if up.limit is not None and block > up.limit and self._rotation.several:
                raise self._contradicted(connection, f"is at block {block}, and the chain can be at {up.limit} at most")
            self._set_state(up)

    async def _check(self, connection: Connection) -> None:
        """Look at the node's age and height, and at the other endpoints. Raises ChainUnavailable if it is left."""
        looked = time.monotonic()
        while True:
            await asyncio.sleep(min(CHECK_SECONDS, self._heights_seconds))
            age = await self._checked_age(connection)
            ask = time.monotonic() - looked >= self._heights_seconds
            if ask:
                looked = time.monotonic()
            await self._check_height(connection, ask=ask)
            if isinstance(self.state, Up):
                self._set_state(self._up(connection, self.state.block, age))

    async def _checked_age(self, connection: Connection) -> float | None:
        age = await connection.head_age()
        if age is not None and age > self._lag_seconds:
            raise ChainUnavailable(
                f"the newest block of {connection.endpoint} is {age:.0f} s old: the node is behind, the chain stands "
                "still, or the clock of this machine is wrong",
                reason=Reason.CHAIN_BEHIND,
            )
        return age

    async def _check_height(self, connection: Connection, *, ask: bool) -> None:
        """Compare the node's height with what is known, and with the other endpoints if `ask`, or if that differs.

        Raises ChainUnavailable if the height is not believed, or if another endpoint is far ahead. What an only
        endpoint says is believed: there is nothing to compare it with.
        """
        claim = await connection.claim()
        if claim is None:
            await self._check_beginning(connection)
            return
        moment = Moment(time.monotonic(), time.time(), self._lag_seconds, connection.block_seconds)
        anchor, old = self._anchor, moment.clock - claim.stamp
        if not self._rotation.several:
            self._believed = (claim, moment.now, old)
            return
        asked = ask or needs_others(claim, anchor=anchor, moment=moment)
        others = credible(claim, await self._claims_of_others(connection), moment=moment) if asked else {}
        verdict = weigh(claim, others=others, usable=self._rotation.others, anchor=anchor, moment=moment)
        if verdict.anchor is None:
            said = {shown(url): each for url, each in others.items()}
            why = distrust(claim, verdict, others=said, anchor=anchor, clock=moment.clock)
            raise self._contradicted(connection, why)
        self._anchor, self._believed = verdict.anchor, (claim, moment.now, old)
        if asked:
            self._contradicting = verdict.contradicting
        if verdict.ahead:
            # `run` advances once more: it begins with the one after the current one.
            self._rotation.prefer(verdict.ahead)
            self._rotation.prefer(connection.url)
            other = f"{shown(verdict.ahead)} at block {others[verdict.ahead].height}"
            text = f"{connection.endpoint} is at block {claim.height}, and {other}"
            raise ChainUnavailable(text, reason=Reason.CHAIN_BEHIND)

    async def _check_beginning(self, connection: Connection) -> None:
        """Raise ChainUnavailable if a node that has no final block yet is not of a chain that begins.

        One that has just begun to synchronise shows the state of block 0, in which there is no subnet.
        """
        claims = (await self._claims_of_others(connection)).items() if self._rotation.several else ()
        ahead = [f"{shown(url)} is at block {each.height}" for url, each in claims if each.height > AHEAD_BLOCKS]
        if ahead or is_public(connection.genesis):
            words = ", and ".join([f"{connection.endpoint} has no final block", *ahead[:1]])
            raise ChainUnavailable(f"{words}: it is synchronising", reason=Reason.CHAIN_BEHIND)

    async def _claims_of_others(self, connection: Connection) -> dict[str, Claim]:
        """Return what the other endpoints of this chain say."""
        urls = self.others
        found = await asyncio.gather(*(height(url) for url in urls))
        return {
            url: each.claim
            for url, each in zip(urls, found, strict=True)
            if each and each.genesis == connection.genesis
        }

    def _up(self, connection: Connection, block: int, age: float | None) -> Up:
        agreed = self._believed is not None and self._anchor is not None and self._anchor.agreed
        others = {url: each for url, each in self._contradicting.items() if url != connection.url}
        contradicting = {shown(url): each.height for url, each in others.items()}
        alone = self._rotation.several and not agreed
        up = Up(connection, block, age, agreed=agreed, alone=alone, contradicting=contradicting)
        if self._believed is None:
            return up
        claim, read, old = self._believed
        seconds = max(old, 0.0) + CLOCK_SECONDS + time.monotonic() - read
        limit = limit_of(claim, seconds=seconds, slot_seconds=connection.block_seconds)
        return replace(up, limit=limit)

    def _contradicted(self, connection: Connection, why: str) -> ChainUnavailable:
        text = f"{connection.endpoint} {why}: its height is not believed"
        return ChainUnavailable(text, reason=Reason.CHAIN_CONTRADICTED)

    def _park(self, error: ChainUnavailable) -> None:
        if error.retry_after is not None:
            self._rotation.park(self._rotation.current, seconds=error.retry_after, limited=True)
        elif error.reason in _LEFT and self._rotation.others:
            self._rotation.park(self._rotation.current, seconds=WRONG_CHAIN_SECONDS)

    def _set_state(self, state: Up | Down) -> None:
        if isinstance(state, Down) and state != self.state:
            log.warning("chain lost: %s", state.message)
        self.state, self.attempted = state, True
        self._changed()
