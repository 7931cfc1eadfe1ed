"""Blocks and the chain of them: headers for ever, states for the last few hundred, as a pruning node keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bitagent_local.chain.scale import blake2_256, compact, to_hex
from bitagent_local.chain.storage import View

#: How many of the newest blocks keep their state (a default substrate node keeps 256).
STATES_KEPT = 256


@dataclass(frozen=True)
class Block:
    """One sealed block."""

    number: int
    parent: bytes
    extrinsics: tuple[bytes, ...]
    state_root: bytes
    #: Folded into the extrinsics root of the genesis, so that chains of different make never share a genesis hash.
    salt: bytes = b""
    extrinsics_root: bytes = field(init=False)
    hash: bytes = field(init=False)

    def __post_init__(self) -> None:
        root = blake2_256(self.salt + b"".join(self.extrinsics))
        no_digest = compact(0)
        object.__setattr__(self, "extrinsics_root", root)
        object.__setattr__(
            self, "hash", blake2_256(self.parent + compact(self.number) + self.state_root + root + no_digest)
        )

    def header(self) -> dict[str, Any]:
        """The header as JSON-RPC gives it."""
        return {
            "parentHash": to_hex(self.parent),
            "number": hex(self.number),
            "stateRoot": to_hex(self.state_root),
            "extrinsicsRoot": to_hex(self.extrinsics_root),
            "digest": {"logs": []},
        }


class UnknownBlock(LookupError):
    """No block has this hash."""


class PrunedState(LookupError):
    """The block is known, its state is no longer kept."""


class Blocks:
    """The one branch there is. Numbers between the genesis and the start block do not exist."""

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
        """Make a block the head, and forget the oldest state beyond what is kept."""
        self._by_number[block.number] = self._by_hash[block.hash] = self._head = block
        self._states[block.hash] = state
        while len(self._states) > STATES_KEPT:
            self._states.pop(next(iter(self._states)))

    def numbered(self, number: int) -> Block | None:
        """The block of this number, if there is one."""
        return self._by_number.get(number)

    def find(self, block_hash: bytes | None) -> Block:
        """The block of this hash, or the head.

        Raises:
            UnknownBlock: no such block.
        """
        if block_hash is None:
            return self.head
        if block_hash not in self._by_hash:
            raise UnknownBlock(to_hex(block_hash))
        return self._by_hash[block_hash]

    def state(self, block_hash: bytes | None) -> View:
        """The state after a block.

        Raises:
            UnknownBlock: no such block.
            PrunedState: it is too old.
        """
        block = self.find(block_hash)
        if block.hash not in self._states:
            raise PrunedState(to_hex(block.hash))
        return self._states[block.hash]
