"""Endpoints: which is next, which must wait, and which chains are local."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import bittensor as bt
import pytest
from bittensor.settings import FINNEY_GENESIS_HASH

from bitagent_crds.conditions import Reason
from bitagent_validator.chain import endpoints
from bitagent_validator.chain.connection import unavailable
from bitagent_validator.chain.endpoints import (
    Rotation,
    of_local_chain,
    seconds_to_wait,
    secret_endpoints,
)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 1.0),
        ("99999", 600.0),
        ("-3", 1.0),
        ("nan", 30.0),
        ("soon", 30.0),
        (None, 30.0),
        ("Thu, 01 Jan 2026 00:00:20 GMT", 20.0),
    ],
)
def test_how_long_an_endpoint_asks_to_wait(value: str | None, seconds: float) -> None:
    assert seconds_to_wait(value, now=datetime(2026, 1, 1, tzinfo=UTC)) == seconds


def test_the_rotation_leaves_out_who_must_wait() -> None:
    now = 0.0
    rotation = Rotation(["a", "b", "c", "a"], clock=lambda: now)
    assert rotation.current == "a"
    rotation.park("b", seconds=10)
    assert (rotation.advance(), rotation.current) == (0.0, "c")
    assert rotation.others == ["a"]
    rotation.park("c", seconds=5)
    rotation.park("a", seconds=7)
    assert (rotation.advance(), rotation.current) == (5.0, "c"), "all must wait: the one that waits least"
    now = 20.0
    assert rotation.advance() == 0.0
    rotation.prefer("b")
    assert rotation.current == "b"


@pytest.mark.parametrize(
    ("error", "reason", "wait"),
    [
        pytest.param(
            bt.RpcPolicyError("limited", status_code=429, retry_after="12"), Reason.RATE_LIMITED_BY_NODE, 12.0, id="429"
        ),
        pytest.param(AttributeError("'NoneType' has no attribute"), Reason.CHAIN_UNREACHABLE, None, id="odd JSON"),
        pytest.param(TimeoutError(), Reason.CHAIN_UNREACHABLE, None, id="silent"),
    ],
)
def test_what_an_error_says_about_the_endpoint(error: Exception, reason: Reason, wait: float | None) -> None:
    found = unavailable("ws://node did not return x", error)
    assert (found.reason, found.retry_after) == (reason, wait)
    wrapped = RuntimeError("outer")
    wrapped.__cause__ = error
    assert unavailable("x", wrapped).retry_after == wait


def test_endpoints_of_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "endpoints"
    assert secret_endpoints(file) == []
    file.write_text("wss://one.example/KEY\n\nws://two.example\n")
    assert secret_endpoints(file) == ["wss://one.example/KEY", "ws://two.example"]
    file.write_text("https://one.example/KEY")
    with pytest.raises(ValueError, match="one websocket address") as raised:
        secret_endpoints(file)
    assert "KEY" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "genesis", "local"),
    [
        ("ws://127.0.0.1:9944", "0xours", True),
        ("ws://[::1]:9944", "0xours", True),
        ("ws://10.0.0.7:9944/path", "0xours", True),
        ("ws://chain:9944", "0xours", True),
        ("ws://chain.bitagent.svc:9944", "0xours", True),
        ("ws://chain.bitagent.svc.cluster.local:9944", "0xours", True),
        ("wss://entrypoint-finney.opentensor.ai:443", "0xours", False),
        ("ws://203.0.113.9:9944", "0xours", True),
        ("ws://8.8.8.8:9944", "0xours", False),
        ("ws://127.0.0.1:9944", "0x2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03", False),
        ("ws://", "0xours", False),
    ],
)
def test_which_chain_is_local(url: str, genesis: str, local: bool) -> None:
    """A private node of a public chain is not."""
    assert of_local_chain(url, genesis=genesis) is local


def test_the_main_network_is_the_sdks() -> None:
    assert FINNEY_GENESIS_HASH.lower() in endpoints._PUBLIC_CHAINS
