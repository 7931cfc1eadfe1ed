"""One hotkey's submissions: what is recorded, and when another may be sent. Chain, API server and process are fakes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.model_result import ResultState
from bitagent_crds.policies import Standing
from bitagent_crds.validator import Competition, ValidatorSpec, Weights, WeightsMode
from bitagent_kube.errors import ApiError
from bitagent_validator.chain.calls import SentRow
from bitagent_validator.chain.connection import ChainUnavailable
from bitagent_validator.chain.facts import Commit, Subnet
from bitagent_validator.metrics import Metrics
from bitagent_validator.policy.eligibility import Standings
from bitagent_validator.policy.interface import Pay
from bitagent_validator.state.documents import State
from bitagent_validator.state.rows import ERA_BLOCKS, Reveal, Row, RowState, Setting, weights_digest
from bitagent_validator.state.scores import HotkeyScore, RoundResult, ScoredRound
from bitagent_validator.wallet import Account
from bitagent_validator.weights import attempts as module
from bitagent_validator.weights.computed import ComputedWeights, compute_weights
from bitagent_validator.weights.plan import Decision, Step
from bitagent_validator.weights.setter import WeightSetter
from bitagent_validator.weights.slots import SecondLook
from bitagent_validator.weights.submit import SubmissionOutcome, SubmissionRequest, SubmissionResult

WEIGHTS = {"a": 65535, "b": 30000}
PLANNED = Row.planned(WEIGHTS, ("val-fc-7",))
COMPUTED = ComputedWeights({"a": 0.7, "b": 0.3}, PLANNED)
SCORED = ScoredRound(round="val-fc-7", epoch=7, block=700, scores={})
HOTKEYS = [
    "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF",
    "5CzRdZLnRxWkyWoGZZbfvSCY4mbw1cmsow5q8cgZyGg1aiDq",
    "5GGoHMU8QJxBDjFfwBYt6XHq2aEee81G69TqtsLS5ZPdp9iq",
]
Make = Callable[..., Subnet]


def succeeded(score: float) -> HotkeyScore:
    return HotkeyScore(registered_at=10, results=(RoundResult(state=ResultState.SUCCEEDED, score=score),))


def standings(scored: dict[str, ScoredRound]) -> dict[str, Standings]:
    return {competition: Standings(round_) for competition, round_ in scored.items()}


class Store:
    def __init__(self) -> None:
        self.state = State(scored={"fc": SCORED})
        self.broken: int | None = None

    async def save(self, state: State) -> None:
        if self.broken:
            raise ApiError(code=self.broken, reason="NoAnswer", message="away")
        self.state = state

    def remember(self, state: State) -> None:
        self.state = state


class Events:
    def __init__(self) -> None:
        self.posted: list[tuple[str, str]] = []
        self.occasions: list[str] = []

    async def normal(self, reason: str, message: str, *, occasion: str = "") -> None:
        self.posted.append((reason, message))
        self.occasions.append(occasion)

    warning = normal


class Connection:
    endpoint = "ws://two"
    url = "ws://two/key"
    genesis = "0x1"
    key = 0
    owned_by: str | None = ""
    sent: tuple[tuple[int, SentRow], ...] = ()
    """Block and content of each row that was sent."""
    block_seconds = 12.0
    block = 1000
    pruned = False
    unread = False
    """Whether it does not return a block with its extrinsics."""

    def __init__(self) -> None:
        self.searched: list[int] = []
        self.not_final = 0

    async def head(self) -> int:
        return self.block

    async def finalized(self) -> int:
        return self.block - self.not_final

    async def timestamp(self, block: int) -> datetime:
        if self.pruned:
            raise ChainUnavailable("state already discarded")
        return datetime(2026, 1, 1, tzinfo=UTC)

    async def version_key(self, netuid: int) -> int:
        return self.key

    async def owner(self, netuid: int) -> str | None:
        return self.owned_by

    async def weights_extrinsic(self, block: int, *, hotkey: str) -> str:
        return f"{block}-found"

    async def sent_rows(self, block: int, *, hotkey: str) -> dict[str, SentRow]:
        self.searched.append(block)
        if self.unread:
            raise ChainUnavailable("an extrinsic of an unknown form")
        return {f"{block}-0009": row for at, row in self.sent if at == block}


class Stage:
    """A weight setter among fakes, and the requests that it submitted."""

    def __init__(self, spec: ValidatorSpec, monkeypatch: pytest.MonkeyPatch) -> None:
        self.spec = spec
        self.store, self.events, self.connection = Store(), Events(), Connection()
        self.requests: list[SubmissionRequest] = []
        self.results: list[SubmissionResult] = []
        self.hold: asyncio.Event | None = None
        """Submissions end when it is set."""
        self.slots: list[dict[str, int]] = []
        """What other endpoints say about who holds which slot."""
        self.asked = 0
        self.woken = 0
        self.start()
        monkeypatch.setattr(module, "submit", self._submit)

    def start(self) -> None:
        """Start the pod."""
        fakes: tuple[Any, Any] = (self.store, self.events)
        account, look = Account("me", Path("/hotkey")), SecondLook(elsewhere=self._elsewhere)
        self.setter = WeightSetter(account, *fakes, Metrics(), changed=self._wake, slots=look)

    async def _submit(self, request: SubmissionRequest, *, timeout_seconds: float) -> SubmissionResult:
        assert self.store.state.pending.get(0), "the row is recorded before it is sent"
        self.requests.append(request)
        if self.hold:
            await self.hold.wait()
        return self.results.pop(0)

    def _wake(self) -> None:
        self.woken += 1

    async def _elsewhere(self, urls: Sequence[str], **at: Any) -> list[dict[str, int]]:
        assert at.keys() == {"genesis", "netuid", "hotkey", "block"}
        self.asked += 1
        return self.slots

    async def step(
        self, subnet: Subnet, computed: ComputedWeights = COMPUTED, *, others: Sequence[str] = ()
    ) -> Decision:
        chain: Any = self.connection
        decision = await self.setter.step(self.spec, computed, subnet, connection=chain, others=others)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return decision


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
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.INCLUDED, extrinsic="1001-0002")]
    await stage.step(subnet())
    (request,) = stage.requests
    assert request.weights == {1: 65535, 2: 30000}
    assert (request.endpoint, request.hotkey, request.netuid) == ("ws://two/key", "me", 20), "the node that was read"
    assert (await stage.step(subnet())).reason is Reason.WEIGHTS_PENDING
    landed = subnet(block=1003, weights=WEIGHTS, me={"last_update": 1001})
    assert (await stage.step(landed)).current
    accepted = stage.store.state.accepted.get(0)
    assert stage.store.state.pending.get(0) is None
    assert accepted
    assert (accepted.block, accepted.extrinsic, accepted.rounds) == (1001, "1001-0002", ("val-fc-7",))
    assert accepted.state is RowState.ACCEPTED
    assert [reason for reason, _ in stage.events.posted] == ["WeightsSet"]
    await stage.step(landed)
    assert len(stage.requests) == 1


async def test_a_time_out_is_followed_by_looking_not_by_sending(stage: Stage, subnet: Make) -> None:
    stage.results = [
        SubmissionResult(outcome=SubmissionOutcome.TIMED_OUT, message="killed", signed=1000),
        SubmissionResult(outcome=SubmissionOutcome.INCLUDED),
    ]
    await stage.step(subnet())
    for block in range(1000, 1000 + ERA_BLOCKS + 1):
        decision = await stage.step(subnet(block=block))
        assert decision.reason is Reason.SUBMISSION_TIMED_OUT
    assert len(stage.requests) == 1
    await stage.step(subnet(block=1000 + ERA_BLOCKS + 1))
    assert len(stage.requests) == 2, "its transaction has expired without a trace"


async def test_a_time_out_whose_row_landed(stage: Stage, subnet: Make) -> None:
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.TIMED_OUT, message="killed", signed=1000)]
    await stage.step(subnet())
    await stage.step(subnet(block=1001))
    assert (await stage.step(subnet(block=1005, weights=WEIGHTS, me={"last_update": 1002}))).current
    assert stage.store.state.accepted.get(0)
    assert stage.store.state.accepted[0].extrinsic == "1002-found"
    assert len(stage.requests) == 1


async def test_a_submission_under_way_is_left_alone(stage: Stage, subnet: Make) -> None:
    """Even if its row is on the chain first: only at its end is it known until when it may have been signed."""
    stage.hold, stage.results = (
        asyncio.Event(),
        [SubmissionResult(outcome=SubmissionOutcome.TIMED_OUT, message="killed", signed=1000)] * 2,
    )
    await stage.step(subnet())
    decision = await stage.step(subnet(block=1003, weights=WEIGHTS, me={"last_update": 1001}))
    assert (decision.reason, stage.store.state.accepted.get(0), stage.woken) == (Reason.WEIGHTS_PENDING, None, 0)
    stage.connection.block = 1020
    stage.hold.set()
    await asyncio.sleep(0.01)
    assert stage.woken == 1, "its end wakes the loop"
    for block in range(1020, 1020 + ERA_BLOCKS + 1):
        stage.connection.block = block
        await stage.step(subnet(block=block))
    assert len(stage.requests) == 1, "it may have been signed as late as block 1020"
    await stage.step(subnet(block=1021 + ERA_BLOCKS))
    assert len(stage.requests) == 2


async def test_stopping_kills_the_submission(stage: Stage, subnet: Make) -> None:
    await stage.setter.stop()
    stage.hold = asyncio.Event()
    await stage.step(subnet())
    await asyncio.wait_for(stage.setter.stop(), 60)
    assert stage.woken == 1
    assert stage.store.state.pending.get(0), "the next pod asks the chain what came of it"


async def test_a_row_that_landed_long_ago_is_recognised(stage: Stage, subnet: Make) -> None:
    """The node has forgotten the time of its block."""
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.TIMED_OUT, message="killed", signed=1000)]
    await stage.step(subnet())
    stage.connection.pruned = True
    decision = await stage.step(subnet(block=1301, weights=WEIGHTS, me={"last_update": 1001}))
    assert decision.current
    accepted = stage.store.state.accepted.get(0)
    assert accepted
    assert (accepted.block, accepted.extrinsic) == (1001, "1001")
    assert abs((datetime.now(UTC) - accepted.at).total_seconds() - 3600) < 60


async def test_a_node_that_cannot_read_a_young_block_is_asked_again(stage: Stage, subnet: Make) -> None:
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.INCLUDED)]
    await stage.step(subnet())
    stage.connection.pruned = True
    with pytest.raises(ChainUnavailable):
        await stage.step(subnet(block=1010, weights=WEIGHTS, me={"last_update": 1001}))
    assert stage.store.state.pending.get(0)


@pytest.mark.parametrize("mode", [WeightsMode.DRY_RUN, WeightsMode.OFF])
async def test_what_was_stopped_is_settled_when_weights_are_set_again(
    stage: Stage, subnet: Make, mode: WeightsMode
) -> None:
    stage.hold = asyncio.Event()
    setting = stage.spec
    await stage.step(subnet())
    (submission,) = (t for t in asyncio.all_tasks() if "_timed" in repr(t))
    stage.spec = setting.model_copy(update={"weights": Weights(mode=mode)})
    await stage.setter.stop()
    await stage.step(subnet(block=1001))
    assert submission.cancelled()
    assert stage.store.state.pending.get(0), "it may have been sent before"
    stage.spec, stage.hold, stage.results = setting, None, [SubmissionResult(outcome=SubmissionOutcome.INCLUDED)]
    for block in range(1001, 1002 + ERA_BLOCKS):
        await stage.step(subnet(block=block))
    assert len(stage.requests) == 1
    await stage.step(subnet(block=1002 + ERA_BLOCKS))
    assert len(stage.requests) == 2


async def test_records_of_another_hotkey_or_subnet_do_not_count(stage: Stage, subnet: Make) -> None:
    """On sealed weights they would be taken for this one's, as its own row cannot be read."""
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.INCLUDED, extrinsic="1001-0002")] * 2
    await stage.step(subnet(commit_reveal=True))
    await stage.step(subnet(commit_reveal=True, block=1003, me={"last_update": 1001}))
    assert stage.store.state.accepted.get(0)
    moved = stage.store.state.accepted[0].model_copy(update={"account": "20/another"})
    stage.store.state = stage.store.state.with_accepted(0, moved)
    await stage.step(subnet(commit_reveal=True, block=1200, me={"last_update": 1001}))
    assert len(stage.requests) == 2
    assert stage.store.state.pending.get(0)
    assert stage.store.state.pending[0].account == "20/me"


