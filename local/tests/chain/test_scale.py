"""The hand-written SCALE encodings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_local.chain import scale


@given(value=st.integers(0, (1 << 30) - 1), before=st.binary(max_size=3))
def test_compact_round_trip(value: int, before: bytes) -> None:
    encoded = scale.compact(value)
    assert scale.read_compact(before + encoded, len(before)) == (value, len(before) + len(encoded))


@pytest.mark.parametrize("value", [-1, 1 << 30], ids=["negative", "too large"])
def test_compact_refuses(value: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        scale.compact(value)
