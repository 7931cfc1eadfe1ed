"""Settings of one hotkey on the simulated chain, block by block, while its subnet changes under them.

The setter, the connection and the signing are the validator's own, in the test's event loop; no API server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import ChainRead, ValidatorSpec
from bitagent_local.chain import keys
from bitagent_local.chain.faults import ChainFaultRequest
from bitagent_local.chain.seed import Neuron, Seed
from bitagent_local.chain.subnet import MutableSubnet
from bitagent_local.chain.testing import escrowed, running
from bitagent_validator.chain.connection import Connection, connect
from bitagent_validator.metrics import Metrics
from bitagent_validator.policy.eligibility import Standings
from bitagent_validator.state.documents import State
from bitagent_validator.state.rows import ERA_BLOCKS, Reveal
from bitagent_validator.wallet import Account
from bitagent_validator.weights import attempts
from bitagent_validator.weights.computed import compute_weights
from bitagent_validator.weights.plan import Decision
from bitagent_validator.weights.setter import WeightSetter
from bitagent_validator.weights.signing import sign_and_send
from bitagent_validator.weights.submit import SubmissionOutcome, SubmissionRequest, SubmissionResult

pytestmark = pytest.mark.integration

ME = keys.address("//Validator")
NEURONS = [{"hotkey": "//x"}, {"hotkey": "//Validator", "stake": "10000", "permit": True}]
NEURONS += [{"hotkey": f"//{name}"} for name in "abc"]


class Pod:
    """A process that sets fixed shares: 60 for a, 30 for b, 10 for c."""

    def __init__(self, chain: Any, connection: Connection, hotkey_file: Path, *, read: str) -> None:
        self.node, self.connection = chain.server.node, connection
        self.chain = chain
        self.state = State()
        self.posted: list[str] = []
        self.killed: Callable[[], Awaitable[None]] | None = None
        """What happens once the next row is in a block; its process is killed then."""
        self.over = asyncio.Event()
        """Set when it has happened."""
        parts = {"a": 60, "b": 30, "c": 10}
        shares = [{"hotkey": keys.address(f"//{name}"), "share": share} for name, share in parts.items()]
        tasks = {"sources": [{"bfcl": {"categories": ["multiple"]}}], "count": 1}
        template = {"models": {"matchLabels": {}}, "tasks": tasks}
        competition = {"id": "fc", "schedule": {"everyBlocks": 100}, "round": template, "policy": "Fixed"}
        self.spec = ValidatorSpec.model_validate(
            {
                "netuid": 20,
                "chain": {"endpoints": [chain.endpoint], "read": read},
                "wallet": {"hotkeySecretRef": {"name": "s", "key": "k"}},
                "competitions": [{**competition, "policyParameters": {"fixed": {"shares": shares}}}],
            }
        )
        fakes: tuple[Any, Any] = (self, self)
        self.setter = WeightSetter(Account(ME, hotkey_file), *fakes, Metrics(), changed=lambda: None)

    async def save(self, state: State) -> None:
        self.state = state

    async def normal(self, reason: str, _: str, **__: Any) -> None:
        self.posted.append(reason)

    warning = normal

    async def submit(self, request: SubmissionRequest, *, timeout_seconds: float) -> SubmissionResult:
        async with asyncio.timeout(timeout_seconds):
            if self.killed is None:
                return await sign_and_send(request)
            sending = asyncio.create_task(sign_and_send(request))
            before = len(self.settings())
            async for _ in self.connection.blocks(stall_seconds=30, finalized=False):
                if len(self.settings()) > before:
                    break
            sending.cancel()
            await self.killed()
        self.killed = None
        self.over.set()
        signed = self.node.blocks.head.number
        return SubmissionResult(outcome=SubmissionOutcome.TIMED_OUT, message="killed", signed=signed)

    async def one_pass(self) -> Decision:
        best = self.spec.chain.read is ChainRead.BEST
        block = await (self.connection.head() if best else self.connection.finalized())
        subnet = await self.connection.subnet(20, hotkey=ME, block=block)
        computed = compute_weights(
            self.spec.competitions, standings={"fc": Standings(None)}, subnet=subnet, weights=self.spec.weights
        )
        return await self.setter.step(self.spec, computed, subnet, connection=self.connection)

    async def until(self, reason: Reason, *, passes: Callable[[], bool] = lambda: True) -> list[Reason]:
        """Pass at each block until the weights are current for a reason; return all reasons on the way."""
        found = []
        async with asyncio.timeout(60):
            while True:
                decision = await self.one_pass()
                found.append(decision.reason)
                if decision.reason is reason and passes():
                    return found
                await self.blocks(1)

    async def blocks(self, count: int) -> None:
        final = self.spec.chain.read is ChainRead.FINALIZED
        end = (self.node.finalized.number if final else self.node.blocks.head.number) + count
        async for block in self.connection.blocks(stall_seconds=30, finalized=final):
            if block >= end:
                break

    def settings(self) -> list[Any]:
        return [each for each in self.node.included if "weights" in each.extrinsic.call.function and not each.error]

    def row(self) -> dict[str, int]:
        return dict(self.node.weights().get(ME, {}).get("weights", {}))


@asynccontextmanager
async def pod(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *, seconds: float = 0.1, read: str = "Finalized", **rules: Any
) -> AsyncIterator[Pod]:
    (folder / "hotkey").write_bytes(keys.keyfile("//Validator"))
    hyperparameters = {"weights_rate_limit": 2, "immunity_period": 0, **rules}
    seed = Seed.model_validate({"netuid": 20, "neurons": NEURONS, "hyperparameters": hyperparameters})
    async with running(seed, seconds) as chain, connect(chain.endpoint) as connection:
        with escrowed(chain.server.node):
            it = Pod(chain, connection, folder / "hotkey", read=read)
            monkeypatch.setattr(attempts, "submit", it.submit)
            yield it
            await it.setter.stop()


def paid(*names: str) -> set[str]:
    return {keys.address(f"//{name}") for name in names}


async def test_a_row_that_landed_unseen_is_no_other_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its process is killed, and a slot that it pays changes hands before the next look at the chain."""
    async with pod(monkeypatch, tmp_path) as it:

        async def change() -> None:
            it.node.replace(keys.address("//a"), Neuron(hotkey="//new"))
            await it.blocks(5)

        it.killed = change
        await it.one_pass()
        await it.over.wait()
        reasons = await it.until(Reason.WEIGHTS_SET, passes=lambda: set(it.row()) == paid("b", "c"))
    assert Reason.FOREIGN_WEIGHTS not in reasons
    assert (len(it.settings()), it.posted.count("WeightsSet")) == (2, 2)


