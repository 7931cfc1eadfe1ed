"""Who holds the slots of a row, by what other endpoints say; when a row waits for that is in test_setter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bitagent_local.chain.keys import address
from bitagent_local.chain.testing import running, world
from bitagent_validator.weights.slots import Slots, misplaced, slots_elsewhere, waits_until


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param([], [], id="no other says anything"),
        pytest.param([{"a": 1, "b": 2, "c": 3}], [], id="the same"),
        pytest.param([{"a": 2, "b": 1}], ["a", "b"], id="exchanged"),
        pytest.param([{"a": 1}], ["b"], id="one is not registered there"),
        pytest.param([{"a": 2, "b": 1}, {"a": 1, "b": 2}], [], id="one of two says the same"),
        pytest.param([{"a": 1}, {"a": 1, "b": 7}], ["b"], id="neither of two says the same"),
    ],
)
def test_the_hotkeys_that_no_other_has_in_their_slots(others: list[Slots], expected: list[str]) -> None:
    assert misplaced({"a": 1, "b": 2}, others) == expected


@pytest.mark.parametrize(
    ("last_update", "until"),
    [
        pytest.param(9_900, 12_500, id="it was set just now"),
        pytest.param(7_000, 11_500, id="before the chain ignores the validator"),
        pytest.param(5_400, 10_000, id="which it does soon"),
        pytest.param(4_000, 12_500, id="which it does already"),
    ],
)
def test_a_contradicted_row_waits_no_longer_than_the_chain_does(
    subnet: Callable[..., Any], last_update: int, until: int
) -> None:
    assert waits_until(subnet(block=10_000, me={"last_update": last_update}, activity_cutoff=5_000)) == until


async def test_the_other_endpoints_of_this_chain_are_read(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BITTENSOR_RUNTIME_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "runtime-cache"))
    async with running(world()) as chain:
        node = chain.server.node
        at = {"genesis": "0x" + node.blocks.genesis.hash.hex(), "hotkey": address("//Validator"), "block": 1}
        slots = {address(f"//{name}"): uid for uid, name in enumerate(("Validator", "Watcher", "Miner", "Other"))}
        assert await slots_elsewhere(["ws://127.0.0.1:9", chain.endpoint], netuid=20, **at) == [slots]
        assert await slots_elsewhere([chain.endpoint], netuid=21, **at) == [], "it has no such subnet"
