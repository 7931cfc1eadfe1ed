"""Blocks whose state is no longer kept."""

from __future__ import annotations

import pytest

from bitagent_local.chain.blocks import STATES_KEPT, PrunedState, UnknownBlock
from bitagent_local.chain.testing import node


def test_old_states_are_pruned_and_headers_kept() -> None:
    chain = node()
    for _ in range(STATES_KEPT + 1):
        chain.produce()
    genesis = chain.blocks.genesis.hash
    assert chain.blocks.find(genesis).number == 0
    with pytest.raises(PrunedState):
        chain.blocks.state(genesis)
    with pytest.raises(UnknownBlock):
        chain.blocks.find(bytes(32))
