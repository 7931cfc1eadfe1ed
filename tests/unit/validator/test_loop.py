"""The pass: what is looked at before anything is done, and what people are told when nothing can be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import Competition, ValidatorSpec
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.chain.follower import Down, Up
from bitagent_validator.health import Health
from bitagent_validator.loop import Loop
from bitagent_validator.metrics import Metrics
from bitagent_validator.payer import Account
from bitagent_validator.rounds import RoundPlan
from bitagent_validator.seen import ValidatorObject
from bitagent_validator.state import HotkeyScore, ScoredRound, State, StateUnreadable
from bitagent_validator.status import Standing
from bitagent_validator.weights.plan import Step, Verdict

HOTKEY = "5CzRdZLnRxWkyWoGZZbfvSCY4mbw1cmsow5q8cgZyGg1aiDq"
MINER = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"
Make = Callable[..., Any]


@dataclass
class Stage:
    """A loop among stand-ins, on the chain `0xours`."""

    subnet: Subnet
    state: State = field(default_factory=State)
    unreadable: str = ""
    genesis: str = "0xours"
    applied: asyncio.Future[dict[str, Any]] = field(default_factory=asyncio.Future)
    acted: int = 0
    stopped: bool = False
    given_up: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        async def read(*_: Any, **__: Any) -> Subnet:
            return self.subnet

        connection = SimpleNamespace(endpoint="ws://chain", genesis=self.genesis, subnet=read)
        self.follower = SimpleNamespace(
            state=Up(connection, 1000),  # type: ignore[arg-type]
            tried=True,
            reconnects=0,
            give_up=lambda _, *, why: self.given_up.append(why),
        )

    async def load(self) -> None:
        if self.unreadable:
            raise StateUnreadable(self.unreadable)

    async def save(self, state: State) -> None:
        self.state = state

    async def apply(self, _: str, body: dict[str, Any]) -> None:
        if not self.applied.done():
            self.applied.set_result(body["status"])

    async def act(self, *_: Any, **__: Any) -> Verdict:
        self.acted += 1
        return self.verdict()

    async def stop(self) -> None:
        self.stopped = True

    def verdict(self, *_: Any) -> Verdict:
        return Verdict(Step.WAIT, True, Reason.WEIGHTS_SET, "all is well")

    async def take_over_scores(self, *_: Any) -> None:
        pass

    async def run(self, _: Any, competition: Competition, **__: Any) -> Standing:
        return Standing(RoundPlan(competition.id, None, None))

    async def entrants(self, _: str) -> frozenset[str]:
        return frozenset()

    async def one_pass(self, spec: ValidatorSpec, status: dict[str, Any] | None = None) -> dict[str, Any]:
        """The status that the first pass reports."""
        me = ValidatorObject("val", "ns", "u", 1, spec, status or {})
        loop = Loop(
            account=Account(HOTKEY, Path("/hotkey")),
            spec=spec,
            me=SimpleNamespace(objects={"val": me}),  # type: ignore[arg-type]
            name="val",
            tools=SimpleNamespace(api=self, store=self, rounds=SimpleNamespace(synced=True), metrics=Metrics()),  # type: ignore[arg-type]
            follower=self.follower,  # type: ignore[arg-type]
            payer=self,  # type: ignore[arg-type]
            competitions=self,  # type: ignore[arg-type]
            health=Health(),
            wake=asyncio.Event(),
        )
        task = asyncio.create_task(loop.run())
        try:
            return await asyncio.wait_for(self.applied, 5)
        finally:
            task.cancel()


@pytest.fixture
def spec(competition: Make) -> Callable[..., ValidatorSpec]:
    def make(**changes: Any) -> ValidatorSpec:
        wire = {
            "netuid": 20,
            "chain": {"endpoints": ["ws://chain"]},
            "wallet": {"hotkeySecretRef": {"name": "s", "key": "k"}},
            "competitions": [competition().to_wire()],
        }
        return ValidatorSpec.model_validate(wire | changes)

    return make


@pytest.fixture
def stage(subnet: Make, neuron: Make) -> Callable[..., Stage]:
    def make(**changes: Any) -> Stage:
        neurons = {HOTKEY: neuron(HOTKEY, uid=0, permit=True), MINER: neuron(MINER, uid=1)}
        return Stage(subnet(hotkey=HOTKEY, neurons=neurons), **changes)

    return make


def condition(status: dict[str, Any], kind: str) -> tuple[str, str, str]:
    (found,) = (c for c in status["conditions"] if c["type"] == kind)
    return found["status"], found["reason"], found["message"]


async def test_the_first_chain_is_noted(stage: Make, spec: Make) -> None:
    on = stage()
    await on.one_pass(spec())
    assert (on.state.genesis, on.acted, on.given_up) == ("0xours", 1, [])


async def test_nothing_is_done_on_another_chain(stage: Make, spec: Make) -> None:
    on = stage(state=State(genesis="0xours"), genesis="0xother")
    status = await on.one_pass(spec())
    assert (on.acted, on.state.genesis) == (0, "0xours")
    assert condition(status, "ChainConnected")[:2] == ("False", "ChainUnreachable")
    assert "ws://chain is another chain" in status["message"]
    assert "ws://chain is another chain" in on.given_up[0]


async def test_an_unreadable_state_is_told(stage: Make, spec: Make) -> None:
    on = stage(unreadable="delete the ConfigMap")
    before = {"lastWeights": {"block": 5}, "weights": [{"hotkey": HOTKEY, "weight": "1.000000"}]}
    status = await on.one_pass(spec(), before)
    assert condition(status, "WeightsCurrent") == ("False", "SubmissionFailed", "delete the ConfigMap")
    assert on.acted == 0
    assert {key: status[key] for key in before} == before, "what was reported before still stands"


@pytest.mark.parametrize(("mode", "paid"), [("Set", [MINER]), ("DryRun", [MINER]), ("Off", [])])
async def test_weights_are_computed_unless_off(stage: Make, spec: Make, mode: str, paid: list[str]) -> None:
    scores = {MINER: HotkeyScore(score=0.5, registered_at=10)}
    scored = ScoredRound(round="val-fc-7", epoch=7, block=700, scores=scores)
    status = await stage(state=State(scored={"fc": scored})).one_pass(spec(weights={"mode": mode}))
    assert [weight["hotkey"] for weight in status.get("weights", [])] == paid


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize(
    ("change", "stopped"),
    [
        ({"suspend": True}, True),
        ({"weights": {"mode": "DryRun"}}, True),
        ({"weights": {"mode": "Off"}}, True),
        ({}, False),
    ],
)
async def test_who_switches_off_stops_what_is_under_way(
    stage: Make, spec: Make, change: dict[str, Any], stopped: bool, away: bool
) -> None:
    on = stage()
    if away:
        on.follower.state = Down(Reason.CHAIN_STALLED, "silent")
    await on.one_pass(spec(**change))
    assert on.stopped is stopped
    assert on.acted == (0 if away or "suspend" in change else 1)


async def test_a_chain_that_is_away_is_told(stage: Make, spec: Make) -> None:
    on = stage()
    on.follower.state = Down(Reason.CHAIN_STALLED, "silent")
    assert condition(await on.one_pass(spec()), "ChainConnected") == ("False", "ChainStalled", "silent")
