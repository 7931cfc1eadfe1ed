"""Weights read back with the SDK."""

from __future__ import annotations

from typing import Any

import bittensor as bt
import pytest

from bitagent_local.chain.keys import address
from bitagent_local.chain.readback import WeightRow, connected, read_weights, table
from bitagent_local.chain.testing import key, running

VALIDATOR, WATCHER, MINER, OTHER = (address(f"//{name}") for name in ("Validator", "Watcher", "Miner", "Other"))


NETUID = 20


@pytest.fixture(autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTENSOR_RUNTIME_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "runtime-cache"))


def _intent(**changes: Any) -> bt.SetWeights:
    return bt.SetWeights(NETUID, weights={2: 1.0, 3: 0.5}, **changes)


async def test_weights_are_read_back_as_set() -> None:
    async with running() as chain:
        async with connected(chain.endpoint) as client:
            result = await client.execute(_intent(version_key=7), key("//Validator"))
        assert (result.success, result.error) == (True, None)
        rows = await read_weights(chain.endpoint, NETUID)
        block = int(result.extrinsic_id.split("-")[0])
        assert [(row.validator, row.hotkey, row.uid, row.block) for row in rows] == [
            (VALIDATOR, MINER, 2, block),
            (VALIDATOR, OTHER, 3, block),
        ]
        assert [row.weight for row in rows] == pytest.approx([2 / 3, 1 / 3], abs=1e-5)
        (seen,) = chain.server.node.included
        assert seen.extrinsic.call.args["version_key"] == 7


async def test_unreadable_endpoints_are_named() -> None:
    async with running() as chain:
        with pytest.raises(LookupError, match="has no subnet 21"):
            await read_weights(chain.endpoint, NETUID + 1)
    with pytest.raises(ConnectionError, match=f"{chain.endpoint} cannot be read"):
        await read_weights(chain.endpoint, NETUID)


def test_table_of_weights() -> None:
    rows = [WeightRow(VALIDATOR, MINER, 2, 0.75, 7), WeightRow(VALIDATOR, OTHER, 3, 0.25, 7)]
    lines = table(rows).splitlines()
    assert lines[0] == f"validator {VALIDATOR}, set at block 7"
    assert [line.split() for line in lines[2:]] == [[MINER, "2", "0.750000"], [OTHER, "3", "0.250000"]]
    assert table([]) == "no weights are set"
