"""One pass: what is checked before anything is done, and what is reported when nothing can be done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.model_result import ResultState
from bitagent_crds.online import OnlineStatus
from bitagent_crds.validator import Competition, ValidatorSpec
from bitagent_kube.conditions import ConditionValue
from bitagent_kube.errors import ApiError
from bitagent_local.chain import keys
from bitagent_validator.chain.connection import ChainUnavailable, CommitmentsUnreadable
from bitagent_validator.chain.facts import RAO, AccountFacts, Subnet
from bitagent_validator.chain.follower import Down, Up
from bitagent_validator.competitions.competition import CompetitionStatus
from bitagent_validator.competitions.rounds import RoundPlan
from bitagent_validator.metrics import Metrics
from bitagent_validator.objects import ValidatorObject
from bitagent_validator.policy.eligibility import Standings
from bitagent_validator.running.checks import HeightForgotten, SpecChanged, is_settled
from bitagent_validator.running.loop import Loop
from bitagent_validator.running.policies import PackagePolicies
from bitagent_validator.running.process import loop_health
from bitagent_validator.state.documents import State
from bitagent_validator.state.rows import Row
from bitagent_validator.state.scores import HotkeyScore, RoundResult, ScoredRound
from bitagent_validator.state.store import StateUnreadable
from bitagent_validator.wallet import Account
from bitagent_validator.weights.plan import Decision, Step
from bitagent_validator.weights.setter import HotkeyChanged

HOTKEY = "5CzRdZLnRxWkyWoGZZbfvSCY4mbw1cmsow5q8cgZyGg1aiDq"
MINER = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"
Make = Callable[..., Any]


@dataclass
class Stage:
    """A loop among fakes, on the chain `0xours`."""

    subnet: Subnet
    hotkey_file: Path
    state: State = field(default_factory=State)
    entrants: frozenset[str] = frozenset()
    unreadable: str = ""
    secret: Callable[[], list[str]] = list
    undiscovered: Exception | None = None
    """What discovery raises."""
    unasked: Exception | None = None
    """What online evaluation raises."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """The competitions that online evaluation was asked for, and why nothing was to be begun."""
    forgotten: list[list[str]] = field(default_factory=list)
    """The competitions whose pools were to stay."""
    unforgettable: Exception | None = None
    """What the deletion of the others raises."""
    online_status: list[OnlineStatus] = field(default_factory=list)
    online_condition: ConditionValue | None = None
    reconciled: list[str] = field(default_factory=list)
    genesis: str = "0xours"
    applied: asyncio.Future[dict[str, Any]] = field(default_factory=asyncio.Future)
    validators: dict[str, ValidatorObject] = field(default_factory=dict)
    steps: int = 0
    stopped: bool = False
    skipped: int = 0
    """Number of reports before the one that counts."""
    unusable: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        async def read(*_: Any, **__: Any) -> Subnet:
            return self.subnet

        async def account(*_: Any, **__: Any) -> AccountFacts:
            return AccountFacts(balance=3 * RAO, trust=0.5)

        connection = SimpleNamespace(
            endpoint="ws://chain", genesis=self.genesis, subnet=read, block_seconds=12.0, account=account
        )
        self.follower = SimpleNamespace(
            state=Up(connection, 1000),  # type: ignore[arg-type]
            attempted=True,
            reconnects=0,
            others=["ws://two"],
            mark_unusable=lambda _, *, error: self.unusable.append(str(error)),
        )

    async def warn(self, reason: str, _: str, **__: Any) -> None:
        self.events.append(reason)

    async def load(self, *_: Any) -> None:
        if self.unreadable:
            raise StateUnreadable(self.unreadable)

    async def save(self, state: State) -> None:
        self.state = state

    async def write_status(self, _: Any, name: str, status: dict[str, Any]) -> dict[str, Any]:
        self.skipped -= 1
        if self.skipped < 0 and not self.applied.done():
            self.applied.set_result(status)
        return {}

    async def step(self, *_: Any, others: Sequence[str], **__: Any) -> Decision:
        assert others == ([] if self.follower.state.alone else ["ws://two"])
        self.steps += 1
        return self.decide()

    async def stop(self) -> None:
        self.stopped = True

    def decide(self, *_: Any, **__: Any) -> Decision:
        return Decision(Step.WAIT, True, Reason.WEIGHTS_SET, "all is well")

    async def record_scores(self, *_: Any) -> None:
        pass

    async def reconcile(self, _: Any, competition: Competition, **__: Any) -> CompetitionStatus:
        self.reconciled.append(competition.id)
        return CompetitionStatus(RoundPlan(competition.id, None, None))

    async def discover(self, *_: Any, others: Sequence[str], **__: Any) -> None:
        assert others == ["ws://two"]
        if self.undiscovered:
            raise self.undiscovered

    async def ask(self, _: Any, competition: Competition, subnet: Subnet, *, connection: Any, blocked: str) -> None:
        assert (subnet, connection) == (self.subnet, self.follower.state.connection)
        self.asked.append((competition.id, blocked))
        if self.unasked:
            raise self.unasked

    async def standings(self, competition: Competition, *, block: int) -> Standings:
        return Standings(self.state.scored.get(competition.id), entrants=self.entrants)

    async def forget(self, competitions: list[Competition]) -> None:
        self.forgotten.append([each.id for each in competitions])
        if self.unforgettable is not None:
            raise self.unforgettable

    async def one_pass(self, spec: ValidatorSpec, status: dict[str, Any] | None = None) -> dict[str, Any]:
        """The status that the first pass reports."""
        self.validators["val"] = ValidatorObject("val", "ns", "u", 1, spec, status or {})
        rounds = SimpleNamespace(synced=True)
        events = SimpleNamespace(warning=self.warn)
        services: Any = SimpleNamespace(client=self, store=self, rounds=rounds, metrics=Metrics(), events=events)
        loop = Loop(
            account=Account(HOTKEY, self.hotkey_file),
            spec=spec,
            validators=SimpleNamespace(objects=self.validators),  # type: ignore[arg-type]
            name="val",
            services=services,
            follower=self.follower,  # type: ignore[arg-type]
            setter_of=lambda _: self,  # type: ignore[arg-type, return-value]
            competitions=self,  # type: ignore[arg-type]
            discovery=SimpleNamespace(reconcile=self.discover, status=None),  # type: ignore[arg-type]
            online=SimpleNamespace(  # type: ignore[arg-type]
                reconcile=self.ask,
                forget_others=self.forget,
                status=lambda _: self.online_status,
                condition=lambda _: self.online_condition,
            ),
            health=loop_health(),
            wake=asyncio.Event(),
            secret=self.secret,
            secret_used=["ws://secret"] if self.secret is not list else [],
            policies=PackagePolicies(seconds=2),
        )
        loop._setters[0] = self  # type: ignore[assignment]
        task = asyncio.create_task(loop.run())
        try:
            await asyncio.wait({task, self.applied}, return_when=asyncio.FIRST_COMPLETED, timeout=60)
            if not self.applied.done():
                await task
            return self.applied.result()
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
def stage(subnet: Make, neuron: Make, tmp_path: Path) -> Callable[..., Stage]:
    def make(**changes: Any) -> Stage:
        hotkey_file = tmp_path / "hotkey"
        hotkey_file.write_bytes(keys.keyfile("//Validator"))
        neurons = {HOTKEY: neuron(HOTKEY, uid=0, permit=True), MINER: neuron(MINER, uid=1)}
        return Stage(subnet(hotkey=HOTKEY, neurons=neurons), hotkey_file, **changes)

    return make


def condition(status: dict[str, Any], kind: str) -> tuple[str, str, str]:
    (found,) = (c for c in status["conditions"] if c["type"] == kind)
    return found["status"], found["reason"], found["message"]


async def test_a_secret_that_cannot_be_read_stops_nothing_and_is_reported(stage: Make, spec: Make) -> None:
    def unreadable() -> list[str]:
        raise ValueError("the Secret should have one websocket address a line")

    on = stage(secret=unreadable)
    status = await on.one_pass(spec())
    assert on.steps == 1
    found = condition(status, "PassComplete")
    assert found[:2] == ("False", "PartFailed")
    assert "one websocket address a line" in found[2]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(None, "there is no hotkey", id="gone"),
        pytest.param(b"", "is not a hotkey file", id="empty"),
        pytest.param(b'{"ss58Address": "5"}', "is not a hotkey file", id="the public half"),
        pytest.param(keys.keyfile("//Validator") + b"\n", "", id="the same key, written by hand"),
    ],
)
async def test_a_hotkey_file_that_cannot_be_used_is_reported_before_weights_are_due(
    stage: Make, spec: Make, content: bytes | None, said: str
) -> None:
    """And stops nothing that needs no signature."""
    on = stage()
    if content is None:
        on.hotkey_file.unlink()
    else:
        on.hotkey_file.write_bytes(content)
    status = await on.one_pass(spec())
    found = condition(status, "PassComplete")
    assert (found[1], said in found[2]) == ("PartFailed" if said else "PassComplete", True)
    assert (on.steps, on.reconciled) == (1, ["fc"])


async def test_another_key_in_the_file_ends_the_process(stage: Make, spec: Make) -> None:
    on = stage()
    on.hotkey_file.write_bytes(keys.keyfile("//Other"))
    with pytest.raises(HotkeyChanged):
        await on.one_pass(spec())


async def test_a_secret_with_other_endpoints_ends_the_process(stage: Make, spec: Make) -> None:
    """As after the rotation of a provider's key: the next process reads them."""
    with pytest.raises(SpecChanged):
        await stage(secret=lambda: ["ws://other"]).one_pass(spec())
    assert (await stage(secret=lambda: ["ws://secret"]).one_pass(spec()))["conditions"]


