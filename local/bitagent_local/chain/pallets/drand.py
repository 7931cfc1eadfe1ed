"""The drand beacon as the chain knows it: which rounds it has stored. There are no signatures here, only numbers."""

from __future__ import annotations

from bitagent_local.chain.storage import Storage, View

QUICKNET_GENESIS = 1_692_803_367
"""Unix seconds of round 1 of the network that the SDK encrypts for."""
PERIOD_SECONDS = 3


def round_at(unix_seconds: float) -> int:
    """Return the newest round at a time."""
    return max(0, int(unix_seconds - QUICKNET_GENESIS) // PERIOD_SECONDS + 1)


def last_stored(view: View) -> int:
    """Return the newest round that the chain has stored."""
    return int(view.get("Drand", "LastStoredRound"))


def store(storage: Storage, newest: int) -> None:
    """Store the rounds up to a number; a smaller number than before changes nothing."""
    if newest > last_stored(storage):
        storage.put("Drand", "LastStoredRound", (), newest)
