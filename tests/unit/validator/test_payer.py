"""One hotkey's submissions: what is written down, when another may be sent. Chain, API server and process are stand-ins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import Competition, ValidatorSpec, Weights, WeightsMode
from bitagent_validator import payer as module
from bitagent_validator.chain.connection import ChainUnavailable
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.kube import ApiError
from bitagent_validator.metrics import Metrics
from bitagent_validator.payer import ERA_BLOCKS, Account, Computed, Payer, compute
from bitagent_validator.state import HotkeyScore, PendingRow, ScoredRound, State
from bitagent_validator.weights.messages import Outcome, Request, Result
from bitagent_validator.weights.plan import Verdict
from bitagent_validator.weights.vector import Wanted

ROW = {"a": 65535, "b": 30000}
COMPUTED = Computed({"a": 0.7, "b": 0.3}, Wanted(ROW, ("val-fc-7",)))
SCORED = ScoredRound(round="val-fc-7", epoch=7, block=700, scores={})
Make = Callable[..., Subnet]


class Store:
    def __init__(self) -> None:
        self.state = State(scored={"fc": SCORED})
        self.broken = False

    async def save(self, state: State) -> None:
        if self.broken:
            raise ApiError("away", status=0)
        self.state = state


class Recorder:
    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    async def note(self, reason: str, message: str) -> None:
        self.events.append((reason, message))

    warn = note


class Connection:
    endpoint = "ws://two"
    block_seconds = 12.0
    block = 1000
    pruned = False

    async def head(self) -> int:
        return self.block

    async def timestamp(self, block: int) -> datetime:
        if self.pruned:
            raise ChainUnavailable("state already discarded")
        return datetime(2026, 1, 1, tzinfo=UTC)

    async def weights_extrinsic(self, block: int, *, hotkey: str) -> str:
        return f"{block}-found"


class Stage:
    """A payer among stand-ins, and the requests that it submitted."""

    def __init__(self, spec: ValidatorSpec, monkeypatch: pytest.MonkeyPatch) -> None:
        self.spec = spec
        self.store, self.recorder, self.connection = Store(), Recorder(), Connection()
        self.requests: list[Request] = []
        self.results: list[Result] = []
        self.hold: asyncio.Event | None = None
        """Submissions end when it is set."""
        self.woken = 0
        account = Account("me", Path("/hotkey"))
        self.payer = Payer(account, self.store, self.recorder, Metrics(), changed=self._wake)  # type: ignore[arg-type]
        monkeypatch.setattr(module, "submit", self._submit)

    async def _submit(self, request: Request, *, timeout_seconds: float) -> Result:
        assert self.store.state.pending, "the row is written down before it is sent"
        self.requests.append(request)
        if self.hold:
            await self.hold.wait()
        return self.results.pop(0)

    def _wake(self) -> None:
        self.woken += 1

    async def act(self, subnet: Subnet) -> Verdict:
        verdict = await self.payer.act(self.spec, COMPUTED, subnet, connection=self.connection)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return verdict


@pytest.fixture
def stage(competition: Callable[..., Competition], monkeypatch: pytest.MonkeyPatch) -> Stage:
    spec = ValidatorSpec.model_validate(
        {
            "netuid": 20,
            "chain": {"endpoints": ["ws://one", "ws://two"]},
            "wallet": {"hotkeySecretRef": {"name": "s", "key": "k"}},
            "competitions": [competition().to_wire()],
        }
    )
    return Stage(spec, monkeypatch)


async def test_a_row_that_lands(stage: Stage, subnet: Make) -> None:
    stage.results = [Result(outcome=Outcome.INCLUDED, extrinsic="1001-0002")]
    await stage.act(subnet())
    (request,) = stage.requests
    assert request.weights == {1: 65535, 2: 30000}
    assert (request.endpoint, request.hotkey, request.netuid) == ("ws://two", "me", 20), "the node that was read"
    assert (await stage.act(subnet())).reason is Reason.WEIGHTS_PENDING
    landed = subnet(block=1003, row=ROW, me={"last_update": 1001})
    assert (await stage.act(landed)).current
    accepted = stage.store.state.accepted
    assert stage.store.state.pending is None
    assert accepted
    assert (accepted.block, accepted.extrinsic, accepted.rounds) == (1001, "1001-0002", ("val-fc-7",))
    assert [reason for reason, _ in stage.recorder.events] == ["WeightsSet"]
    await stage.act(landed)
    assert len(stage.requests) == 1


async def test_a_time_out_is_followed_by_looking_not_by_sending(stage: Stage, subnet: Make) -> None:
    stage.results = [Result(outcome=Outcome.TIMED_OUT, message="killed"), Result(outcome=Outcome.INCLUDED)]
    await stage.act(subnet())
    for block in range(1000, 1000 + ERA_BLOCKS + 1):
        verdict = await stage.act(subnet(block=block))
        assert verdict.reason is Reason.SUBMISSION_TIMED_OUT
    assert len(stage.requests) == 1
    await stage.act(subnet(block=1000 + ERA_BLOCKS + 1))
    assert len(stage.requests) == 2, "its transaction has expired without a trace"


async def test_a_time_out_whose_row_landed(stage: Stage, subnet: Make) -> None:
    stage.results = [Result(outcome=Outcome.TIMED_OUT, message="killed")]
    await stage.act(subnet())
    await stage.act(subnet(block=1001))
    assert (await stage.act(subnet(block=1005, row=ROW, me={"last_update": 1002}))).current
    assert stage.store.state.accepted
    assert stage.store.state.accepted.extrinsic == "1002-found"
    assert len(stage.requests) == 1


async def test_a_submission_under_way_is_left_alone(stage: Stage, subnet: Make) -> None:
    """Even when its row shows on the chain first: its end is awaited, and only then is it known how long it may still be signed for."""
    stage.hold, stage.results = asyncio.Event(), [Result(outcome=Outcome.TIMED_OUT, message="killed")] * 2
    await stage.act(subnet())
    verdict = await stage.act(subnet(block=1003, row=ROW, me={"last_update": 1001}))
    assert (verdict.reason, stage.store.state.accepted, stage.woken) == (Reason.WEIGHTS_PENDING, None, 0)
    stage.connection.block = 1020
    stage.hold.set()
    await asyncio.sleep(0.01)
    assert stage.woken == 1, "its end wakes the loop"
    for block in range(1020, 1020 + ERA_BLOCKS + 1):
        stage.connection.block = block
        await stage.act(subnet(block=block))
    assert len(stage.requests) == 1, "it may have been signed as late as block 1020"
    await stage.act(subnet(block=1021 + ERA_BLOCKS))
    assert len(stage.requests) == 2


async def test_stopping_kills_the_submission(stage: Stage, subnet: Make) -> None:
    await stage.payer.stop()
    stage.hold = asyncio.Event()
    await stage.act(subnet())
    await asyncio.wait_for(stage.payer.stop(), 5)
    assert stage.woken == 1
    assert stage.store.state.pending, "the next pod asks the chain what came of it"


async def test_a_row_that_landed_long_ago_is_recognised(stage: Stage, subnet: Make) -> None:
    """The node has forgotten the time of its block."""
    stage.results = [Result(outcome=Outcome.TIMED_OUT, message="killed")]
    await stage.act(subnet())
    stage.connection.pruned = True
    verdict = await stage.act(subnet(block=1301, row=ROW, me={"last_update": 1001}))
    assert verdict.current
    accepted = stage.store.state.accepted
    assert accepted
    assert (accepted.block, accepted.extrinsic) == (1001, "1001")
    assert abs((datetime.now(UTC) - accepted.at).total_seconds() - 3600) < 60


async def test_a_node_that_fails_to_tell_of_a_young_block_is_asked_again(stage: Stage, subnet: Make) -> None:
    stage.results = [Result(outcome=Outcome.INCLUDED)]
    await stage.act(subnet())
    stage.connection.pruned = True
    with pytest.raises(ChainUnavailable):
        await stage.act(subnet(block=1010, row=ROW, me={"last_update": 1001}))
    assert stage.store.state.pending


@pytest.mark.parametrize("mode", [WeightsMode.DRY_RUN, WeightsMode.OFF])
async def test_what_was_stopped_is_settled_when_weights_are_set_again(
    stage: Stage, subnet: Make, mode: WeightsMode
) -> None:
    stage.hold = asyncio.Event()
    setting = stage.spec
    await stage.act(subnet())
    (submission,) = (t for t in asyncio.all_tasks() if "_timed" in repr(t))
    stage.spec = setting.model_copy(update={"weights": Weights(mode=mode)})
    await stage.payer.stop()
    await stage.act(subnet(block=1001))
    assert submission.cancelled()
    assert stage.store.state.pending, "it may have been sent before"
    stage.spec, stage.hold, stage.results = setting, None, [Result(outcome=Outcome.INCLUDED)]
    for block in range(1001, 1001 + ERA_BLOCKS):
        await stage.act(subnet(block=block))
    assert len(stage.requests) == 1
    await stage.act(subnet(block=1001 + ERA_BLOCKS))
    assert len(stage.requests) == 2


async def test_records_of_another_hotkey_or_subnet_do_not_count(stage: Stage, subnet: Make) -> None:
    """On sealed weights they would be taken for this one's, as its own row cannot be read."""
    stage.results = [Result(outcome=Outcome.INCLUDED, extrinsic="1001-0002")] * 2
    await stage.act(subnet(commit_reveal=True))
    await stage.act(subnet(commit_reveal=True, block=1003, me={"last_update": 1001}))
    assert stage.store.state.accepted
    moved = stage.store.state.accepted.model_copy(update={"account": "20/another"})
    stage.store.state = stage.store.state.model_copy(update={"accepted": moved})
    await stage.act(subnet(commit_reveal=True, block=1200, me={"last_update": 1001}))
    assert len(stage.requests) == 2
    assert stage.store.state.pending
    assert stage.store.state.pending.account == "20/me"


