"""The seed of a block's hash and a secret: who can know it, and when."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bitagent_crds.evalround import EvalRoundStatus
from bitagent_crds.seeds import SeedError, SeedFrom, mixed_seed, secret_digest
from bitagent_crds.tasks import Tasks

NOW = "2026-01-01T00:00:00Z"
HASH, SECRET = "0x" + "ab" * 32, "cd" * 32
SOURCES = [{"bfcl": {"categories": ["multiple"]}}]


def seed_from(**changes: Any) -> dict[str, Any]:
    return {"block": 7, "secretDigest": secret_digest(SECRET), "blockHash": HASH, "secret": SECRET} | changes


def tasks(**changes: Any) -> Tasks:
    return Tasks.model_validate({"sources": SOURCES, "count": 1} | changes)


def test_the_seed_is_the_digest_of_both() -> None:
    expected = "0x" + hashlib.sha256(bytes.fromhex("ab" * 32 + "cd" * 32)).hexdigest()
    assert mixed_seed(HASH, SECRET) == expected
    assert tasks(seedFrom=seed_from()).known_seed() == expected


def test_a_given_seed_is_known() -> None:
    assert tasks(seed="1").known_seed() == "1"


def test_a_secret_is_committed_to_by_its_bytes() -> None:
    assert secret_digest(SECRET) == "sha256:" + hashlib.sha256(bytes([0xCD] * 32)).hexdigest()


@pytest.mark.parametrize(
    ("changes", "revealed"),
    [
        pytest.param({"blockHash": None, "secret": None}, False, id="neither"),
        pytest.param({"secret": None}, False, id="the block's hash alone"),
        pytest.param({"blockHash": None}, False, id="the secret alone"),
        pytest.param({"secret": "ce" * 32}, True, id="another secret"),
        pytest.param({"secretDigest": "sha256:" + "0" * 64}, True, id="another digest"),
    ],
)
def test_a_seed_that_is_not_known(changes: dict[str, Any], revealed: bool) -> None:
    made = SeedFrom.model_validate(seed_from(**changes))
    assert made.revealed == revealed
    with pytest.raises(SeedError):
        made.seed()


@pytest.mark.parametrize("changes", [{}, {"seed": "1", "seedFrom": seed_from()}], ids=["none", "two"])
def test_tasks_have_one_seed(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="exactly one of seed and seedFrom"):
        tasks(**changes)


@pytest.mark.parametrize(
    ("block_hash", "secret"),
    [
        pytest.param("0xabc", SECRET, id="short hash"),
        pytest.param(HASH, SECRET + "00", id="long secret"),
        pytest.param(HASH, "g" * 64, id="no hex"),
    ],
)
def test_only_32_bytes_each_are_mixed(block_hash: str, secret: str) -> None:
    """Otherwise digits could move from one to the other, and two pairs would give one seed."""
    with pytest.raises(SeedError):
        mixed_seed(block_hash, secret)


@given(one=st.binary(min_size=32, max_size=32), other=st.binary(min_size=32, max_size=32))
def test_another_secret_is_another_seed(one: bytes, other: bytes) -> None:
    assert (mixed_seed(HASH, one.hex()) == mixed_seed(HASH, other.hex())) == (one == other)


@pytest.mark.parametrize(
    ("status", "fixed"),
    [
        pytest.param({}, False, id="not started"),
        pytest.param({"results": [{"model": "a"}]}, False, id="not frozen"),
        pytest.param({"startedAt": NOW, "results": [{"model": "a"}]}, False, id="one is not resolved"),
        pytest.param({"startedAt": NOW, "results": [{"model": "a", "commit": "a" * 40}]}, True, id="all have commits"),
        pytest.param({"startedAt": NOW, "results": [{"model": "a", "state": "Rejected"}]}, True, id="takes no part"),
    ],
)
def test_when_the_models_of_a_round_are_fixed(status: dict[str, Any], fixed: bool) -> None:
    assert EvalRoundStatus.model_validate(status).models_fixed == fixed
