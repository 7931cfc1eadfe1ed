"""One connection, against the simulated chain in the test's own event loop."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from bittensor._transport.errors import StorageFunctionNotFound

from bitagent_local.chain.blocks import STATES_KEPT
from bitagent_local.chain.faults import ChainFaultRequest
from bitagent_local.chain.keys import address
from bitagent_local.chain.scale import to_hex
from bitagent_local.chain.seed import Neuron
from bitagent_local.chain.testing import running, world
from bitagent_validator.chain import connection as module
from bitagent_validator.chain.calls import SentRow
from bitagent_validator.chain.connection import ChainUnavailable, CommitmentsUnreadable, connect
from bitagent_validator.chain.decoding import commit_digest
from bitagent_validator.chain.facts import RAO, Commitment

ME = address("//Validator")


@pytest.fixture(autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTENSOR_RUNTIME_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "runtime-cache"))


async def test_a_hash_is_told_of_blocks_whose_state_is_forgotten() -> None:
    """The seed of a round that starts late, as the one before it ran long, comes from such a block."""
    async with running() as chain, connect(chain.endpoint) as connection:
        node = chain.server.node
        assert connection.genesis == to_hex(node.blocks.genesis.hash)
        for _ in range(STATES_KEPT + 10):
            node.produce()
        block = node.blocks.numbered(9)
        assert block
        assert await connection.block_hash(9) == to_hex(block.hash)
        with pytest.raises(ChainUnavailable, match="discarded"):
            await connection.timestamp(9)
        with pytest.raises(ChainUnavailable, match="discarded"):
            await connection.weights_extrinsic(9, hotkey=ME)


async def test_commitments_are_those_of_the_block() -> None:
    async with running() as chain, connect(chain.endpoint) as connection:
        node = chain.server.node
        miner = address("//Miner")
        before = node.blocks.head.number
        node.register(Neuron.model_validate({"hotkey": "//Miner", "commitment": "acme/other"}))
        node.produce()
        node.finalize()
        after = node.blocks.head.number
        assert (await connection.commitments(20, block=before))[miner] == Commitment("acme/tiny-fc-1200", 0)
        assert (await connection.commitments(20, block=after))[miner] == Commitment("acme/other", after)
        assert address("//Other") not in await connection.commitments(20, block=after)


@pytest.mark.parametrize("error", [ValueError, KeyError, AttributeError])
async def test_commitments_of_an_unknown_form_are_no_fault_of_the_chain(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def unknown(*found: object) -> None:
        raise error(found)

    monkeypatch.setattr(module, "all_published", unknown)
    async with running() as chain, connect(chain.endpoint) as connection:
        with pytest.raises(CommitmentsUnreadable, match="subnet 20"):
            await connection.commitments(20, block=await connection.finalized())


class WithoutItems:
    """A client, or its view of a block, on a runtime that has some storage items no longer."""

    def __init__(self, inner: Any, *items: str) -> None:
        self._inner, self._items = inner, items

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def at(self, block: int) -> Any:
        return WithoutItems(await self._inner.at(block), *self._items)

    async def query(self, item: Any, *given: Any, **named: Any) -> Any:
        if item[1] in self._items:
            raise StorageFunctionNotFound(item[1])
        return await self._inner.query(item, *given, **named)


async def test_items_that_a_runtime_has_no_longer_stop_nothing_that_needs_none() -> None:
    seed = world(hyperparameters={"mechanisms": 2, "stake_threshold": "5"})
    async with running(seed) as chain, connect(chain.endpoint) as connection:
        block = await connection.finalized()
        whole = await connection.subnet(20, hotkey=ME, block=block, mechanisms=[0, 1])
        assert (whole.rules.stake_threshold, whole.mechanism_count) == (5 * RAO, 2)
        gone = ("StakeThreshold", "MechanismCountCurrent", "WeightsVersionKey", "SubnetOwnerHotkey")
        connection._client = WithoutItems(connection._client, *gone)
        subnet = await connection.subnet(20, hotkey=ME, block=block, mechanisms=[0, 1])
        assert (subnet.rules.stake_threshold, subnet.mechanism_count, subnet.has(1)) == (0, None, True)
        assert (subnet.neurons, subnet.mechanisms) == (whole.neurons, whole.mechanisms)
        assert (await connection.version_key(20), await connection.owner(20)) == (0, None)
        connection._client = WithoutItems(connection._client, "Weights")
        with pytest.raises(ChainUnavailable, match="Weights"):
            await connection.subnet(20, hotkey=ME, block=block)


async def test_a_subnet_that_cannot_be_read_is_told_of_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an upgrade of the chain that this version does not know."""
    monkeypatch.setattr(module, "rules_of", lambda raw, **_: raw["a_rule_that_went"])
    async with running() as chain, connect(chain.endpoint) as connection:
        with pytest.raises(ChainUnavailable, match="cannot read: KeyError 'a_rule_that_went'"):
            await connection.subnet(20, hotkey=ME, block=await connection.finalized())