async def test_a_row_that_another_hotkey_had_begun_is_not_taken_for_ones_own(stage: Stage, subnet: Make) -> None:
    begun = PendingRow(since=900, row=ROW, rounds=("val-fc-7",), account="20/another")
    stage.store.state = stage.store.state.model_copy(update={"pending": begun})
    stage.results = [Result(outcome=Outcome.INCLUDED)]
    await stage.act(subnet(commit_reveal=True, block=1200, me={"last_update": 950}))
    assert (len(stage.requests), stage.store.state.accepted) == (1, None)


async def test_a_sealed_row_is_not_sent_again(stage: Stage, subnet: Make) -> None:
    stage.results = [Result(outcome=Outcome.INCLUDED, extrinsic="1001-0002")]
    await stage.act(subnet(commit_reveal=True))
    await stage.act(subnet(commit_reveal=True, block=1003, me={"last_update": 1001}))
    verdict = await stage.act(subnet(commit_reveal=True, block=1500, me={"last_update": 1001}))
    assert (verdict.current, len(stage.requests)) == (True, 1)


async def test_a_success_ends_the_backing_off(stage: Stage, subnet: Make) -> None:
    refused, included = Result(outcome=Outcome.REFUSED, message="no"), Result(outcome=Outcome.INCLUDED, extrinsic="x")
    stage.results = [refused, refused, included, refused, included]
    for block in range(1000, 1006):
        await stage.act(subnet(block=block))
    assert len(stage.requests) == 3, "sent at blocks 1000, 1002 and 1005"
    await stage.act(subnet(block=1007, row=ROW, me={"last_update": 1006}))
    for block in (3000, 3001, 3002):
        await stage.act(subnet(block=block, row=ROW, me={"last_update": 1006}))
    assert len(stage.requests) == 5, "refused once more, and tried again after one block of rest"