async def test_a_pending_row_of_another_hotkey_does_not_count(stage: Stage, subnet: Make) -> None:
    begun = PLANNED.as_pending(since=900, account="20/another", uids={"a": 1, "b": 2})
    stage.store.state = stage.store.state.with_pending(0, begun)
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.INCLUDED)]
    await stage.step(subnet(commit_reveal=True, block=1200, me={"last_update": 950}))
    assert (len(stage.requests), stage.store.state.accepted.get(0)) == (1, None)


async def test_a_sealed_row_is_not_sent_again(stage: Stage, subnet: Make) -> None:
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.INCLUDED, extrinsic="1001-0002")]
    await stage.step(subnet(commit_reveal=True))
    await stage.step(subnet(commit_reveal=True, block=1003, me={"last_update": 1001}))
    decision = await stage.step(subnet(commit_reveal=True, block=1500, me={"last_update": 1001}))
    assert (decision.reason, decision.current, len(stage.requests)) == (Reason.REVEAL_PENDING, False, 1)


async def test_a_success_ends_the_backing_off(stage: Stage, subnet: Make) -> None:
    refused, included = (
        SubmissionResult(outcome=SubmissionOutcome.REFUSED, message="no"),
        SubmissionResult(outcome=SubmissionOutcome.INCLUDED, extrinsic="x"),
    )
    stage.results = [refused, refused, included, refused, included]
    for block in range(1000, 1006):
        await stage.step(subnet(block=block))
    assert len(stage.requests) == 3, "sent at blocks 1000, 1002 and 1005"
    await stage.step(subnet(block=1007, weights=WEIGHTS, me={"last_update": 1006}))
    for block in (3000, 3001, 3002):
        await stage.step(subnet(block=block, weights=WEIGHTS, me={"last_update": 1006}))
    assert len(stage.requests) == 5, "refused once more, and tried again after one block of rest"


