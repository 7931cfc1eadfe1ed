"""Blocks to epochs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_validator.epochs import Epoch, epoch_at


@pytest.mark.parametrize(
    ("block", "every", "offset", "expected"),
    [
        pytest.param(0, 100, 0, Epoch(0, 0), id="the genesis begins epoch 0"),
        pytest.param(99, 100, 0, Epoch(0, 0), id="last block of an epoch"),
        pytest.param(100, 100, 0, Epoch(1, 100), id="first block of the next"),
        pytest.param(6, 100, 7, None, id="before the offset there is none"),
        pytest.param(7, 100, 7, Epoch(0, 7), id="the offset begins epoch 0"),
        pytest.param(106, 100, 7, Epoch(0, 7), id="the offset shifts the end too"),
        pytest.param(4_000_000, 1, 0, Epoch(4_000_000, 4_000_000), id="an epoch of one block"),
        pytest.param(250, 100, 150, Epoch(1, 250), id="an offset longer than an epoch"),
    ],
)
def test_epoch_of_a_block(block: int, every: int, offset: int, expected: Epoch | None) -> None:
    assert epoch_at(block, every_blocks=every, offset=offset) == expected


@given(block=st.integers(0, 2**40), every=st.integers(1, 10**6), offset=st.integers(0, 10**6))
def test_a_block_is_in_its_epoch_and_in_no_other(block: int, every: int, offset: int) -> None:
    epoch = epoch_at(block, every_blocks=every, offset=offset)
    if epoch is None:
        assert block < offset
        return
    assert epoch.block <= block < epoch.block + every
    assert (epoch.block - offset) % every == 0
    assert epoch_at(epoch.block, every_blocks=every, offset=offset) == epoch


@pytest.mark.parametrize(("every", "offset"), [(0, 0), (-1, 0), (10, -1)])
def test_impossible_schedules_are_refused(every: int, offset: int) -> None:
    with pytest.raises(ValueError, match="at least one block"):
        epoch_at(1, every_blocks=every, offset=offset)
