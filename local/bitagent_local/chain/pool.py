"""The pool: extrinsics that wait for a block, in the order of their nonces.

As in a substrate node, an extrinsic whose nonce lies ahead is parked until those before it have come; the same bytes
are taken once; one that a block found invalid is banned for a while.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from bitagent_local.chain.extrinsics import (
    ALREADY_IMPORTED,
    PRIORITY_TOO_LOW,
    TEMPORARILY_BANNED,
    Extrinsic,
    InvalidExtrinsic,
)

BANNED_KEPT = 1000
LIMIT = 8192
"""Extrinsics in a pool, ready and parked together; the default of a substrate node."""

NonceOf = Callable[[str], int]
"""The nonce of an account in the state."""


class Pool:
    """Extrinsics that were admitted and are in no block yet."""

    def __init__(self) -> None:
        self.ready: list[Extrinsic] = []
        self.parked: list[Extrinsic] = []
        self._tags: dict[bytes, Hashable] = {}
        self._banned: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self.ready) + len(self.parked)

    def pending(self, account: str) -> int:
        """Return how many extrinsics of an account are ready."""
        return sum(extrinsic.signer == account for extrinsic in self.ready)

    def refuse_known(self, extrinsic: Extrinsic) -> None:
        """Raise InvalidExtrinsic for bytes that are there already, or banned; this comes before all other checks."""
        if extrinsic.hash in self._banned:
            raise InvalidExtrinsic("Transaction is temporarily banned", code=TEMPORARILY_BANNED)
        if any(other.raw == extrinsic.raw for other in (*self.ready, *self.parked)):
            raise InvalidExtrinsic("Transaction is already imported", code=ALREADY_IMPORTED)

    def add(self, extrinsic: Extrinsic, *, nonce_of: NonceOf, tag: Hashable | None) -> None:
        """Take an extrinsic. Of those with the same tag, which is what they compete for, the pool holds one.

        Raises InvalidExtrinsic if it is stale, or competes with one that is there.
        """
        if extrinsic.nonce < nonce_of(extrinsic.signer):
            raise InvalidExtrinsic("Transaction is outdated")
        for other in (*self.ready, *self.parked):
            same_nonce = (other.signer, other.nonce) == (extrinsic.signer, extrinsic.nonce)
            if same_nonce or (tag is not None and self._tags.get(other.hash) == tag):
                text = "The transaction has too low priority to replace another transaction already in the pool."
                raise InvalidExtrinsic(text, code=PRIORITY_TOO_LOW)
        if len(self) >= LIMIT:
            raise InvalidExtrinsic("Transaction pool is full", code=PRIORITY_TOO_LOW)
        if tag is not None:
            self._tags[extrinsic.hash] = tag
        self.parked.append(extrinsic)
        self._promote(nonce_of)

    def take(self, *, block: int, nonce_of: NonceOf) -> tuple[list[Extrinsic], list[Extrinsic]]:
        """Return the ready extrinsics for a block, and those whose era is over; both leave the pool."""
        everything = [*self.ready, *self.parked]
        over = [extrinsic for extrinsic in everything if extrinsic.dies_at is not None and block >= extrinsic.dies_at]
        gone = {extrinsic.hash for extrinsic in over}
        self.ready, self.parked = [], [extrinsic for extrinsic in everything if extrinsic.hash not in gone]
        self._promote(nonce_of)
        taken, self.ready = self.ready, []
        for extrinsic in (*taken, *over):
            self._tags.pop(extrinsic.hash, None)
        return taken, over

    def give_back(self, extrinsics: list[Extrinsic], *, nonce_of: NonceOf) -> None:
        """Put extrinsics back, of a block that the best branch has left, or behind an invalid one."""
        self.parked = [*extrinsics, *self.ready, *self.parked]
        self.ready = []
        self._promote(nonce_of)

    def ban(self, extrinsic: Extrinsic) -> None:
        """Refuse these bytes from now on."""
        self._banned[extrinsic.hash] = None
        while len(self._banned) > BANNED_KEPT:
            self._banned.popitem(last=False)

    def _promote(self, nonce_of: NonceOf) -> None:
        """Move what has its turn from the parked to the ready ones."""
        expected: dict[str, int] = {}
        for extrinsic in self.ready:
            expected[extrinsic.signer] = extrinsic.nonce + 1
        moved = True
        while moved:
            moved, waiting = False, []
            for extrinsic in self.parked:
                due = expected.setdefault(extrinsic.signer, nonce_of(extrinsic.signer))
                if extrinsic.nonce == due:
                    self.ready.append(extrinsic)
                    expected[extrinsic.signer] = due + 1
                    moved = True
                elif extrinsic.nonce > due:
                    waiting.append(extrinsic)
            self.parked = waiting