async def test_what_another_pod_began_is_settled_first(stage: Stage, subnet: Make) -> None:
    first = Stage.act
    stage.results = [Result(outcome=Outcome.INCLUDED)] * 2
    await first(stage, subnet())
    left_behind = stage.store.state
    stage.payer = Payer(Account("me", Path("/hotkey")), stage.store, stage.recorder, Metrics(), changed=lambda: None)  # type: ignore[arg-type]
    assert left_behind.pending
    stage.connection.block = 1050
    for block in (1040, 1050, 1050 + ERA_BLOCKS):
        await stage.act(subnet(block=block))
    assert len(stage.requests) == 1
    await stage.act(subnet(block=1051 + ERA_BLOCKS))
    assert len(stage.requests) == 2


async def test_refusals_back_off(stage: Stage, subnet: Make) -> None:
    refused = Result(outcome=Outcome.REFUSED, code="not_authorized", message="no permit after all")
    stage.results = [refused] * 10
    sent_at = []
    for block in range(1000, 1012):
        before = len(stage.requests)
        verdict = await stage.act(subnet(block=block))
        if len(stage.requests) > before:
            sent_at.append(block)
        else:
            assert verdict.reason is Reason.NO_PERMIT
            assert stage.store.state.pending is None
    # Noted one block after it was sent; then 1, 2 and 4 blocks of rest.
    assert sent_at == [1000, 1002, 1005, 1010]
    assert stage.recorder.events[0] == ("WeightsFailed", "no permit after all")


async def test_what_cannot_be_written_down_is_not_sent(stage: Stage, subnet: Make) -> None:
    stage.store.broken = True
    with pytest.raises(ApiError):
        await stage.act(subnet())
    assert stage.requests == []
    stage.store.broken, stage.results = False, [Result(outcome=Outcome.INCLUDED)]
    await stage.act(subnet())
    assert len(stage.requests) == 1


def test_compute_over_competitions(competition: Callable[..., Competition], subnet: Make) -> None:
    two = [competition(id="x", rewardShare=75), competition(id="y", rewardShare=25), competition(id="z")]

    def scored(name: str, hotkey: str) -> ScoredRound:
        scores = {hotkey: HotkeyScore(score=0.5, registered_at=10)}
        return ScoredRound(round=name, epoch=1, block=100, scores=scores)

    computed = compute(two, scored={"x": scored("r-x", "a"), "y": scored("r-y", "b")}, entrants={}, subnet=subnet())
    assert computed.weights == {"a": 0.75, "b": 0.25}
    assert computed.wanted == Wanted({"a": 65535, "b": 21845}, ("r-x", "r-y"))
    nobody = compute(two, scored={"x": scored("r-x", "gone")}, entrants={}, subnet=subnet())
    assert (nobody.weights, nobody.wanted) == ({}, None)