@pytest.mark.parametrize(
    ("currents", "pending", "settled"),
    [
        pytest.param([True], set(), True, id="all weights are on the chain"),
        pytest.param([True, False], set(), False, id="those of one mechanism are not"),
        pytest.param([True], {0}, False, id="a row is on its way"),
        pytest.param([True], {3}, True, id="a row of a mechanism that was removed"),
        pytest.param([], set(), False, id="nothing is known yet"),
    ],
)
def test_when_the_subnet_is_read_less_often(spec: Make, currents: list[bool], pending: set[int], settled: bool) -> None:
    decisions = [Decision(Step.WAIT, current, Reason.WEIGHTS_SET, "") for current in currents]
    assert is_settled(spec(), decisions, pending=pending) is settled


async def test_the_first_chain_is_recorded(stage: Make, spec: Make) -> None:
    on = stage()
    await on.one_pass(spec())
    assert (on.state.genesis, on.steps, on.unusable) == ("0xours", 1, [])


async def test_nothing_is_done_on_another_chain(stage: Make, spec: Make) -> None:
    on = stage(state=State(genesis="0xours"), genesis="0xother")
    status = await on.one_pass(spec())
    assert (on.steps, on.state.genesis) == (0, "0xours")
    assert condition(status, "ChainConnected")[:2] == ("False", "WrongChain")
    assert "ws://chain is another chain" in status["message"]
    assert "ws://chain is another chain" in on.unusable[0]


