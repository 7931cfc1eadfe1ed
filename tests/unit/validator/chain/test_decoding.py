"""Answers of the SDK as plain data."""

from __future__ import annotations

import pytest

from bitagent_validator.chain.decoding import axon_of
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
