"""The validator's chain edge against the simulated chain: one submission, and following a chain that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_local.chain import keys
from bitagent_validator.chain.calls import SentRow
from bitagent_validator.chain.connection import ChainUnavailable, SubnetNotFound, connect
from bitagent_validator.chain.follower import Down, Follower, Up
from bitagent_validator.weights.submit import SubmissionOutcome, SubmissionRequest, submit

pytestmark = pytest.mark.integration

ME = keys.address("//Validator")
Start = Callable[..., Any]


@pytest.fixture
def request_for(tmp_path: Path) -> Callable[..., SubmissionRequest]:
    def make(chain: Any, uri: str = "//Validator", **changes: Any) -> SubmissionRequest:
        path = tmp_path / "hotkey"
        path.write_bytes(keys.keyfile(uri))
        plain = {"netuid": 20, "weights": {1: 65535, 2: 30000}, "version_key": 0, "era_blocks": 32}
        facts = {"endpoint": chain.endpoint, "hotkey_file": path, "hotkey": keys.address(uri)}
        return SubmissionRequest(**(plain | facts | changes))

    return make


async def test_a_row_is_included(start_chain: Start, request_for: Callable[..., SubmissionRequest]) -> None:
    chain = start_chain()
    result = await submit(request_for(chain), timeout_seconds=60)
    (setting,) = chain.settings()
    assert (result.outcome, result.extrinsic) == (SubmissionOutcome.INCLUDED, f"{setting['block']}-0001")
    assert chain.weights() == {keys.address("//a"): 65535, keys.address("//b"): 30000}
    async with connect(chain.endpoint) as connection:
        block = await connection.finalized()
        subnet = await connection.subnet(20, hotkey=ME, block=block)
        assert subnet.weights == chain.weights()
        assert subnet.me is not None
        assert subnet.me.last_update == setting["block"]
        assert await connection.weights_extrinsic(setting["block"], hotkey=ME) == result.extrinsic
        sent = SentRow(0, {1: 65535, 2: 30000})
        assert await connection.sent_rows(setting["block"], hotkey=ME) == {result.extrinsic: sent}
        assert await connection.weights_extrinsic(setting["block"] - 1, hotkey=ME) == str(setting["block"] - 1)
        with pytest.raises(SubnetNotFound, match="no subnet 21"):
            await connection.subnet(21, hotkey=ME, block=block)
        with pytest.raises(ChainUnavailable):
            await connection.block_hash(10**9)


@pytest.mark.parametrize(
    ("chain", "changes", "code"),
    [
        pytest.param({"permit": False}, {}, "not_authorized", id="no permit"),
        pytest.param({}, {"uri": "//Unregistered"}, "not_registered", id="not registered"),
        pytest.param({"weights_version": 9}, {}, "invalid_argument", id="version key too low"),
        pytest.param({}, {"endpoint": "ws://127.0.0.1:9"}, "", id="no chain"),
        pytest.param({}, {"hotkey": keys.address("//Other")}, "hotkey_changed", id="another key in the file"),
    ],
)
async def test_what_is_certainly_refused(
    start_chain: Start, request_for: Callable[..., SubmissionRequest], chain: Any, changes: Any, code: str
) -> None:
    running = start_chain(**chain)
    result = await submit(request_for(running, **changes), timeout_seconds=60)
    assert (result.outcome, result.code) == (SubmissionOutcome.REFUSED, code)
    assert result.message
    assert running.weights() == {}


async def test_rows_that_are_signed_at_once_all_land(
    start_chain: Start, request_for: Callable[..., SubmissionRequest]
) -> None:
    """V8: as of three subnets, whose validators do not take turns."""
    chain = start_chain(mechanisms=3)
    requests = [request_for(chain, mechanism=mechanism) for mechanism in range(3)]
    results = await asyncio.gather(*(submit(request, timeout_seconds=60) for request in requests))
    assert {result.outcome for result in results} == {SubmissionOutcome.INCLUDED}, results
    assert sorted(setting["args"]["mecid"] for setting in chain.settings()) == [0, 1, 2]


async def test_rate_limit_is_certain(start_chain: Start, request_for: Callable[..., SubmissionRequest]) -> None:
    chain = start_chain(weights_rate_limit=1000)
    assert (await submit(request_for(chain), timeout_seconds=60)).outcome is SubmissionOutcome.INCLUDED
    result = await submit(request_for(chain), timeout_seconds=60)
    assert (result.outcome, result.code) == (SubmissionOutcome.REFUSED, "rate_limited")


async def test_a_connection_that_breaks_leaves_it_open(
    start_chain: Start, request_for: Callable[..., SubmissionRequest], eventually: Callable[..., Any]
) -> None:
    chain = start_chain()
    chain.post("faults", stall_finality=True)
    task = asyncio.create_task(submit(request_for(chain), timeout_seconds=60))
    await asyncio.to_thread(eventually, chain.settings, what="the extrinsic is in a block that is not final")
    await asyncio.to_thread(chain.post, "faults", drop_connections=10)
    result = await task
    assert result.outcome is SubmissionOutcome.UNKNOWN
    assert chain.weights(), "it was on the chain all the time"


async def test_sealed_weights_are_committed(start_chain: Start, request_for: Callable[..., SubmissionRequest]) -> None:
    chain = start_chain(commit_reveal_weights_enabled=True)
    result = await submit(request_for(chain), timeout_seconds=60)
    assert result.outcome is SubmissionOutcome.INCLUDED
    assert [s["call"] for s in chain.settings()] == ["SubtensorModule.commit_timelocked_mechanism_weights"]
    async with connect(chain.endpoint) as connection:
        subnet = await connection.subnet(20, hotkey=ME, block=await connection.finalized())
        assert subnet.weights == {}
        assert subnet.me is not None
        assert subnet.me.last_update == chain.settings()[0]["block"]
        assert [commit.digest for commit in subnet.commits] == [result.commit], "known by its bytes"
        sent = SentRow(0, commit=result.commit)
        assert await connection.sent_rows(subnet.me.last_update, hotkey=ME) == {result.extrinsic: sent}


@pytest.mark.parametrize("kind", ["wrong_type", "half_open", "null"])
@pytest.mark.parametrize("skip", [0, 2])
async def test_a_connection_that_fails_leaves_no_socket(
    start_chain: Start, eventually: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, kind: str, skip: int
) -> None:
    """The SDK's client forgets a session whose first answers are odd, or do not come."""
    monkeypatch.setattr("bitagent_validator.chain.connection.CALL_SECONDS", 1.0)
    chain = start_chain()
    await asyncio.to_thread(chain.post, "faults", calls=[{"kind": kind, "times": 9, "skip": skip}])
    with pytest.raises(ChainUnavailable):
        async with connect(chain.endpoint):
            pass
    await asyncio.to_thread(eventually, lambda: not chain.state()["connections"], what="the socket is closed")