async def test_what_another_pod_began_is_settled_first(stage: Stage, subnet: Make) -> None:
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.INCLUDED)] * 2
    await stage.step(subnet())
    left_behind = stage.store.state
    stage.start()
    assert left_behind.pending.get(0)
    stage.connection.block = 1050
    for block in (1040, 1050, 1050 + ERA_BLOCKS):
        await stage.step(subnet(block=block))
    assert len(stage.requests) == 1
    await stage.step(subnet(block=1051 + ERA_BLOCKS))
    assert len(stage.requests) == 2


async def test_refusals_back_off(stage: Stage, subnet: Make) -> None:
    refused = SubmissionResult(outcome=SubmissionOutcome.REFUSED, code="not_authorized", message="no permit after all")
    stage.results = [refused] * 10
    sent_at = []
    for block in range(1000, 1012):
        before = len(stage.requests)
        decision = await stage.step(subnet(block=block))
        if len(stage.requests) > before:
            sent_at.append(block)
        else:
            assert decision.reason is Reason.NO_PERMIT
            assert stage.store.state.pending.get(0) is None
    # Noted one block after it was sent; then 1, 2 and 4 blocks of rest.
    assert sent_at == [1000, 1002, 1005, 1010]
    assert stage.events.posted[0] == ("WeightsFailed", "no permit after all")
    assert len(set(stage.events.occasions)) == len(stage.events.occasions) > 1, "each failure is an Event of its own"


async def test_what_cannot_be_recorded_is_not_sent(stage: Stage, subnet: Make) -> None:
    stage.store.broken = 503
    with pytest.raises(ApiError):
        await stage.step(subnet())
    assert stage.requests == []
    stage.store.broken, stage.results = None, [SubmissionResult(outcome=SubmissionOutcome.INCLUDED)]
    await stage.step(subnet())
    assert len(stage.requests) == 1


