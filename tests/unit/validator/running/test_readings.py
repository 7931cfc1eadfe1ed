"""When the subnet is read again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bitagent_crds.validator import ValidatorSpec
from bitagent_validator.chain.facts import MechanismFacts, Subnet
from bitagent_validator.chain.follower import Up
from bitagent_validator.running.readings import Readings
from bitagent_validator.wallet import Account

Make = Callable[..., Any]


@pytest.mark.parametrize(("registered", "reads"), [(True, 1), (False, 0)])
async def test_a_new_mechanism_is_read_before_it_is_decided_on(
    subnet: Make, competition: Make, registered: bool, reads: int
) -> None:
    """Its limits are not those of the mechanism that was read before."""
    hotkey = "me" if registered else "other"
    found = subnet(mechanisms={0: MechanismFacts()}, hotkey=hotkey)
    asked: list[list[int]] = []

    async def counted(*_: Any, mechanisms: list[int], **__: Any) -> Subnet:
        asked.append(mechanisms)
        return found

    connection: Any = SimpleNamespace(subnet=counted, block_seconds=12.0)
    readings = Readings(Account(hotkey, Path("/x")))

    def spec(count: int) -> ValidatorSpec:
        return ValidatorSpec.model_validate(
            {
                "netuid": 20,
                "chain": {"endpoints": ["ws://chain"]},
                "wallet": {"hotkeySecretRef": {"name": "s", "key": "k"}},
                "competitions": [
                    competition(id=str(m), mechanism=m, rewardShare=100 // count).to_wire() for m in range(count)
                ],
            }
        )

    await readings.read(spec(1), Up(connection, 1000), urgent=True)
    await readings.read(spec(1), Up(connection, 1001), urgent=False)
    await readings.read(spec(2), Up(connection, 1001), urgent=False)
    assert asked == [[0], *([[0, 1]] * reads)]


@pytest.mark.parametrize(
    ("block_seconds", "waited", "urgent", "reads"),
    [
        pytest.param(12.0, 35.0, False, 1, id="V25: within three blocks"),
        pytest.param(12.0, 36.0, False, 2, id="after three blocks"),
        pytest.param(0.25, 9.0, False, 1, id="fast blocks: within 10 s"),
        pytest.param(0.25, 10.0, False, 2, id="fast blocks: after 10 s"),
        pytest.param(12.0, 1.0, True, 2, id="weights are due: each block"),
    ],
)
async def test_how_often_a_node_is_asked_for_the_subnet(
    subnet: Make, competition: Make, block_seconds: float, waited: float, urgent: bool, reads: int
) -> None:
    asked = []

    async def reading(*_: Any, block: int, **__: Any) -> Subnet:
        asked.append(block)
        found: Subnet = subnet(mechanisms={0: MechanismFacts()}, block=block)
        return found

    connection: Any = SimpleNamespace(subnet=reading, block_seconds=block_seconds)
    spec = ValidatorSpec.model_validate(
        {
            "netuid": 20,
            "chain": {"endpoints": ["ws://chain"]},
            "wallet": {"hotkeySecretRef": {"name": "s", "key": "k"}},
            "competitions": [competition().to_wire()],
        }
    )
    readings = Readings(Account("me", Path("/x")))
    await readings.read(spec, Up(connection, 1000), urgent=True)
    readings._read_at -= waited
    await readings.read(spec, Up(connection, 1100), urgent=urgent)
    assert len(asked) == reads


@pytest.mark.parametrize(
    ("block", "read_at"),
    [
        pytest.param(1004, 1005, id="a node that is behind: its row may be the one before"),
        pytest.param(1005, 1005, id="the same block"),
        pytest.param(1006, 1006, id="the next block"),
    ],
)
async def test_no_decision_rests_on_an_earlier_block_than_the_last_one(
    subnet: Make, competition: Make, block: int, read_at: int
) -> None:
    async def reading(*_: Any, block: int, **__: Any) -> Subnet:
        found: Subnet = subnet(mechanisms={0: MechanismFacts()}, block=block)
        return found

    connection: Any = SimpleNamespace(subnet=reading, block_seconds=12.0)
    spec = ValidatorSpec.model_validate(
        {
            "netuid": 20,
            "chain": {"endpoints": ["ws://chain"]},
            "wallet": {"hotkeySecretRef": {"name": "s", "key": "k"}},
            "competitions": [competition().to_wire()],
        }
    )
    readings = Readings(Account("me", Path("/x")))
    await readings.read(spec, Up(connection, 1005), urgent=True)
    found = await readings.read(spec, Up(connection, block), urgent=True)
    assert found is not None
    assert found.block == read_at
