"""What one endpoint shows of the chain: all of it, what a node knows that is some blocks behind, or an old branch."""

from __future__ import annotations

from bitagent_local.chain import extrinsics
from bitagent_local.chain.blocks import Block, UnknownBlock
from bitagent_local.chain.extrinsics import Extrinsic
from bitagent_local.chain.node import ChainNode
from bitagent_local.chain.scale import to_hex
from bitagent_local.chain.storage import View


class Peer:
    """A node of the network. Extrinsics that are given to it reach the author at once, unless it is isolated."""

    def __init__(self, chain: ChainNode) -> None:
        self.chain = chain
        self.lag = 0
        """Blocks that this node is behind the author."""
        self.isolated = False
        """Whether the extrinsics that this node takes reach no other."""
        self._stuck: tuple[Block, Block] | None = None

    def submit(self, raw: bytes) -> Extrinsic:
        """Take an extrinsic. Raises InvalidExtrinsic if it is not admitted."""
        if self.isolated:
            return extrinsics.admit(raw, runtime=self.chain.runtime, blocks=self.chain.blocks)
        return self.chain.submit(raw)

    @property
    def stuck(self) -> bool:
        """Whether this node gets no more blocks; it stays on its branch when the chain leaves that."""
        return self._stuck is not None

    @stuck.setter
    def stuck(self, stuck: bool) -> None:
        self._stuck = (self.head, self.finalized) if stuck else None

    @property
    def head(self) -> Block:
        """The newest block that this node has."""
        if self._stuck:
            return self._stuck[0]
        newest = self.chain.blocks.head
        if not self.lag:
            return newest
        return self.chain.blocks.numbered(newest.number - self.lag) or self.chain.blocks.genesis

    @property
    def finalized(self) -> Block:
        """The newest final block that this node has."""
        if self._stuck:
            return self._stuck[1]
        final, head = self.chain.finalized, self.head
        return final if final.number <= head.number else head

    def numbered(self, number: int) -> Block | None:
        """Return the block of this number on this node's branch, if it has one."""
        head = self.head
        if number > head.number:
            return None
        best = self.chain.blocks.numbered(head.number)
        if best is not None and best.hash == head.hash:
            return self.chain.blocks.numbered(number)
        block = head
        while block.number > number:
            block = self.chain.blocks.find(block.parent)
        return block if block.number == number else None

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
