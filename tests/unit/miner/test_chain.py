"""What a miner reads and writes, on the simulated chain."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from bitagent_local.chain.keys import address
from bitagent_local.chain.testing import key, running, world
from bitagent_miner.chain import ChainRefused, ChainUnavailable, connect, connect_any
from bitagent_miner.committing import Check, CommitRequest, NotCommitted, commit, show
from bitagent_miner.submissions import Form, Named

MINER, OTHER = address("//Miner"), address("//Other")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


async def test_reading_announcing_and_committing() -> None:
    async with running() as chain, connect(chain.endpoint) as connection:
        subnet = await connection.subnet(20)
        assert subnet is not None
        assert await connection.subnet(999) is None
        me, validator = subnet.neurons[MINER], subnet.neurons[address("//Validator")]
        assert (me.uid, me.permit, me.axon) == (2, False, "10.0.0.1:8091")
        assert (validator.permit, validator.stake > 100) == (True, True)
        before = await connection.commitment(20, MINER)
        assert before is not None
        assert before.content == b"acme/tiny-fc-1200"
        assert await connection.commitment(20, OTHER) is None

        await connection.announce(key("//Miner"), 20, "203.0.113.7", 9000)
        long = b"x" * 300
        await connection.commit(key("//Miner"), 20, long)
        after, again = await connection.commitment(20, MINER), await connection.subnet(20)
        assert after is not None
        assert again is not None
        assert (after.content, again.neurons[MINER].axon) == (long, "203.0.113.7:9000")

        with pytest.raises(ChainRefused):
            await connection.announce(key("//Nobody"), 20, "203.0.113.7", 9000)


async def test_nodes_that_do_not_answer(unused_tcp_port: int) -> None:
    dead = f"ws://127.0.0.1:{unused_tcp_port}/secret"
    with pytest.raises(ChainUnavailable) as caught:
        async with connect_any((dead,)):
            pass
    assert "secret" not in str(caught.value)
    async with running() as chain, connect_any((dead, chain.endpoint)) as connection:
        assert await connection.subnet(20) is not None


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(model: Named, **_rest: Any) -> Named:
        return Named(model.repo, COMMIT)

    monkeypatch.setattr("bitagent_miner.committing.resolve", resolve)


def request(**changes: Any) -> CommitRequest:
    named: dict[str, Any] = {"model": Named("acme/m"), "form": Form.REPOSITORY, "netuid": 20, "hub": "http://hub"}
    return CommitRequest(**(named | {"check": Check.NO} | changes))


@pytest.mark.usefixtures("hub")
async def test_commit_and_show() -> None:
    said: list[str] = []
    async with running(world()) as chain, connect(chain.endpoint) as connection:
        await commit(request(), connection, key("//Other"), say=said.append)
        first = await connection.commitment(20, OTHER)
        await commit(request(), connection, key("//Other"), say=said.append)
        assert await connection.commitment(20, OTHER) == first
        await show(connection, 20, OTHER, say=said.append)
        await commit(request(again=True), connection, key("//Other"), say=said.append)
        moved = await connection.commitment(20, OTHER)
        with pytest.raises(NotCommitted):
            await commit(request(), connection, key("//Nobody"), say=said.append)
    assert first is not None
    assert moved is not None
    assert (first.content, moved.block > first.block) == (f"acme/m@{COMMIT}".encode(), True)
    text = "\n".join(said)
    assert f"acme/m@main is commit {COMMIT}" in text
    assert f"the chain has it already, since block {first.block}" in text
    assert f"read as     acme/m@{COMMIT}" in text
    assert "serves at   [2001:db8::1]:8091" in text


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("check", "installed", "status", "committed"),
    [
        pytest.param(Check.YES, True, 0, True, id="good"),
        pytest.param(Check.YES, True, 78, False, id="bad"),
        pytest.param(Check.ASK, True, 78, False, id="bad, without a terminal"),
        pytest.param(Check.NO, True, 78, True, id="not checked"),
        pytest.param(Check.YES, False, 0, False, id="not installed"),
        pytest.param(Check.ASK, False, 0, True, id="not installed, and not required"),
    ],
)
async def test_the_check_before_a_commit(
    monkeypatch: pytest.MonkeyPatch, check: Check, installed: bool, status: int, committed: bool
) -> None:
    async def run(_model: Named) -> int:
        return status

    monkeypatch.setattr("bitagent_miner.committing.shutil.which", lambda _name: "/x" if installed else None)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    async with running(world()) as chain, connect(chain.endpoint) as connection:
        with contextlib.suppress(NotCommitted):
            await commit(request(check=check), connection, key("//Other"), say=lambda _text: None, check=run)
        found = await connection.commitment(20, OTHER)
    assert (found is not None) is committed