def test_compute_over_competitions(competition: Callable[..., Competition], subnet: Make) -> None:
    two = [competition(id="x", rewardShare=75), competition(id="y", rewardShare=25), competition(id="z")]

    def scored(name: str, hotkey: str) -> ScoredRound:
        scores = {hotkey: succeeded(0.5)}
        return ScoredRound(round=name, epoch=1, block=100, scores=scores)

    rounds = {"x": scored("r-x", "a"), "y": scored("r-y", "b")}
    computed = compute_weights(two, standings=standings(rounds), subnet=subnet())
    assert computed.shares == {"a": 0.75, "b": 0.25}
    assert computed.row == Row.planned({"a": 65535, "b": 21845}, ("r-x", "r-y"))
    empty = compute_weights(two, standings=standings({"x": scored("r-x", "gone")}), subnet=subnet())
    assert (empty.shares, empty.row, empty.policy_problem) == ({}, None, "")


@pytest.mark.parametrize("complete", [("x",), ("x", "y"), ()])
async def test_an_unknown_policy_stops_all_weights(
    stage: Stage, competition: Callable[..., Competition], subnet: Make, complete: tuple[str, ...]
) -> None:
    """Whether or not its competition has a complete round: its part must not go to the others."""
    two = [competition(id="x", rewardShare=75), competition(id="y", rewardShare=25, policy="Unheard")]
    scores = {"a": succeeded(0.5)}
    rounds = {name: ScoredRound(round=f"r-{name}", epoch=1, block=100, scores=scores) for name in complete}
    computed = compute_weights(two, standings=standings(rounds), subnet=subnet())
    assert (computed.shares, computed.row) == ({}, None)
    decision = await stage.step(subnet(), computed)
    assert (decision.reason, decision.current, stage.requests) == (Reason.POLICY_UNAVAILABLE, False, [])
    assert "Unheard" in decision.message
    assert "BitAgent" in decision.message, "the known names are listed"


def test_fixed_shares_need_no_round(competition: Callable[..., Competition], subnet: Make) -> None:
    shares = [
        {"hotkey": HOTKEYS[0], "share": 3},
        {"hotkey": HOTKEYS[1], "share": 1},
        {"hotkey": HOTKEYS[2], "share": 4},
    ]
    one = competition(policy="Fixed", policyParameters={"fixed": {"shares": shares}})
    neurons = {h: replace(subnet().neurons["a"], hotkey=h) for h in HOTKEYS[:2]}
    computed = compute_weights([one], standings={}, subnet=subnet(neurons=neurons))
    assert computed.shares == {HOTKEYS[0]: 0.75, HOTKEYS[1]: 0.25}
    assert computed.row == Row.planned({HOTKEYS[0]: 65535, HOTKEYS[1]: 21845}, ())
    assert computed.row.source == "the fixed weights"


async def test_settings_are_remembered_for_people(stage: Stage, subnet: Make) -> None:
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.INCLUDED, extrinsic="1001-0002", signed=1000)]
    await stage.step(subnet())
    await stage.step(subnet(block=1003, weights=WEIGHTS, me={"last_update": 1001}))
    (setting,) = stage.store.state.history
    assert (setting.block, setting.hotkeys, setting.extrinsic, setting.change) == (1001, 2, "1001-0002", 0.0)


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(SubmissionResult(outcome=SubmissionOutcome.TIMED_OUT, message="killed"), id="killed unsigned"),
        pytest.param(SubmissionResult(outcome=SubmissionOutcome.UNKNOWN, message="crashed"), id="ended unsigned"),
        pytest.param(SubmissionResult(outcome=SubmissionOutcome.REFUSED, error="Stale", code="expired"), id="stale"),
    ],
)
async def test_what_was_not_signed_is_sent_again_at_once(stage: Stage, subnet: Make, result: SubmissionResult) -> None:
    stage.results = [result, SubmissionResult(outcome=SubmissionOutcome.INCLUDED, signed=1002)]
    await stage.step(subnet())
    await stage.step(subnet(block=1001))
    assert stage.store.state.pending.get(0) is None, "nothing can land"
    await stage.step(subnet(block=1002))
    assert len(stage.requests) == 2


async def test_the_life_of_a_transaction_is_reckoned_from_its_signature(stage: Stage, subnet: Make) -> None:
    """The node that is asked afterwards is behind the one that took the row."""
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.UNKNOWN, signed=1040, commit="0xours")] * 2
    await stage.step(subnet(block=1040))
    stage.connection.block = 1000
    await stage.step(subnet(block=1041))
    assert stage.store.state.pending[0].commit == "0xours"
    for block in range(1041, 1041 + ERA_BLOCKS):
        await stage.step(subnet(block=block))
    assert len(stage.requests) == 1
    await stage.step(subnet(block=1041 + ERA_BLOCKS))
    assert len(stage.requests) == 2


@pytest.mark.parametrize("code", [401, 408, 409, 429, 500], ids=str)
async def test_a_record_that_may_be_taken_later_comes_first(stage: Stage, subnet: Make, code: int) -> None:
    stage.store.broken = code
    with pytest.raises(ApiError):
        await stage.step(subnet())
    assert stage.requests == []


@pytest.mark.parametrize("code", [422, 403, 413])
async def test_a_record_that_is_refused_does_not_stop_a_setting(stage: Stage, subnet: Make, code: int) -> None:
    stage.store.broken = code
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.INCLUDED, signed=1000, extrinsic="x")]
    await stage.step(subnet())
    assert len(stage.requests) == 1
    await stage.step(subnet(block=1003, weights=WEIGHTS, me={"last_update": 1001}))
    assert stage.store.state.accepted[0].block == 1001


