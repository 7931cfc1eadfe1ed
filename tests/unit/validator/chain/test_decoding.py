"""Answers of the SDK as plain data."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_validator.chain.decoding import COLUMNS, axon_of, check_metagraph
from bitagent_validator.chain.facts import Axon


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param({"ip": 2130706433, "port": 8091, "ip_type": 4, "protocol": 4}, ("127.0.0.1", 8091, 4), id="IPv4"),
        pytest.param({"ip": 1, "port": 8091, "ip_type": 6, "protocol": 87}, ("::1", 8091, 87), id="IPv6"),
        pytest.param({"ip": 0, "port": 0, "ip_type": 4, "protocol": 0}, None, id="serves nothing"),
        pytest.param({"ip": 2130706433, "port": 0, "ip_type": 4, "protocol": 4}, None, id="no port"),
        pytest.param({"ip": 2**64, "port": 8091, "ip_type": 4, "protocol": 4}, None, id="no IPv4 address"),
        pytest.param({"ip": 2**200, "port": 8091, "ip_type": 6, "protocol": 4}, None, id="no IPv6 address"),
        pytest.param({}, None, id="empty"),
        pytest.param(None, None, id="none"),
    ],
)
def test_an_axon_is_an_address_or_none(record: object, expected: tuple[str, int, int] | None) -> None:
    """Anyone may write any."""
    assert axon_of(record) == (None if expected is None else Axon(*expected))


GRAPH: dict[str, Any] = {
    "netuid": 20,
    "num_uids": 2,
    "hotkeys": ["a", "b"],
    "coldkeys": ["x", "x"],
    "validator_permit": [True, False],
    "last_update": [990, 12],
    "block_at_registration": [5, 1000],
    "total_stake": [7, 0],
}


@pytest.mark.parametrize("changes", [{}, {"last_update": [1001, 12]}, {"total_stake": [7, 0, 0]}], ids=str)
def test_a_metagraph_that_can_be(changes: dict[str, Any]) -> None:
    check_metagraph(GRAPH | changes, netuid=20, block=1000)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"hotkeys": [], "num_uids": 0}, id="no hotkey, where the owner has one"),
        pytest.param({"hotkeys": None}, id="hotkeys are missing"),
        pytest.param({"hotkeys": ["a", "a"]}, id="one hotkey in two slots"),
        pytest.param({"num_uids": 3}, id="fewer hotkeys than slots"),
        pytest.param({"netuid": 21}, id="another subnet"),
        *(pytest.param({name: GRAPH[name][:1]}, id=f"{name} is cut short") for name in COLUMNS),
        pytest.param({"last_update": [1002, 12]}, id="an update to come"),
        pytest.param({"block_at_registration": [5, 2**32]}, id="a registration to come"),
    ],
)
def test_a_metagraph_that_cannot_be(changes: dict[str, Any]) -> None:
    """Who is believed to have no permit, or to have registered again, is not paid."""
    with pytest.raises(ValueError, match=r"it has|it is of|is missing|happened"):
        check_metagraph(GRAPH | changes, netuid=20, block=1000)
