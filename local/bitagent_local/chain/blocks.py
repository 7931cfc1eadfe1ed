"""Blocks and their chain: all headers are kept, states only for the last few hundred, as in a pruning node."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bitagent_local.chain.scale import blake2_256, compact, sized, to_hex
from bitagent_local.chain.storage import View

PRE_RUNTIME, SEAL = b"\x06", b"\x05"
"""Kinds of digest items."""
STATES_KEPT = 256
"""Number of newest blocks whose state is kept; 256 is the default of a substrate node."""


@dataclass(frozen=True)
class Block:
    """One sealed block."""

    number: int
    parent: bytes
    extrinsics: tuple[bytes, ...]
    state_root: bytes
    salt: bytes = b""
    """Part of the genesis' extrinsics root, so that chains with different metadata never share a genesis hash."""
    digest: tuple[bytes, ...] = ()
    """Items of the header's digest, encoded: the slot and the author's seal."""
    extrinsics_root: bytes = field(init=False)
    hash: bytes = field(init=False)

    def __post_init__(self) -> None:
        root = blake2_256(self.salt + b"".join(self.extrinsics))
        digest = compact(len(self.digest)) + b"".join(self.digest)
        object.__setattr__(self, "extrinsics_root", root)
        object.__setattr__(
            self, "hash", blake2_256(self.parent + compact(self.number) + self.state_root + root + digest)
        )

    def header(self) -> dict[str, Any]:
        """Return the header as JSON-RPC carries it."""
        return {
            "parentHash": to_hex(self.parent),
            "number": hex(self.number),
            "stateRoot": to_hex(self.state_root),
            "extrinsicsRoot": to_hex(self.extrinsics_root),
            "digest": {"logs": [to_hex(item) for item in self.digest]},
        }


def aura_digest(slot: int, *, fork: int) -> tuple[bytes, ...]:
    """Return the digest of a block of an Aura chain; blocks of different forks differ by their seals."""
    engine = b"aura"
    seal = blake2_256(slot.to_bytes(8, "little") + fork.to_bytes(4, "little"))
    return (PRE_RUNTIME + engine + sized(slot.to_bytes(8, "little")), SEAL + engine + sized(seal + seal))


class UnknownBlock(LookupError):
    """No block has this hash."""


class PrunedState(LookupError):
    """The block exists, but its state is no longer kept."""


class Blocks:
    """The best branch of the chain, and blocks that it has left. None exist between genesis and start block."""

    def __init__(self) -> None:
        self._by_number: dict[int, Block] = {}
        self._by_hash: dict[bytes, Block] = {}
        self._states: dict[bytes, View] = {}
        self._head: Block | None = None

    @property
    def head(self) -> Block:
        """The newest block."""
        if self._head is None:
            raise UnknownBlock("the chain has no block yet")
        return self._head

    @property
    def genesis(self) -> Block:
        """Block 0."""
        return self._by_number[0]

    def append(self, block: Block, state: View) -> None:
        """Make a block the head, and drop the oldest state beyond `STATES_KEPT`."""
        self._by_number[block.number] = self._by_hash[block.hash] = self._head = block
        self._states[block.hash] = state
        while len(self._states) > STATES_KEPT:
            self._states.pop(next(iter(self._states)))

    def retract(self, ancestor: Block) -> list[Block]:
        """Make an earlier block the head again; return the blocks after it, which stay known by their hashes."""
        left = [self._by_number.pop(number) for number in sorted(self._by_number) if number > ancestor.number]
        self._head = ancestor
        return left

    def numbered(self, number: int) -> Block | None:
        """Return the block of this number, if there is one."""
        return self._by_number.get(number)

    def find(self, block_hash: bytes | None) -> Block:
        """Return the block of this hash, or the head. Raises UnknownBlock if there is no such block."""
        if block_hash is None:
            return self.head
        if block_hash not in self._by_hash:
            raise UnknownBlock(to_hex(block_hash))
        return self._by_hash[block_hash]

    def state(self, block_hash: bytes | None) -> View:
        """Return the state after a block.

        Raises UnknownBlock if there is no such block, PrunedState if it is too old.
        """
        block = self.find(block_hash)
        if block.hash not in self._states:
            raise PrunedState(to_hex(block.hash))
        return self._states[block.hash]