async def test_the_version_key_is_read_right_before_each_setting(stage: Stage, subnet: Make) -> None:
    stage.connection.key = 7
    decision = await stage.step(subnet())
    assert (decision.reason, stage.requests) == (Reason.VERSION_KEY_TOO_LOW, [])
    follows = stage.spec.model_copy(update={"weights": Weights(follow_version_key_up_to=9)})
    stage.spec, stage.results = follows, [SubmissionResult(outcome=SubmissionOutcome.INCLUDED, signed=1)]
    await stage.step(subnet(version_key=7))
    assert stage.requests[0].version_key == 7


@pytest.mark.parametrize("known", ["b", None], ids=["the same", "the runtime does not say it there"])
async def test_the_owner_is_read_right_before_each_setting(stage: Stage, subnet: Make, known: str | None) -> None:
    row = COMPUTED.row
    assert row
    burnt = replace(COMPUTED, row=Row.planned(row.weights, row.rounds, {"b": 1}))
    stage.connection.owned_by = "another"
    await stage.step(subnet(owner_hotkey="b"), burnt)
    assert stage.requests == []
    stage.connection.owned_by = known
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.INCLUDED, signed=1)]
    await stage.step(subnet(owner_hotkey="b"), burnt)
    assert len(stage.requests) == 1


async def test_a_kept_row_burns_for_the_owner_of_now(stage: Stage, subnet: Make, neuron: Make) -> None:
    """The owner has changed since the row was set, and there is no new row."""
    row = COMPUTED.row
    assert row
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.INCLUDED, extrinsic="1001-0002", signed=1000)] * 2
    stage.connection.owned_by = "b"
    burnt = replace(COMPUTED, row=Row.planned({"a": 100, "b": 65535}, row.rounds, {"b": 65535}))
    await stage.step(subnet(owner_hotkey="b"), burnt)
    neurons = subnet(me={"last_update": 1001}).neurons | {"own": neuron("own", uid=3)}
    facts = subnet(block=1200, neurons=neurons, weights={"a": 100, "b": 65535}, owner_hotkey="own")
    stage.connection.owned_by, stage.connection.block = "another", 1200
    none = ComputedWeights({}, None, policy_problem="no policy X")
    await stage.step(facts, none)
    assert (len(stage.requests), stage.store.state.accepted[0].burnt) == (1, {"b": 65535})
    stage.connection.owned_by = "own"
    decision = await stage.step(facts, none)
    assert (decision.reason, stage.requests[1].weights) == (Reason.LAST_WEIGHTS_KEPT, {1: 100, 3: 65535})
    assert stage.store.state.pending[0].burnt == {"own": 65535}


async def test_a_sealed_row_that_was_dropped_is_counted_and_set_again(stage: Stage, subnet: Make) -> None:
    included = SubmissionResult(outcome=SubmissionOutcome.INCLUDED, extrinsic="1001-0002", signed=1000, commit="0x1")
    stage.results = [included, included]
    await stage.step(subnet(commit_reveal=True, epoch=7))
    await stage.step(subnet(commit_reveal=True, epoch=7, block=1003, me={"last_update": 1001}, commits=()))
    ours = (Commit(epoch=7, block=1001, digest="0x1"),)
    await stage.step(subnet(commit_reveal=True, epoch=7, block=1003, me={"last_update": 1001}, commits=ours))
    assert stage.store.state.accepted[0].reveal is Reveal.PENDING
    await stage.step(subnet(commit_reveal=True, epoch=8, block=1200, me={"last_update": 1001}))
    assert len(stage.requests) == 1
    await stage.step(subnet(commit_reveal=True, epoch=9, block=1400, me={"last_update": 1001}))
    assert len(stage.requests) == 2
    assert [s.missed for s in stage.store.state.history] == [True]
    assert "RevealMissed" in [reason for reason, _ in stage.events.posted]


async def test_a_sealed_row_that_was_revealed_is_recorded(stage: Stage, subnet: Make) -> None:
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.INCLUDED, extrinsic="x", signed=1000, commit="0x1")]
    await stage.step(subnet(commit_reveal=True, epoch=7))
    ours = (Commit(epoch=7, block=1001, digest="0x1"),)
    await stage.step(subnet(commit_reveal=True, epoch=7, block=1003, me={"last_update": 1001}, commits=ours))
    shown = subnet(commit_reveal=True, epoch=8, block=1200, me={"last_update": 1001}, weights=WEIGHTS)
    decision = await stage.step(shown)
    assert (decision.reason, decision.current) == (Reason.WEIGHTS_SET, True)
    assert stage.store.state.accepted[0].reveal is Reveal.REVEALED


async def test_each_mechanism_has_rows_of_its_own(stage: Stage, subnet: Make) -> None:
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.INCLUDED, extrinsic="x", signed=1000)] * 2
    fakes: tuple[Any, Any] = (stage.store, stage.events)
    other = WeightSetter(Account("me", Path("/hotkey")), *fakes, Metrics(), changed=stage._wake, mechanism=3)
    await stage.step(subnet())
    stage.setter = other
    await stage.step(subnet())
    assert [request.mechanism for request in stage.requests] == [0, 3]
    assert set(stage.store.state.pending) == {0, 3}


