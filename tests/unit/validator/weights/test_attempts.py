"""Lifetimes of transactions."""

from __future__ import annotations

import pytest

from bitagent_validator.state.rows import ERA_BLOCKS
from bitagent_validator.weights.attempts import era_blocks


@pytest.mark.parametrize(
    ("passed", "era"),
    [
        pytest.param(0, 32, id="the best block is final"),
        pytest.param(8, 32, id="as many blocks as usual are not final"),
        pytest.param(9, 64, id="finality is slow"),
        pytest.param(32, 64, id="the usual lifetime has passed"),
        pytest.param(33, 128, id="and one block more"),
        pytest.param(9000, 4096, id="the chain has no longer lifetime"),
        pytest.param(-3, 32, id="the node has answered the second question later"),
    ],
)
def test_lifetimes(passed: int, era: int) -> None:
    assert era_blocks(best=10_000, final=10_000 - passed) == era


def test_what_is_left_is_long_enough() -> None:
    assert all(era_blocks(best=passed, final=0) - passed >= ERA_BLOCKS for passed in range(9, 4064))
