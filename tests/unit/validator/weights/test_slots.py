"""Who holds the slots of a row, by what other endpoints say; when a row waits for that is in test_setter."""

from __future__ import annotations

import pytest

from bitagent_local.chain.keys import address
from bitagent_local.chain.testing import running, world
from bitagent_validator.weights.slots import Slots, misplaced, slots_elsewhere


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
