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
from bitagent_validator.chain.connection import ChainUnavailable
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.metrics import Metrics
from bitagent_validator.state.documents import State
from bitagent_validator.state.rows import Row
from bitagent_validator.state.scores import ScoredRound
from bitagent_validator.wallet import Account
from bitagent_validator.weights import attempts as module
from bitagent_validator.weights.attempts import ERA_BLOCKS
from bitagent_validator.weights.computed import ComputedWeights
from bitagent_validator.weights.setter import WeightSetter
from bitagent_validator.weights.submit import SubmissionOutcome, SubmissionRequest, SubmissionResult

LAG, RATE_LIMIT = 3, 20
WINDOW, QUIET = 300, 150
"""Blocks of one row, and those at the end of them without faults: enough for an era, the longest pause and the rate
limit."""


@dataclass
class Transaction:
    """A signed row on its way."""

    weights: dict[int, int]
    lands: int
    failed: bool = False


@dataclass
class World:
    """The chain, its nodes, and what goes wrong."""

    random: random.Random
    subnet: Callable[..., Subnet]
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
    settings: list[tuple[int, dict[int, int]]] = field(default_factory=list)
    """Block and row of each that landed."""
    under_way: list[Transaction] = field(default_factory=list)
    waiting: list[tuple[int, asyncio.Future[None]]] = field(default_factory=list)
    last_fate: str = ""
    block_seconds: float = 12.0
    endpoint: str = "ws://node"
    url: str = "ws://node"

    # The node.

    def view(self) -> Subnet:
        block = self.head - LAG - self.lag
        known = [each for each in self.settings if each[0] <= block]
        last, row = known[-1] if known else (500, {})
        neurons = {"a": 1, "b": 2}
        weights = {hotkey: row[uid] for hotkey, uid in neurons.items() if uid in row}
        found: Subnet = self.subnet(block=block, rate_limit=RATE_LIMIT, me={"last_update": last}, weights=weights)
        return found

    async def head_(self) -> int:
        if self.away:
            raise ChainUnavailable("away")
        return self.head - self.lag

    async def timestamp(self, _block: int) -> datetime:
        if self.away:
            raise ChainUnavailable("away")
        return datetime(2026, 1, 1, tzinfo=UTC)

    async def version_key(self, _netuid: int) -> int:
        return 0

    async def weights_extrinsic(self, block: int, *, hotkey: str) -> str:
        return f"{block}-0001"

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
        if fate == "dropped":
            await self._until(self.head + self.random.randrange(1, 10))
            return SubmissionResult(outcome=SubmissionOutcome.UNKNOWN, message="?", signed=signed)
        within = 1 if fate == "lands" else self.random.randrange(1, ERA_BLOCKS - LAG)
        sent = Transaction(dict(request.weights), self.head + within)
        self.under_way.append(sent)
        if fate == "lands":
            await self._until(sent.lands + LAG)
            if sent.failed:
                return SubmissionResult(outcome=SubmissionOutcome.REFUSED, code="rate_limited", signed=signed)
            return SubmissionResult(outcome=SubmissionOutcome.INCLUDED, extrinsic=f"{sent.lands}-0001", signed=signed)
        await self._until(self.head + self.random.randrange(1, 10))
        return SubmissionResult(outcome=SubmissionOutcome.TIMED_OUT, message="killed", signed=signed)

    async def _until(self, block: int) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((block, done))
        await done

    # Time.

    def next_block(self) -> None:
        self.head += 1
        for sent in [each for each in self.under_way if each.lands == self.head]:
            last = self.settings[-1][0] if self.settings else 0
            sent.failed = self.head - last < RATE_LIMIT
            if not sent.failed:
                self.settings.append((self.head, sent.weights))
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


@pytest.mark.parametrize("seed", range(30))
async def test_each_row_lands_once(
    seed: int, subnet: Callable[..., Subnet], competition: Callable[..., Competition], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(random.Random(seed), subnet)
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
        landed = [block for block, weights in world.settings if weights == {1: 65535, 2: 1000 * (window + 1)}]
        assert len(landed) == 1, f"window {window}: {landed}"
    await setter.stop()
