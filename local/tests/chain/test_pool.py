"""The pool: nonces that wait, what it refuses, and branches that are left."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitagent_local.chain.extrinsics import InvalidExtrinsic
from bitagent_local.chain.keys import address
from bitagent_local.chain.node import ChainNode
from bitagent_local.chain.testing import node, sign, weights_call

VALIDATOR = address("//Validator")


def _signed(chain: ChainNode, nonce: int, **changes: object) -> bytes:
    return sign(chain, "//Validator", weights_call(**changes), nonce=nonce)


def test_a_future_nonce_is_parked_until_its_turn() -> None:
    chain = node()
    chain.submit(_signed(chain, 2))
    chain.submit(_signed(chain, 1))
    assert chain.next_nonce(VALIDATOR) == 0
    assert chain.produce() == []
    chain.submit(_signed(chain, 0))
    assert chain.next_nonce(VALIDATOR) == 3
    assert [included.extrinsic.nonce for included in chain.produce()] == [0, 1, 2]


@settings(max_examples=20)
@given(order=st.permutations(range(5)), blocks=st.lists(st.booleans(), min_size=5, max_size=5))
def test_nonces_are_included_once_and_in_order(order: list[int], blocks: list[bool]) -> None:
    chain, seen = node(), []
    for nonce, block in zip(order, blocks, strict=True):
        chain.submit(_signed(chain, nonce))
        if block:
            seen += [included.extrinsic.nonce for included in chain.produce()]
    seen += [included.extrinsic.nonce for included in chain.produce()]
    assert (seen, len(chain.pool), chain.next_nonce(VALIDATOR)) == ([0, 1, 2, 3, 4], 0, 5)


def test_the_same_bytes_and_the_same_nonce_are_taken_once() -> None:
    chain = node()
    raw = _signed(chain, 0)
    chain.submit(raw)
    with pytest.raises(InvalidExtrinsic) as again:
        chain.submit(raw)
    with pytest.raises(InvalidExtrinsic) as rival:
        chain.submit(_signed(chain, 0, weights=[1, 1]))
    assert (again.value.code, rival.value.code) == (1013, 1014)


def test_a_used_nonce_is_stale() -> None:
    chain = node()
    chain.submit(_signed(chain, 0))
    chain.produce()
    with pytest.raises(InvalidExtrinsic, match="outdated"):
        chain.submit(_signed(chain, 0, weights=[1, 1]))


def test_what_waits_longer_than_its_era_is_dropped() -> None:
    chain = node()
    chain.produce()
    era = {"period": 4, "phase": 1}
    raw = sign(chain, "//Validator", weights_call(), nonce=1, era=era, era_block_hash=chain.blocks.head.hash)
    chain.submit(raw)
    for _ in range(3):
        chain.produce()
        assert chain.take_dropped() == []
    chain.produce()
    assert [dropped.raw for dropped in chain.take_dropped()] == [raw]
    assert len(chain.pool) == 0


@pytest.mark.parametrize("lose", [False, True], ids=["waits again", "is lost"])
def test_an_extrinsic_of_a_left_branch(lose: bool) -> None:
    chain = node()
    chain.finality_lag = 3
    chain.produce()
    chain.finalize()
    chain.submit(_signed(chain, 0))
    chain.produce()
    left = chain.blocks.head
    assert chain.weights()
    done = chain.reorg(1, lose=lose)
    assert (done.left, [extrinsic.nonce for extrinsic in done.extrinsics]) == ([left], [0])
    assert (chain.weights(), chain.next_nonce(VALIDATOR)) == ({}, 0 if lose else 1)
    assert chain.blocks.head.number == left.number + 1
    assert chain.blocks.numbered(left.number) != left
    assert len(chain.produce()) == (0 if lose else 1)
    assert bool(chain.weights()) is not lose


def test_what_is_final_is_not_left() -> None:
    chain = node()
    for _ in range(3):
        chain.produce()
    chain.finalize()
    with pytest.raises(ValueError, match="only 0 blocks are not final, not 1"):
        chain.reorg(1)