@pytest.mark.parametrize(
    ("accepted", "reason"),
    [
        pytest.param(1000 + 20, "Connected", id="as far as finality may trail"),
        pytest.param(1000 + 21, "ChainBehind", id="further back"),
    ],
)
async def test_nothing_is_done_at_a_block_before_those_that_were_seen(
    stage: Make, spec: Make, accepted: int, reason: str
) -> None:
    """As of a node that was restored: results would be recorded by who was registered then."""
    row = Row.planned({MINER: 65535}, ("r",)).as_pending(since=5, account=f"20/{HOTKEY}", uids={MINER: 1})
    on = stage(
        state=State(accepted={0: row.as_accepted(block=accepted, at=datetime.now(UTC), extrinsic=f"{accepted}-0001")})
    )
    status = await on.one_pass(spec())
    assert condition(status, "ChainConnected")[1] == reason
    assert on.steps == (1 if reason == "Connected" else 0)


@pytest.mark.parametrize(
    ("limit", "agreed", "ends"),
    [
        pytest.param(1020, True, True, id="several endpoints agree that it was never reached"),
        pytest.param(1020, False, False, id="one endpoint says so, for a moment"),
        pytest.param(5000, True, False, id="the chain can have reached it: these nodes are behind"),
    ],
)
async def test_a_height_that_was_invented_is_forgotten_with_what_was_read_there(
    stage: Make, spec: Make, limit: int, agreed: bool, ends: bool
) -> None:
    row = Row.planned({MINER: 65535}, ("r",)).as_pending(since=4900, account=f"20/{HOTKEY}", uids={MINER: 1})
    accepted = row.as_accepted(block=5000, at=datetime.now(UTC), extrinsic="5000-0001")
    scored = ScoredRound(round="r", epoch=49, block=4900, scores={})
    on = stage(state=State(genesis="0xours", accepted={0: accepted}, pending={0: row}, scored={"fc": scored}))
    on.follower.state = replace(on.follower.state, limit=limit, agreed=agreed)
    if not ends:
        assert condition(await on.one_pass(spec()), "ChainConnected")[:2] == ("False", "ChainBehind")
        assert on.state.accepted
        return
    with pytest.raises(HeightForgotten):
        await on.one_pass(spec())
    # Not of a block to come: a round that begins until then would not be run.
    assert (on.state.accepted, on.state.pending, on.state.scored["fc"].block) == ({}, {}, 1000)
    assert on.events == ["HeightForgotten"]