async def test_turns_are_taken_one_by_one(stage: Stage, subnet: Make) -> None:
    """Two rows of one hotkey that are signed at once have the same nonce."""
    held: list[str] = []

    class Turns:
        @asynccontextmanager
        async def turn(self) -> AsyncIterator[None]:
            held.append("taken")
            yield
            held.append("given back")

    fakes: tuple[Any, Any] = (stage.store, stage.events)
    turns: Any = Turns()
    stage.setter = WeightSetter(Account("me", Path("/hotkey")), *fakes, Metrics(), changed=stage._wake, turns=turns)
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.INCLUDED, signed=1000)]
    await stage.step(subnet())
    await asyncio.sleep(0.01)
    assert held == ["taken", "given back"]


@pytest.mark.parametrize("up_to", [0, 9])
async def test_the_newest_version_key_is_followed(stage: Stage, subnet: Make, up_to: int) -> None:
    """A sealed row with the key of the block that was read would be dropped at its reveal, an epoch later."""
    stage.spec = with_weights(stage.spec, version_key=3, follow_version_key_up_to=up_to)
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.INCLUDED)]
    stage.connection.key = 4
    await stage.step(subnet(version_key=3))
    assert [request.version_key for request in stage.requests] == ([4] if up_to else [])


async def test_without_a_record_the_guard_compares_with_the_chain(stage: Stage, subnet: Make) -> None:
    stage.spec = with_weights(stage.spec, guard={"maximumChangePercent": 20})
    decision = await stage.step(subnet(weights={"a": 1, "b": 65535}))
    assert (decision.reason, stage.requests) == (Reason.GUARD_HELD, [])


def with_weights(spec: ValidatorSpec, **changes: Any) -> ValidatorSpec:
    return spec.model_copy(update={"weights": Weights.model_validate(changes)})


HELD = {"fc": {"b": 65535}}


@pytest.mark.parametrize(
    ("restart", "later", "held"),
    [
        pytest.param(False, False, {"fc": {"a": 65535}}, id="the row is set"),
        pytest.param(False, True, {"fc": {"a": 65535}}, id="the shares have changed since"),
        pytest.param(True, False, {"fc": {"a": 65535}}, id="set by the process before"),
        pytest.param(True, True, HELD, id="set by the process before, and the shares have changed since"),
    ],
)
async def test_what_is_held_was_paid(stage: Stage, subnet: Make, restart: bool, later: bool, held: Any) -> None:
    stage.store.state = stage.store.state.model_copy(update={"held": HELD})
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.INCLUDED)]
    one = ComputedWeights({"a": 1.0}, Row.planned({"a": 65535}, ("r",)), pay=paying("a"))
    other = ComputedWeights({"b": 1.0}, Row.planned({"b": 65535}, ("s",)), pay=paying("c"))
    await stage.step(subnet(), one)
    if restart:
        stage.start()
    await stage.step(subnet(block=1003, weights={"a": 65535}, me={"last_update": 1001}), other if later else one)
    assert stage.store.state.accepted[0].weights == {"a": 65535}
    assert stage.store.state.held == held


async def test_what_the_guard_held_is_not_called_paid(stage: Stage, subnet: Make) -> None:
    """The last row is set again meanwhile; its end says nothing about the shares that wait for a person."""
    stage.spec = with_weights(stage.spec, guard={"maximumChangePercent": 20})
    last = Row.planned({"b": 65535}, ("r",)).as_pending(since=99, account="20/me", uids={"b": 2})
    last = last.as_accepted(block=100, at=datetime(2026, 1, 1, tzinfo=UTC), extrinsic="x")
    stage.store.state = stage.store.state.model_copy(update={"held": HELD, "accepted": {0: last}})
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.INCLUDED)]
    computed = ComputedWeights({"a": 1.0}, Row.planned({"a": 65535}, ("s",)), pay=paying("a"))
    await stage.step(subnet(block=1900, weights={"b": 65535}, me={"last_update": 100}), computed)
    assert [request.weights for request in stage.requests] == [{2: 65535}]
    await stage.step(subnet(block=1903, weights={"b": 65535}, me={"last_update": 1901}), computed)
    assert stage.store.state.accepted[0].block == 1901
    assert stage.store.state.held == HELD


async def test_a_sealed_row_of_a_killed_process_is_known_by_its_block(stage: Stage, subnet: Make) -> None:
    """It said no hash. Without one, the row would be given up while the chain still holds it sealed."""
    stage.hold, stage.results = asyncio.Event(), [SubmissionResult(outcome=SubmissionOutcome.INCLUDED)]
    await stage.step(subnet(commit_reveal=True))
    stage.start()
    sealed = Commit(epoch=8, block=1001, digest="0xab")
    facts = {"commit_reveal": True, "me": {"last_update": 1001}, "commits": (sealed,)}
    await stage.step(subnet(block=1003, epoch=8, **facts))
    accepted = stage.store.state.accepted[0]
    assert (accepted.commit, accepted.reveal) == ("0xab", Reveal.PENDING)
    assert accepted.epoch == 8, "that in which the chain has put it, not the one of the decision"
    decision = await stage.step(subnet(block=1200, epoch=9, **facts))
    assert decision.reason is Reason.REVEAL_PENDING
    stage.hold.set()


def paying(hotkey: str) -> dict[str, dict[str, Pay]]:
    return {"fc": {hotkey: Pay(Standing.PAID, 1.0)}}


