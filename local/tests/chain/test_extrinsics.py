"""Admission of extrinsics to the pool."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bitagent_local.chain import scale
from bitagent_local.chain.extrinsics import InvalidExtrinsic, timestamp_inherent
from bitagent_local.chain.keys import address
from bitagent_local.chain.node import ChainNode
from bitagent_local.chain.testing import node, sign, weights_call


@pytest.fixture(scope="module")
def still() -> ChainNode:
    """A chain at block 1 that tests look at and never move."""
    chain = node()
    chain.produce()
    return chain


def _mortal(chain: ChainNode) -> bytes:
    return sign(
        chain, "//Validator", weights_call(), era={"period": 4, "phase": 1}, era_block_hash=chain.blocks.head.hash
    )


def _flipped(at: int) -> Callable[[ChainNode], bytes]:
    def make(chain: ChainNode) -> bytes:
        raw = bytearray(sign(chain, "//Validator", weights_call()))
        raw[at] ^= 1
        return bytes(raw)

    return make


INVALID: dict[str, tuple[Callable[[ChainNode], bytes], str]] = {
    "signature changed": (_flipped(60), "bad signature"),
    "last byte of the call changed": (_flipped(-1), "bad signature"),
    "signed for another chain": (
        lambda chain: sign(chain, "//Validator", weights_call(), genesis_hash=bytes(32)),
        "bad signature",
    ),
    "unsigned": (lambda chain: timestamp_inherent(chain.runtime, 1), "must not be validated"),
    "born in a block that is not there": (
        lambda chain: sign(chain, "//Validator", weights_call(), era={"period": 8, "phase": 6}),
        "ancient birth block",
    ),
    "empty": (lambda chain: b"", "could not be decoded"),
    "cut short": (lambda chain: sign(chain, "//Validator", weights_call())[:-3], "could not be decoded"),
}


@pytest.mark.parametrize(("make", "reason"), INVALID.values(), ids=INVALID.keys())
def test_pool_refuses(still: ChainNode, make: Callable[[ChainNode], bytes], reason: str) -> None:
    with pytest.raises(InvalidExtrinsic, match=reason):
        still.submit(make(still))
    assert len(still.pool) == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(raw=st.binary(max_size=200) | st.binary(max_size=200).map(scale.sized))
def test_pool_survives_garbage(still: ChainNode, raw: bytes) -> None:
    with pytest.raises(InvalidExtrinsic):
        still.submit(raw)


def test_nonces_count_what_is_pending_and_what_was_refused() -> None:
    chain = node()
    chain.submit(sign(chain, "//Unregistered", weights_call()))
    assert chain.next_nonce(address("//Unregistered")) == 1
    chain.produce()
    assert chain.next_nonce(address("//Unregistered")) == 1
    with pytest.raises(InvalidExtrinsic, match="outdated"):
        chain.submit(sign(chain, "//Unregistered", weights_call()))


def test_mortal_extrinsic_dies_with_its_era() -> None:
    chain = node()
    chain.produce()
    raw = _mortal(chain)
    for _ in range(4):
        chain.produce()
    with pytest.raises(InvalidExtrinsic, match="bad signature"):
        chain.submit(raw)
    chain.submit(_mortal(chain))
    assert chain.produce()[0].error is None
