"""Whose turn it is to submit for a hotkey: one transaction at a time, also of other subnets' validators.

The transactions of one account are numbered. Two that are signed at once have the same number, and one is refused. A
Lease with the hotkey's name is held while one is under way; the validators of all subnets in the namespace share it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from bitagent_crds.names import turn_lease
from bitagent_kube.client import Client
from bitagent_kube.lease import Lease, LeaseLost
from bitagent_kube.objects import ObjectReference

log = logging.getLogger(__name__)

WAIT_SECONDS = 120.0
"""How long to wait for the turn. Then the row is sent without it: a Lease that cannot be had must not cost the weights,
and two transactions at once cost at most one that is signed again."""


class Turns:
    """The turns of one hotkey. Its Lease is deleted with the Validator that held it last, and made when needed."""

    def __init__(self, client: Client, *, hotkey: str, identity: str, owner: ObjectReference) -> None:
        self._client = client
        self._owner = owner
        self._name = turn_lease(hotkey)
        self._identity = identity
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the turn, and hold it for a `with` block."""
        async with self._lock:
            lease = Lease(self._client, name=self._name, identity=self._identity, owner=self._owner)
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await lease.acquire(waiting=lambda holder: log.info("waiting for the turn: %s submits", holder))
            except TimeoutError:
                log.warning("no turn within %g s: the row is sent without it", WAIT_SECONDS)
                yield
                return
            kept = asyncio.create_task(lease.keep())
            try:
                yield
            finally:
                kept.cancel()
                # A turn that was lost meanwhile costs at most one refused transaction, which is signed again.
                with suppress(asyncio.CancelledError, LeaseLost):
                    await kept
                await lease.release()
