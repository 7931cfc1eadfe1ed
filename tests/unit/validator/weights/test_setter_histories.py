"""Many blocks of one hotkey's settings, among faults that follow from a seed: each row lands, once.

Chain, node, API server and submitting process are models; what decides is the product's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.validator import Competition, ValidatorSpec
from bitagent_kube.errors import ApiError
from bitagent_validator.chain.calls import SentRow
from bitagent_validator.chain.connection import ChainUnavailable
from bitagent_validator.chain.facts import Commit, Subnet
from bitagent_validator.metrics import Metrics
from bitagent_validator.state.documents import State
from bitagent_validator.state.rows import ERA_BLOCKS, Row
from bitagent_validator.state.scores import ScoredRound
from bitagent_validator.wallet import Account
from bitagent_validator.weights import attempts as module
from bitagent_validator.weights.computed import ComputedWeights
from bitagent_validator.weights.setter import WeightSetter
from bitagent_validator.weights.submit import SubmissionOutcome, SubmissionRequest, SubmissionResult

LAG, RATE_LIMIT, TEMPO = 3, 20, 25
WINDOW, QUIET = 300, 150
"""Blocks of one row, and those at the end of them without faults: enough for an era, the longest pause and the rate
limit."""


@dataclass
class Transaction:
    """A signed row on its way."""

    weights: dict[int, int]
    lands: int
    failed: bool = False
    digest: str = ""
    dropped: bool = False
    """Whether the chain cannot open it."""
    opens: int = 0
    """The block at which it is opened, or dropped."""


@dataclass
class World:
    """The chain, its nodes, and what goes wrong."""

    random: random.Random
    subnet: Callable[..., Subnet]
    sealed: bool = False
    head: int = 1000
    lag: int = 0
    """Blocks that the node is behind."""
    broken: int | None = None
    """The code of the API server's answers."""
    away: bool = False
    """Whether the node answers nothing."""
    faults: bool = True
    state: State = field(default_factory=lambda: State(scored={"fc": SCORED}))
    stored: State = field(default_factory=lambda: State(scored={"fc": SCORED}))
    """What a new process reads."""
    settings: list[Transaction] = field(default_factory=list)
    """Those that landed."""
    under_way: list[Transaction] = field(default_factory=list)
    waiting: list[tuple[int, asyncio.Future[None]]] = field(default_factory=list)
    last_fate: str = ""
    block_seconds: float = 12.0
    endpoint: str = "ws://node"
    url: str = "ws://node"

    # The node.

    def view(self) -> Subnet:
        block = self.head - LAG - self.lag
        known = [each for each in self.settings if each.lands <= block]
        open_ = [each for each in known if each.opens <= block and not each.dropped]
        row = open_[-1].weights if open_ else {}
        weights = {hotkey: row[uid] for hotkey, uid in {"a": 1, "b": 2}.items() if uid in row}
        found: Subnet = self.subnet(
            block=block,
            rate_limit=RATE_LIMIT,
            commit_reveal=self.sealed,
            me={"last_update": known[-1].lands if known else 500},
            weights=weights,
            epoch=block // TEMPO,
            commits=tuple(Commit(e.lands // TEMPO, e.lands, e.digest) for e in known if e.opens > block),
        )
        return found

    async def head_(self) -> int:
        if self.away:
            raise ChainUnavailable("away")
        return self.head - self.lag

    async def finalized(self) -> int:
        return await self.head_() - LAG

    async def timestamp(self, _block: int) -> datetime:
        if self.away:
            raise ChainUnavailable("away")
        return datetime(2026, 1, 1, tzinfo=UTC)

    async def version_key(self, _netuid: int) -> int:
        return 0

    async def weights_extrinsic(self, block: int, *, hotkey: str) -> str:
        return f"{block}-0001"

    async def sent_rows(self, block: int, *, hotkey: str) -> dict[str, SentRow]:
        if self.away:
            raise ChainUnavailable("away")
        landed = (each for each in self.settings if each.lands == block)
        rows = (SentRow(0, {} if each.digest else each.weights, each.digest) for each in landed)
        return {f"{block}-{number:04}": row for number, row in enumerate(rows, 1)}

    # The API server.

    async def save(self, state: State) -> None:
        if self.broken:
            raise ApiError(code=self.broken, reason="Broken", message="broken")
        self.state = self.stored = state

    def remember(self, state: State) -> None:
        self.state = state

    async def normal(self, *_: Any, **__: Any) -> None:
        pass

    warning = normal

    # The submitting process.

    async def submit(self, request: SubmissionRequest, *, timeout_seconds: float) -> SubmissionResult:
        fates = ["lands", "refused", "unsigned", "late", "lost", "dropped"]
        fate = self.last_fate = self.random.choice(fates) if self.faults else "lands"
        signed = self.head
        if fate == "refused":
            await self._until(self.head + 1)
            return SubmissionResult(outcome=SubmissionOutcome.REFUSED, message="no", signed=signed)
        if fate == "unsigned":
            await self._until(self.head + 10)
            return SubmissionResult(outcome=SubmissionOutcome.TIMED_OUT, message="killed")
        commit = f"0x{signed}-{self.random.random()}" if self.sealed else ""
        if fate == "dropped":
            await self._until(self.head + self.random.randrange(1, 10))
            return SubmissionResult(outcome=SubmissionOutcome.UNKNOWN, message="?", signed=signed, commit=commit)
        within = 1 if fate == "lands" else self.random.randrange(1, ERA_BLOCKS - LAG)
        sent = Transaction(dict(request.weights), self.head + within, digest=commit)
        self.under_way.append(sent)
        if fate == "lands":
            await self._until(sent.lands + LAG)
            if sent.failed:
                return SubmissionResult(outcome=SubmissionOutcome.REFUSED, code="rate_limited", signed=signed)
            return SubmissionResult(
                outcome=SubmissionOutcome.INCLUDED, extrinsic=f"{sent.lands}-0001", signed=signed, commit=commit
            )
        await self._until(self.head + self.random.randrange(1, 10))
        return SubmissionResult(outcome=SubmissionOutcome.TIMED_OUT, message="killed", signed=signed, commit=commit)

    async def _until(self, block: int) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((block, done))
        await done

    # Time.

    def next_block(self) -> None:
        self.head += 1
        for sent in [each for each in self.under_way if each.lands == self.head]:
            last = self.settings[-1].lands if self.settings else 0
            sent.failed = self.head - last < RATE_LIMIT
            sent.opens = (self.head // TEMPO + 1) * TEMPO if self.sealed else self.head
            sent.dropped = self.sealed and self.faults and self.random.random() < 0.3
            if not sent.failed:
                self.settings.append(sent)
        for block, done in self.waiting:
            if block <= self.head and not done.done():
                done.set_result(None)

    def roll(self) -> bool:
        """Choose what is wrong at this block; whether the pod is killed."""
        quiet = not self.faults
        self.lag = 0 if quiet else self.random.choice([0, 0, 0, self.random.randrange(15)])
        self.broken = None if quiet else self.random.choice([None] * 6 + [500, 409, 422])
        self.away = not quiet and self.random.random() < 0.1
        # What the API server refuses for good is lost with the process; a row may then be set twice.
        return not quiet and self.random.random() < 0.05 and self.state == self.stored


class Node:
    """The connection of a World."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, {"head": "head_"}.get(name, name))


SCORED = ScoredRound(round="val-fc-7", epoch=7, block=700, scores={})


@pytest.mark.parametrize("sealed", [False, True], ids=["plain", "sealed"])
@pytest.mark.parametrize("seed", range(25))
async def test_each_row_lands_once(
    seed: int,
    sealed: bool,
    subnet: Callable[..., Subnet],
    competition: Callable[..., Competition],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A sealed one once more for each that the chain has dropped at its reveal."""
    world = World(random.Random(seed), subnet, sealed)
    monkeypatch.setattr(module, "submit", world.submit)
    spec = ValidatorSpec.model_validate(
        {
            "netuid": 20,
            "chain": {"endpoints": ["ws://node"]},
            "wallet": {"hotkeySecretRef": {"name": "s", "key": "k"}},
            "competitions": [competition().to_wire()],
        }
    )
    fakes: tuple[Any, Any] = (world, world)

    def start() -> WeightSetter:
        return WeightSetter(Account("me", Path("/hotkey")), *fakes, Metrics(), changed=lambda: None)

    setter, node = start(), Node(world)
    for window in range(4):
        row = Row.planned({"a": 65535, "b": 1000 * (window + 1)}, (f"val-fc-{window}",))
        computed = ComputedWeights({"a": 0.7, "b": 0.3}, row)
        end = world.head + WINDOW
        while world.head < end:
            world.faults = world.head < end - QUIET
            if world.roll():
                await setter.stop()
                world.state = world.stored
                setter = start()
            with contextlib.suppress(ApiError, ChainUnavailable):
                await setter.step(spec, computed, world.view(), connection=node)  # type: ignore[arg-type]
            for _ in range(4):
                await asyncio.sleep(0)
            world.next_block()
        landed = [each for each in world.settings if each.weights == {1: 65535, 2: 1000 * (window + 1)}]
        assert [each.dropped for each in landed] == [True] * (len(landed) - 1) + [False], f"window {window}: {landed}"
        assert world.view().uid_weights == landed[-1].weights
    await setter.stop()
