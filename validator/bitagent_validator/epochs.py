"""Epochs: how finalised blocks are cut into the periods of a competition. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """One period of a competition."""

    number: int
    """Counted from block 0 on, so that it names the same epoch on every validator and after every restart."""
    block: int
    """Its first block; that block's hash is the seed of its tasks."""


def epoch_at(block: int, *, every_blocks: int, offset: int) -> Epoch | None:
    """The epoch that a block belongs to; None before the first one begins.

    An epoch begins at each block that is a multiple of `every_blocks`, plus `offset`.
    """
    if every_blocks < 1 or offset < 0:
        raise ValueError(f"an epoch has at least one block and no negative offset: {every_blocks=}, {offset=}")
    number = (block - offset) // every_blocks
    return Epoch(number, number * every_blocks + offset) if number >= 0 else None