@pytest.mark.parametrize(("extrinsic", "reason"), [("1001-0002", Reason.REVEAL_MISSED), ("", Reason.FOREIGN_WEIGHTS)])
async def test_a_sealed_row_that_was_dropped_before_it_was_seen_is_no_other_process(
    stage: Stage, subnet: Make, extrinsic: str, reason: Reason
) -> None:
    """It was sent at the end of an epoch, and is neither sealed nor readable at the next look."""
    landed = SubmissionResult(outcome=SubmissionOutcome.INCLUDED, extrinsic=extrinsic, signed=1000, commit="0x1")
    stage.results = [landed]
    await stage.step(subnet(commit_reveal=True, epoch=7))
    decision = await stage.step(subnet(block=1003, commit_reveal=True, epoch=9, me={"last_update": 1001}))
    if extrinsic:
        assert decision.reason is Reason.REVEAL_MISSED
        assert "the chain did not apply" in decision.message
        stage.results = [landed]
        decision = await stage.step(subnet(block=1101, commit_reveal=True, epoch=9, me={"last_update": 1001}))
        assert len(stage.requests) == 2
    assert decision.reason is reason


@pytest.mark.parametrize(
    ("commit", "mechanism", "block", "searched", "accepted"),
    [
        pytest.param("0xd1", 0, 1041, [1020], True, id="its commit was in that block"),
        pytest.param("0xd2", 0, 1041, [1020], False, id="another process's was"),
        pytest.param("0xd1", 1, 1041, [1020], False, id="it was of another mechanism"),
        pytest.param("0xd1", 0, 1220, [], False, id="the node has forgotten that block"),
    ],
)
async def test_a_sealed_row_that_was_dropped_unseen_is_searched_in_its_block(
    stage: Stage, subnet: Make, commit: str, mechanism: int, block: int, searched: list[int], accepted: bool
) -> None:
    """It was killed before it said in which block it is; its epoch ended before the next look."""
    killed = SubmissionResult(outcome=SubmissionOutcome.TIMED_OUT, message="killed", signed=1010, commit="0xd1")
    stage.results = [killed, killed]
    await stage.step(subnet(commit_reveal=True, epoch=3))
    stage.connection.sent = ((1020, SentRow(mechanism, commit=commit)),)
    for _ in range(2):
        await stage.step(subnet(block=block, commit_reveal=True, epoch=4, me={"last_update": 1020}))
    assert (stage.connection.searched, bool(stage.store.state.accepted)) == (searched, accepted)


@pytest.mark.parametrize(
    ("signed", "accepted"),
    [
        pytest.param({1: 65535, 2: 30000}, True, id="this row"),
        pytest.param({1: 65535, 2: 40000}, False, id="another process's"),
        pytest.param({}, False, id="none"),
    ],
)
async def test_an_open_row_is_known_by_its_block_when_a_slot_changed_hands_since(
    stage: Stage, subnet: Make, signed: dict[int, int], accepted: bool
) -> None:
    """Its process was killed, and the chain has taken the weight of the slot out of the row before it was seen."""
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.TIMED_OUT, message="killed", signed=1000)] * 2
    await stage.step(subnet())
    stage.connection.sent = ((1020, SentRow(0, signed)),)
    facts = {"neurons": {**subnet(me={"last_update": 1020}).neurons, "a": replace(subnet().neurons["a"], uid=7)}}
    decision = await stage.step(subnet(block=1023, uid_weights={2: 30000}, weights={"b": 30000}, **facts))
    assert bool(stage.store.state.accepted) is accepted
    assert (decision.reason is Reason.FOREIGN_WEIGHTS) is not accepted


async def test_a_row_that_was_sealed_as_sealing_ended_counts_as_sealed(stage: Stage, subnet: Make) -> None:
    """The chain still opens it, and its opening is then no other process's."""
    killed = SubmissionResult(outcome=SubmissionOutcome.TIMED_OUT, message="killed", signed=1000, commit="0xd1")
    stage.results = [killed, SubmissionResult(outcome=SubmissionOutcome.INCLUDED)]
    await stage.step(subnet(commit_reveal=True, epoch=3))
    stage.connection.sent = ((1020, SentRow(0, commit="0xd1")),)
    await stage.step(subnet(block=1023, me={"last_update": 1020}))
    accepted = stage.store.state.accepted[0]
    assert (accepted.block, accepted.reveal) == (1020, Reveal.PENDING)


async def test_a_block_that_no_endpoint_returns_is_named_and_tried_again(stage: Stage, subnet: Make) -> None:
    """Each endpoint is asked once; then the pass continues, and the row is neither given up nor sent again."""
    killed = SubmissionResult(outcome=SubmissionOutcome.TIMED_OUT, message="killed", signed=1010, commit="0xd1")
    stage.results = [killed]
    await stage.step(subnet(commit_reveal=True, epoch=3))
    stage.connection.sent, stage.connection.unread = ((1020, SentRow(0, commit="0xd1")),), True

    def at(block: int) -> Subnet:
        found: Subnet = subnet(block=block, commit_reveal=True, epoch=4, me={"last_update": 1020})
        return found

    for url in ("ws://one", "ws://two"):
        stage.connection.url = url
        with pytest.raises(ChainUnavailable):
            await stage.step(at(1025))
    for block in (1026, 1034, 1035 + ERA_BLOCKS):
        decision = await stage.step(at(block))
        assert (decision.step, decision.reason) == (Step.WAIT, Reason.CHAIN_UNREACHABLE)
    assert (stage.connection.searched, len(stage.requests)) == ([1020] * 3, 1)
    stage.connection.unread = False
    await stage.step(at(1046 + ERA_BLOCKS))
    assert stage.store.state.accepted[0].block == 1020


