"""Endpoints and commitments: what hotkeys publish, and its limits."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_local.chain.extrinsics import InvalidExtrinsic
from bitagent_local.chain.keys import address
from bitagent_local.chain.node import ChainNode
from bitagent_local.chain.pallets import drand
from bitagent_local.chain.pallets.commitments import space
from bitagent_local.chain.scale import plain_bytes
from bitagent_local.chain.testing import node, sign, world

OTHER = address("//Other")
FIELDS = {"version": 1, "port": 9000, "ip_type": 4, "protocol": 4, "placeholder1": 0, "placeholder2": 0}


def _serve(chain: ChainNode, signer: str = "//Other", *, nonce: int = 0, **changes: Any) -> bytes:
    args = {"netuid": 20, "ip": 0x0A000001, **FIELDS, **changes}
    return sign(chain, signer, args, function="serve_axon", nonce=nonce)


def _commit(chain: ChainNode, *fields: Any, signer: str = "//Other", nonce: int = 0) -> bytes:
    args = {"netuid": 20, "info": {"fields": list(fields)}}
    return sign(chain, signer, args, pallet="Commitments", function="set_commitment", nonce=nonce)


def test_an_axon_is_stored() -> None:
    chain = node()
    chain.submit(_serve(chain))
    assert chain.produce()[0].error is None
    assert chain.blocks.state(None).get("SubtensorModule", "Axons", 20, OTHER)["port"] == 9000


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "not registered": ("//Unregistered", {}, "Custom error: 10"),
    "loopback": ("//Other", {"ip": 0x7F000001}, "Custom error: 11"),
    "broadcast": ("//Other", {"ip": 0xFFFFFFFF}, "Custom error: 11"),
    "loopback of the other version": ("//Other", {"ip": 1, "ip_type": 6}, "Custom error: 11"),
    "no port": ("//Other", {"port": 0}, "Custom error: 13"),
    "no such version": ("//Other", {"ip_type": 5}, "Custom error: 255"),
}


@pytest.mark.parametrize(("signer", "args", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_the_pool_refuses_axons(signer: str, args: dict[str, Any], words: str) -> None:
    chain = node()
    with pytest.raises(InvalidExtrinsic) as refused:
        chain.submit(_serve(chain, signer, **args))
    assert str(refused.value) == words


def test_address_0_is_taken_as_by_the_pallet() -> None:
    chain = node()
    chain.submit(_serve(chain, ip=0))
    assert chain.produce()[0].error is None


def test_fifty_blocks_lie_between_two_axons() -> None:
    chain = node()
    chain.submit(_serve(chain))
    chain.produce()
    for _ in range(49):
        with pytest.raises(InvalidExtrinsic, match="Custom error: 12"):
            chain.submit(_serve(chain, nonce=1))
        chain.produce()
    chain.submit(_serve(chain, nonce=1, port=9001))
    assert chain.produce()[0].error is None


def test_a_commitment_is_stored_in_place_of_the_last_one() -> None:
    chain = node()
    for nonce, text in enumerate((b"hello", b"other")):
        chain.submit(_commit(chain, {"Raw5": text}, nonce=nonce))
        assert chain.produce()[0].error is None
    stored = chain.blocks.state(None).get("Commitments", "CommitmentOf", 20, OTHER)
    assert (stored["block"], stored["info"]["fields"]) == (2, [{"Raw5": "0x6f74686572"}])


def test_three_fields_are_taken_and_four_cannot_be_encoded_or_are_refused() -> None:
    chain = node()
    chain.submit(_commit(chain, *[{"Raw1": b"a"}] * 3))
    chain.submit(_commit(chain, *[{"Raw1": b"a"}] * 4, nonce=1))
    assert [included.error for included in chain.produce()] == [None, "Commitments.TooManyFieldsInCommitmentInfo"]


def test_the_pool_refuses_a_commitment_of_an_unregistered_hotkey() -> None:
    chain = node()
    with pytest.raises(InvalidExtrinsic, match="Custom error: 19"):
        chain.submit(_commit(chain, {"Raw1": b"a"}, signer="//Unregistered"))


def test_3100_bytes_are_taken_in_an_epoch_and_again_in_the_next() -> None:
    chain = node(world(tempo=5))
    chain.produce()
    for nonce in range(25):
        chain.submit(_commit(chain, {"Raw128": b"x" * 128}, nonce=nonce))
    outcomes = [included.error for included in chain.produce()]
    assert outcomes == [None] * 24 + ["Commitments.SpaceLimitExceeded"]
    while chain.subnet.get("SubnetEpochIndex") == 0:
        chain.produce()
    chain.submit(_commit(chain, {"Raw128": b"x" * 128}, nonce=25))
    assert chain.produce()[0].error is None


NOW = 1_800_000_000
ROUND = drand.round_at(NOW) + 1
SEALED = b"\xff sealed"


def _sealed_chain(*fields: Any, opened: bytes | None) -> ChainNode:
    """Return a chain whose next block comes before the round, and the one after it with the round."""
    chain = node(world(genesis_timestamp=NOW - 1, drand_delay=0), seconds=2)
    if opened is not None:
        chain.escrow.put(SEALED, opened)
    chain.produce()
    chain.submit(_commit(chain, *fields, {"TimelockEncrypted": {"encrypted": SEALED, "reveal_round": ROUND}}))
    assert chain.produce()[0].error is None
    assert "TimelockEncrypted" in repr(chain.blocks.state(None).get("Commitments", "CommitmentOf", 20, OTHER))
    for _ in range(3):
        chain.produce()
    return chain


def test_a_sealed_commitment_is_revealed_with_its_round() -> None:
    state = _sealed_chain(opened=b"acme/secret").blocks.state(None)
    ((data, block),) = state.get("Commitments", "RevealedCommitments", 20, OTHER)
    assert (plain_bytes(data), block in (3, 4, 5)) == (b"acme/secret", True)
    assert state.get("Commitments", "CommitmentOf", 20, OTHER) is None
    assert state.get("Commitments", "TimelockedIndex") in ([], ())


def test_other_fields_of_a_sealed_commitment_stay() -> None:
    state = _sealed_chain({"Raw4": b"open"}, opened=b"acme/secret").blocks.state(None)
    assert "TimelockEncrypted" not in repr(state.get("Commitments", "CommitmentOf", 20, OTHER))
    assert len(state.get("Commitments", "CommitmentOf", 20, OTHER)["info"]["fields"]) == 1


def test_what_cannot_be_opened_stays_as_failed() -> None:
    state = _sealed_chain(opened=None).blocks.state(None)
    assert state.get("Commitments", "RevealedCommitments", 20, OTHER) is None
    assert "TimelockRevealFailed" in repr(state.get("Commitments", "CommitmentOf", 20, OTHER))


SPACES: dict[str, tuple[list[Any], int]] = {
    "nothing": ([], 100),
    "short": ([{"Raw5": b"hello"}], 100),
    "several": ([{"Raw128": b"x" * 128}, {"Sha256": b"y" * 32}], 160),
    "big": ([{"BigRaw": "0x" + "00" * 300}], 300),
    "sealed": ([{"TimelockEncrypted": {"encrypted": b"z" * 200, "reveal_round": 9}}], 200),
    "flags": (["None", "ResetBondsFlag"], 100),
}


@pytest.mark.parametrize(("fields", "expected"), SPACES.values(), ids=SPACES.keys())
def test_space_of_fields(fields: list[Any], expected: int) -> None:
    assert space(fields) == expected
