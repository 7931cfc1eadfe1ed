"""Whose turn it is to submit for a hotkey: one transaction at a time, also of other subnets' validators.

The transactions of one account are numbered. Two that are signed at once have the same number, and one is refused. A
Lease with the hotkey's name is held while one is under way; the validators of all subnets in the namespace share it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from bitagent_kube.client import Client
from bitagent_kube.lease import Lease, LeaseLost

log = logging.getLogger(__name__)


def lease_name(netuid: int, hotkey: str) -> str:
    """Return the name of the Lease of the process that acts for a hotkey on a subnet.

    Names of objects are lower case and addresses are not, so that a digest keeps apart those that differ in case only.
    """
    return f"bitagent-{netuid}-{_short(hotkey)}"


def turn_lease_name(hotkey: str) -> str:
    """Return the name of the Lease that is held while a transaction of the hotkey is under way."""
    return f"bitagent-turn-{_short(hotkey)}"


def _short(hotkey: str) -> str:
    return f"{hotkey[:20].lower()}-{hashlib.sha256(hotkey.encode()).hexdigest()[:8]}"


class Turns:
    """The turns of one hotkey."""

    def __init__(self, client: Client, *, hotkey: str, identity: str) -> None:
        self._client = client
        self._name = turn_lease_name(hotkey)
        self._identity = identity
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the turn, and hold it for a `with` block."""
        async with self._lock:
            lease = Lease(self._client, name=self._name, identity=self._identity, owner=None)
            await lease.acquire(waiting=lambda holder: log.info("waiting for the turn: %s submits", holder))
            kept = asyncio.create_task(lease.keep())
            try:
                yield
            finally:
                kept.cancel()
                # A turn that was lost meanwhile costs at most one refused transaction, which is signed again.
                with suppress(asyncio.CancelledError, LeaseLost):
                    await kept
                await lease.release()
