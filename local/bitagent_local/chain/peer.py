"""What one endpoint shows of the chain: all of it, or what a node knows that is some blocks behind."""

from __future__ import annotations

from bitagent_local.chain.blocks import Block, UnknownBlock
from bitagent_local.chain.node import ChainNode
from bitagent_local.chain.scale import to_hex
from bitagent_local.chain.storage import View


class Peer:
    """A node of the network. Extrinsics that are given to it reach the author at once."""

    def __init__(self, chain: ChainNode) -> None:
        self.chain = chain
        self.lag = 0
        """Blocks that this node is behind the author."""

    @property
    def head(self) -> Block:
        """The newest block that this node has."""
        newest = self.chain.blocks.head
        if not self.lag:
            return newest
        return self.chain.blocks.numbered(newest.number - self.lag) or self.chain.blocks.genesis

    @property
    def finalized(self) -> Block:
        """The newest final block that this node has."""
        final, head = self.chain.finalized, self.head
        return final if final.number <= head.number else head

    def numbered(self, number: int) -> Block | None:
        """Return the block of this number, if this node has it."""
        return self.chain.blocks.numbered(number) if number <= self.head.number else None

    def find(self, block_hash: bytes | None) -> Block:
        """Return the block of this hash, or the head. Raises UnknownBlock if this node has none such."""
        if block_hash is None:
            return self.head
        block = self.chain.blocks.find(block_hash)
        if block.number > self.head.number:
            raise UnknownBlock(to_hex(block_hash))
        return block

    def state(self, block_hash: bytes | None) -> View:
        """Return the state after a block.

        Raises UnknownBlock if this node has no such block, PrunedState if it is too old.
        """
        return self.chain.blocks.state(self.find(block_hash).hash)