@asynccontextmanager
async def following(*endpoints: str) -> AsyncIterator[tuple[Follower, Callable[..., Any]]]:
    changed = asyncio.Event()
    follower = Follower(endpoints, changed=changed.set, stall_seconds=1.5)

    async def until(probe: Callable[[Up | Down], bool]) -> Up | Down:
        async with asyncio.timeout(30):
            while not probe(follower.state):
                changed.clear()
                await changed.wait()
        return follower.state

    task = asyncio.create_task(follower.run())
    try:
        yield follower, until
    finally:
        task.cancel()
        ended, _ = await asyncio.wait({task}, timeout=60)
        assert ended, "a follower ends when it is cancelled, whatever the SDK is busy with"


async def test_a_chain_that_stalls_is_noticed_and_found_again(start_chain: Start) -> None:
    chain = start_chain()
    async with following(chain.endpoint) as (_, until):
        first = await until(lambda s: isinstance(s, Up))
        await until(lambda s: isinstance(s, Up) and s.block > first.block)
        await asyncio.to_thread(chain.post, "faults", stall_finality=True)
        down = await until(lambda s: isinstance(s, Down))
        assert down.reason is Reason.CHAIN_STALLED
        await asyncio.to_thread(chain.post, "faults", stall_finality=False)
        await until(lambda s: isinstance(s, Up))


async def test_a_half_dead_socket_is_given_up(start_chain: Start) -> None:
    chain = start_chain()
    async with following(chain.endpoint) as (_, until):
        await until(lambda s: isinstance(s, Up))
        await asyncio.to_thread(chain.post, "faults", mute=4)
        assert (await until(lambda s: isinstance(s, Down))).reason is Reason.CHAIN_STALLED


async def test_the_next_endpoint_is_tried(start_chain: Start) -> None:
    chain = start_chain()
    async with following("ws://127.0.0.1:9", chain.endpoint) as (follower, until):
        await until(lambda s: isinstance(s, Up))
        broken = follower.state.connection  # type: ignore[union-attr]
        follower.mark_unusable(broken, error=ChainUnavailable("it lies"))
        assert (await until(lambda s: isinstance(s, Down))).message == "it lies"
        await until(lambda s: isinstance(s, Up) and s.connection is not broken)


async def test_a_whole_chain_at_an_invented_height_is_not_believed(start_chain: Start) -> None:
    """Of the same genesis, with the times of now: it is left for two endpoints that agree, and not followed by one."""
    honest, liar = start_chain(), start_chain()
    await asyncio.to_thread(liar.post, "blocks", count=2000)
    again = honest.endpoint.replace("127.0.0.1", "localhost")
    async with following(liar.endpoint, honest.endpoint, again) as (_, until):
        assert (await until(lambda s: isinstance(s, Down) and s.reason is not Reason.CHAIN_UNREACHABLE)).reason is (
            Reason.CHAIN_CONTRADICTED
        )
        up = await until(lambda s: isinstance(s, Up))
        assert (up.agreed, up.block < 2000) == (True, True)
    async with following(honest.endpoint, liar.endpoint) as (_, until):
        up = await until(lambda s: isinstance(s, Up))
        assert (up.agreed, up.block < 2000) == (False, True)


async def test_an_upgrade_of_the_runtime_under_an_open_connection(
    start_chain: Start, request_for: Callable[..., SubmissionRequest]
) -> None:
    """Reading continues with the new metadata, and a row that is signed afterwards lands."""
    chain = start_chain()
    async with connect(chain.endpoint) as connection:
        before = await connection.subnet(20, hotkey=keys.address("//Validator"), block=await connection.finalized())
        await asyncio.to_thread(chain.post, "upgrade")
        upgraded = await connection.head() + 1
        async for block in connection.blocks(stall_seconds=30):
            if block > upgraded:
                break
        after = await connection.subnet(20, hotkey=keys.address("//Validator"), block=await connection.finalized())
        assert (after.neurons.keys(), after.rules) == (before.neurons.keys(), before.rules)
    result = await submit(request_for(chain), timeout_seconds=30)
    assert result.outcome is SubmissionOutcome.INCLUDED