async def test_a_height_that_is_only_claimed_keeps_no_other_node_away(
    stage: Make, spec: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bitagent_validator.running.loop.TICK_SECONDS", 0.01)
    on = stage(skipped=1)
    honest = on.follower.state

    async def nothing(*_: Any, **__: Any) -> Subnet:
        raise ChainUnavailable("there is no such block")

    liar = SimpleNamespace(endpoint="ws://liar", genesis=on.genesis, subnet=nothing, block_seconds=12.0)
    on.follower.state = Up(liar, 10**9)

    def leave(_: Any, *, error: Exception) -> None:
        on.follower.state = honest

    on.follower.mark_unusable = leave
    status = await on.one_pass(spec())
    assert condition(status, "ChainConnected")[:2] == ("True", "Connected")
    assert on.steps == 1


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ApiError(code=403, reason="Forbidden", message="no rights"), id="no rights"),
        pytest.param(CommitmentsUnreadable("an unknown form"), id="unreadable"),
        pytest.param(ChainUnavailable("no answer"), id="the node does not answer"),
    ],
)
async def test_discovery_that_fails_stops_no_weights_and_no_rounds(stage: Make, spec: Make, error: Exception) -> None:
    on = stage(undiscovered=error)
    status = await on.one_pass(spec(discovery={"commitments": {}}))
    assert condition(status, "PassComplete")[:2] == ("False", "PartFailed")
    assert (on.steps, on.reconciled) == (1, ["fc"])


async def test_online_evaluation_that_fails_stops_no_weights_and_no_rounds(stage: Make, spec: Make) -> None:
    on = stage(unasked=RuntimeError("the examiner is gone"))
    status = await on.one_pass(spec())
    assert condition(status, "PassComplete")[:2] == ("False", "PartFailed")
    assert (on.steps, on.reconciled, on.asked) == (1, ["fc"], [("fc", "")])


async def test_without_a_permit_no_miner_is_asked(stage: Make, spec: Make, neuron: Make) -> None:
    on = stage()
    on.subnet = replace(on.subnet, neurons={HOTKEY: neuron(HOTKEY, permit=False)})
    await on.one_pass(spec())
    assert on.asked[0][1]


async def test_pools_that_cannot_be_deleted_stop_nothing(stage: Make, spec: Make) -> None:
    on = stage(unforgettable=ApiError(code=500, reason="InternalError", message="etcd"))
    status = await on.one_pass(spec())
    assert on.forgotten == [["fc"]]
    assert len(on.asked) == 1
    assert condition(status, "PassComplete")[:2] == ("False", "PartFailed")


async def test_online_evaluation_is_reported(stage: Make, spec: Make) -> None:
    found = ConditionValue(ConditionType.ONLINE_CURRENT, ConditionStatus.TRUE, Reason.ONLINE_STEP_DONE, "8 of 10")
    on = stage(online_status=[OnlineStatus(competition="fc", block=975)], online_condition=found)
    status = await on.one_pass(spec())
    assert condition(status, "OnlineCurrent") == ("True", "OnlineStepDone", "8 of 10")
    assert [(each["competition"], each["block"]) for each in status["online"]] == [("fc", 975)]


async def test_an_unreadable_state_is_reported(stage: Make, spec: Make) -> None:
    on = stage(unreadable="delete the ConfigMap")
    unpaid = [{"competition": "fc", "hotkey": MINER, "reason": "Rejected"}]
    before = {"lastWeights": {"block": 5}, "weights": [{"hotkey": HOTKEY, "weight": "1.000000"}], "unpaid": unpaid}
    status = await on.one_pass(spec(), before)
    assert condition(status, "WeightsCurrent") == ("False", "SubmissionFailed", "delete the ConfigMap")
    assert on.steps == 0
    assert {key: status[key] for key in before} == before, "the earlier report is kept"