async def test_a_subnet_whose_description_is_cut_short_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK fills what is missing; results of a round that is recorded then would be lost."""
    monkeypatch.setattr(module, "check_metagraph", spoilt := Spoilt(module.check_metagraph))
    async with running() as chain, connect(chain.endpoint) as connection:
        block = await connection.finalized()
        assert (await connection.subnet(20, hotkey=ME, block=block)).me is not None
        spoilt.column = "validator_permit"
        with pytest.raises(ChainUnavailable, match="validator_permit is missing"):
            await connection.subnet(20, hotkey=ME, block=block)


class Spoilt:
    """The check of a metagraph that has lost the last entry of a column."""

    def __init__(self, check: Any) -> None:
        self.check, self.column = check, ""

    def __call__(self, raw: dict[str, Any], **more: int) -> None:
        self.check(raw | ({self.column: raw[self.column][:-1]} if self.column else {}), **more)


@pytest.mark.parametrize(
    ("last_update", "answers", "row"),
    [
        pytest.param(500, [None, [(1, 9)]], {1: 9}, id="an answer was lost"),
        pytest.param(500, [[], []], {}, id="it has set none but zeros"),
        pytest.param(500, [[(1, 9), (2, 0)]], {1: 9}, id="at once"),
        pytest.param(5, [None], {}, id="it has never set any"),
    ],
)
async def test_weights_that_are_missing_are_asked_for_again(
    subnet: Any, last_update: int, answers: list[Any], row: dict[int, int]
) -> None:
    """Otherwise they would be set twice."""
    found = subnet(me={"last_update": last_update})

    async def query(item: tuple[str, str], _params: list[int]) -> Any:
        return answers.pop(0)

    facts = await module._mechanism(SimpleNamespace(query=query), found, found.me, 0)
    assert (facts.row, answers) == (row, [])


@pytest.mark.parametrize("height", [None, -1, "7"])
async def test_a_height_that_is_no_number_is_no_block(height: object) -> None:
    """Block 0 has a state of its own, with other hotkeys."""
    async with running() as chain, connect(chain.endpoint) as connection:

        async def answer() -> object:
            return height

        connection._client = SimpleNamespace(finalized_block=answer, block=answer)
        for ask in (connection.finalized, connection.head):
            with pytest.raises(ChainUnavailable):
                await ask()


async def test_calls_that_never_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as chain, connect(chain.endpoint) as connection:
        monkeypatch.setattr(module, "CALL_SECONDS", 0.2)
        chain.server.apply_faults(ChainFaultRequest(mute=60, stall_blocks=True))
        with pytest.raises(ChainUnavailable, match="no answer in time"):
            await connection.subnet(20, hotkey=ME, block=1)
        chain.server.apply_faults(ChainFaultRequest(clear=True))


async def test_what_is_read_before_a_setting_and_for_the_metrics() -> None:
    async with running() as chain, connect(chain.endpoint) as connection:
        block = await connection.finalized()
        subnet = await connection.subnet(20, hotkey=ME, block=block, mechanisms=(0, 1))
        assert subnet.me is not None
        account = await connection.account(20, subnet.me)
        assert (account.balance >= 0, 0 <= account.trust <= 1) == (True, True)
        assert await connection.version_key(20) == subnet.rules.version_key
        assert await connection.owner(20) == subnet.owner_hotkey
        assert subnet.owner_coldkey
        assert set(subnet.mechanisms) == {0, 1}
        assert subnet.on(1).weights == {}
        assert (subnet.has(0), subnet.has(1)) == (True, False)
        first = await connection.subnet(20, hotkey=ME, block=block)
        assert first.mechanism_count is None, "the only mechanism that is used is there without a request"


async def test_the_age_of_the_newest_block() -> None:
    async with running() as chain, connect(chain.endpoint) as connection:
        chain.server.node.produce()
        age = await connection.head_age()
        assert age is not None
        assert age < 60


@pytest.mark.parametrize("error", [AttributeError("x"), KeyError("x"), TypeError("x"), RecursionError("x")])
async def test_whatever_the_sdk_raises_means_that_the_chain_is_away(error: Exception) -> None:
    async with running() as chain, connect(chain.endpoint) as connection:

        async def odd() -> None:
            raise error

        with pytest.raises(ChainUnavailable):
            await connection._read("anything", odd())


async def test_the_rows_that_a_hotkey_has_signed_in_a_block() -> None:
    """One that cannot be read hides no other."""
    async with running() as chain, connect(chain.endpoint) as connection:
        calls = [None, [{"name": "netuid", "value": 20}, {"name": "commit", "value": "0x0102"}]]
        sent = [{"address": ME, "call": {"call_function": "commit_weights", "call_args": each}} for each in calls]

        async def block_info(_: int) -> SimpleNamespace:
            return SimpleNamespace(extrinsics=sent)

        connection._client = SimpleNamespace(block_info=block_info)
        assert await connection.sent_rows(5, hotkey=ME) == {"5-0001": SentRow(0, commit=commit_digest("0x0102"))}
        assert await connection.sent_rows(5, hotkey="other") == {}


@pytest.mark.parametrize(
    "extrinsics",
    [None, [], [None], ["text"], [{"call": "x"}], [{"call": {"call_function": 3}, "address": ME}]],
    ids=["none", "empty", "null", "text", "a call that is text", "a function that is a number"],
)
async def test_a_block_that_cannot_be_read_names_no_extrinsic(extrinsics: object) -> None:
    async with running() as chain, connect(chain.endpoint) as connection:

        async def block_info(_: int) -> SimpleNamespace:
            return SimpleNamespace(extrinsics=extrinsics)

        connection._client = SimpleNamespace(block_info=block_info)
        assert await connection.weights_extrinsic(5, hotkey=ME) == "5"
        assert await connection.sent_rows(5, hotkey=ME) == {}