async def test_slots_that_are_numbered_again_stay_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The subnet is made smaller: the row is the same, without the one that is gone."""
    async with pod(monkeypatch, tmp_path) as it:
        await it.until(Reason.WEIGHTS_SET)
        MutableSubnet(it.node.storage, 20).put("Emission", [0, 9, 9, 9, 0])
        assert set(it.node.trim(3)) == paid("x", "c")
        await it.blocks(4)
        reasons = await it.until(Reason.WEIGHTS_SET)
        assert set(it.row()) == paid("a", "b")
    assert set(reasons) == {Reason.WEIGHTS_SET}


async def test_a_drand_round_that_comes_late(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The chain tries to open the row in each block of its epoch."""
    async with pod(monkeypatch, tmp_path, seconds=0.25, commit_reveal_weights_enabled=True) as it:
        await it.until(Reason.REVEAL_PENDING)
        (commit,) = it.settings()
        it.node.missing_rounds = frozenset({int(commit.extrinsic.call.args["reveal_round"])})
        due = it.state.accepted[0].epoch + 1
        while int(it.node.subnet.get("SubnetEpochIndex")) < due:
            await it.blocks(1)
        await it.blocks(8)
        assert (await it.one_pass()).reason is Reason.REVEAL_PENDING
        it.node.missing_rounds = frozenset()
        reasons = await it.until(Reason.WEIGHTS_SET)
    assert Reason.REVEAL_MISSED not in reasons
    assert [each.dropped for each in it.node.reveals] == [None]
    assert it.state.accepted[0].reveal is Reveal.REVEALED


async def test_a_row_is_set_while_finality_stalls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For longer than the usual transaction lasts, which begins at the last final block."""
    async with pod(monkeypatch, tmp_path, read="Best") as it:
        it.chain.server.apply_faults(ChainFaultRequest(stall_finality=True))
        await it.blocks(2 * ERA_BLOCKS)
        await it.until(Reason.WEIGHTS_SET)
        assert it.node.finalized.number < it.node.blocks.head.number - ERA_BLOCKS
    assert (len(it.settings()), it.posted) == (1, ["WeightsSet"])