@pytest.mark.parametrize(("mode", "paid"), [("Set", [MINER]), ("DryRun", [MINER]), ("Off", [])])
async def test_weights_are_computed_unless_off(stage: Make, spec: Make, mode: str, paid: list[str]) -> None:
    scores = {MINER: HotkeyScore(registered_at=10, results=(RoundResult(state=ResultState.SUCCEEDED, score=0.5),))}
    scored = ScoredRound(round="val-fc-7", epoch=7, block=700, scores=scores)
    status = await stage(state=State(scored={"fc": scored})).one_pass(spec(weights={"mode": mode}))
    assert [weight["hotkey"] for weight in status.get("weights", [])] == paid


async def test_a_policy_that_never_returns_stops_no_other_competition(
    stage: Make, spec: Make, competition: Make, policy_package: Make
) -> None:
    """What it has paid last is paid on, and the pass ends: a weight that is due is set."""
    policy_package("import time\ndef policy(given, neurons): time.sleep(3600)")
    scores = {MINER: HotkeyScore(registered_at=10, results=(RoundResult(state=ResultState.SUCCEEDED, score=0.5),))}
    scored = {name: ScoredRound(round=f"val-{name}-7", epoch=7, block=700, scores=scores) for name in ("fc", "slow")}
    slow = competition(id="slow", policy="Theirs", rewardShare=50).to_wire()
    both = spec(competitions=[competition(rewardShare=50).to_wire(), slow])
    on = stage(state=State(scored=scored, held={"slow": {HOTKEY: 65535}}))
    status = await on.one_pass(both)
    assert {weight["hotkey"]: weight["weight"] for weight in status["weights"]} == {
        HOTKEY: "0.500000",
        MINER: "0.500000",
    }
    assert (on.steps, on.reconciled) == (1, ["fc", "slow"])


@pytest.mark.parametrize("change", [{"suspend": True}, {"weights": {"mode": "Off"}}, None], ids=str)
async def test_no_weights_are_set_by_a_spec_that_changed_while_they_were_computed(
    stage: Make, spec: Make, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any] | None
) -> None:
    """A package's policy may take half a minute. Its spec would not be looked at again before the row is sent."""
    on = stage()
    known = on.standings

    async def meanwhile(competition: Competition, *, block: int) -> Standings:
        if change is None:
            on.validators.clear()
        else:
            on.validators["val"] = replace(on.validators["val"], generation=2, spec=spec(**change))
        return await known(competition, block=block)

    monkeypatch.setattr(on, "standings", meanwhile)
    await on.one_pass(spec())
    assert on.steps == 0


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
async def test_switching_off_stops_the_submission_in_progress(
    stage: Make, spec: Make, change: dict[str, Any], stopped: bool, away: bool
) -> None:
    on = stage()
    if away:
        on.follower.state = Down(Reason.CHAIN_STALLED, "silent")
    await on.one_pass(spec(**change))
    assert on.stopped is stopped
    assert on.steps == (0 if away or "suspend" in change else 1)


async def test_a_lost_chain_is_reported(stage: Make, spec: Make) -> None:
    on = stage()
    on.follower.state = Down(Reason.CHAIN_STALLED, "silent")
    assert condition(await on.one_pass(spec()), "ChainConnected") == ("False", "ChainStalled", "silent")


async def test_who_is_left_out_is_reported(
    stage: Make, spec: Make, neuron: Make, subnet: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """In the status and in the log, also a hotkey that is in no complete round yet."""
    results = (RoundResult(state=ResultState.REJECTED),)
    scored = ScoredRound(
        round="val-fc-7",
        epoch=7,
        block=700,
        scores={MINER: HotkeyScore(registered_at=10, results=results)},
    )
    on = stage(state=State(scored={"fc": scored}), entrants=frozenset({HOTKEY}))
    with caplog.at_level("INFO", logger="bitagent_validator.running.gauges"):
        status = await on.one_pass(spec())
    assert status["unpaid"] == [
        {"competition": "fc", "hotkey": MINER, "reason": "Rejected"},
        {"competition": "fc", "hotkey": HOTKEY, "reason": "AwaitsScore"},
    ]
    (line,) = (record.getMessage() for record in caplog.records if "left out" in record.getMessage())
    assert f"AwaitsScore: {HOTKEY} (1); Rejected: {MINER} (1)" in line