async def test_a_sealed_row_that_the_chain_opens_late_is_its_own(stage: Stage, subnet: Make) -> None:
    """The owner ended commit-reveal before it was opened, and a row was set openly meanwhile."""
    late = {"b": 65535}
    at = datetime(2026, 1, 1, tzinfo=UTC)
    setting = Setting(
        block=900, at=at, hotkeys=1, digest=weights_digest(late), extrinsic="900-0001", reveal=Reveal.PENDING
    )
    sent = Row.planned({"a": 65535}, ("r",)).as_pending(since=949, account="20/me", uids={"a": 1})
    accepted = sent.as_accepted(block=950, at=at, extrinsic="950-0001")
    stage.store.state = stage.store.state.with_accepted(0, accepted).with_setting(setting)
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.INCLUDED)]
    await stage.step(subnet(weights=late, me={"last_update": 1000}, block=1200))
    assert len(stage.requests) == 1


OURS = {"me": 0, "a": 1, "b": 2}
THEIRS = {"me": 0, "a": 2, "b": 1}


@pytest.mark.parametrize(
    "slots",
    [
        pytest.param([OURS], id="another says the same"),
        pytest.param([THEIRS, OURS], id="one of two says the same"),
        pytest.param([], id="no other answers"),
        pytest.param([{"a": 1, "b": 2}], id="only paid slots are compared"),
    ],
)
async def test_a_row_is_sent_unless_others_have_its_slots_otherwise(stage: Stage, subnet: Make, slots: Any) -> None:
    stage.slots, stage.results = slots, [SubmissionResult(outcome=SubmissionOutcome.INCLUDED)]
    await stage.step(subnet(), others=["ws://one"])
    assert (stage.asked, len(stage.requests)) == (1, 1)


async def test_a_row_whose_slots_another_endpoint_contradicts_waits(stage: Stage, subnet: Make) -> None:
    """Until they agree again, or until half of the activity cutoff has passed."""
    stage.slots, stage.results = [THEIRS], [SubmissionResult(outcome=SubmissionOutcome.INCLUDED)] * 2
    messages = set()
    for block in (1000, 1001, 1009, 1010, 3499):
        decision = await stage.step(subnet(block=block), others=["ws://one"])
        assert (decision.step, decision.reason) == (Step.WAIT, Reason.CHAIN_CONTRADICTED)
        messages.add(decision.message)
    assert (len(messages), stage.asked, stage.requests) == (1, 3, [])
    await stage.step(subnet(block=3500), others=["ws://one"])
    assert len(stage.requests) == 1


async def test_a_contradiction_that_ends_is_forgotten(stage: Stage, subnet: Make) -> None:
    stage.slots, stage.results = [THEIRS], [SubmissionResult(outcome=SubmissionOutcome.INCLUDED)]
    await stage.step(subnet(), others=["ws://one"])
    stage.slots = [OURS]
    await stage.step(subnet(block=1010), others=["ws://one"])
    assert len(stage.requests) == 1


async def test_an_endpoint_against_which_two_others_agree_is_left(stage: Stage, subnet: Make) -> None:
    stage.slots = [THEIRS, THEIRS]
    with pytest.raises(ChainUnavailable) as raised:
        await stage.step(subnet(), others=["ws://one", "ws://three"])
    assert raised.value.reason is Reason.CHAIN_CONTRADICTED
    assert stage.requests == []


async def test_an_endpoint_that_lost_a_row_is_left_for_another(stage: Stage, subnet: Make) -> None:
    """It takes transactions and passes none on, and reads like any other."""
    killed = SubmissionResult(outcome=SubmissionOutcome.TIMED_OUT, message="killed", signed=1000)
    stage.results = [killed, SubmissionResult(outcome=SubmissionOutcome.INCLUDED)]
    await stage.step(subnet(), others=["ws://one"])
    await stage.step(subnet(block=1003), others=["ws://one"])
    with pytest.raises(ChainUnavailable, match="no block has"):
        await stage.step(subnet(block=1001 + ERA_BLOCKS), others=["ws://one"])
    assert stage.store.state.pending == {}
    await stage.step(subnet(block=1002 + ERA_BLOCKS), others=["ws://two"])
    assert len(stage.requests) == 2


async def test_named_hotkeys_that_are_all_gone_await_no_round(stage: Stage, subnet: Make) -> None:
    fixed = {"fixed": {"shares": [{"hotkey": HOTKEYS[0], "share": 1}]}}
    (own,) = stage.spec.competitions
    own = Competition.model_validate({**own.to_wire(), "policy": "Fixed", "policyParameters": fixed})
    stage.spec = stage.spec.model_copy(update={"competitions": [own]})
    stage.store.state = State()
    decision = await stage.step(subnet(), ComputedWeights({}, None))
    assert decision.reason is Reason.NO_ELIGIBLE_MINERS


async def test_a_transaction_lasts_while_finality_stalls(stage: Stage, subnet: Make) -> None:
    """It begins at the last final block: of 32 blocks none would be left."""
    stage.connection.not_final = 100
    stage.results = [SubmissionResult(outcome=SubmissionOutcome.TIMED_OUT, message="killed", signed=1000)]
    await stage.step(subnet(block=1000))
    (request,) = stage.requests
    assert request.era_blocks == 256
    for block in range(1001, 1002 + ERA_BLOCKS):
        await stage.step(subnet(block=block))
    pending = stage.store.state.pending.get(0)
    assert pending is not None
    assert (len(stage.requests), pending.era) == (1, 256)
