"""What was read of the chain last, and when it is read again: nodes limit the requests of one address."""

from __future__ import annotations

import asyncio

from bitagent_crds.validator import ValidatorSpec
from bitagent_validator.chain.connection import SubnetNotFound
from bitagent_validator.chain.facts import AccountFacts, Subnet
from bitagent_validator.chain.follower import Up
from bitagent_validator.wallet import Account

FACTS_SECONDS = 10.0
"""Minimum time between two reads of the subnet while the weights are current; otherwise it is read at every block."""
FACTS_BLOCKS = 3
"""The same in blocks: public endpoints limit the requests of one address."""
ACCOUNT_SECONDS = 300.0
"""Time between two reads of what is only reported."""


class Readings:
    """The last readings for one hotkey."""

    def __init__(self, account: Account) -> None:
        self.subnet: Subnet | None = None
        """None before the first reading, and if the chain has no such subnet."""
        self.missing = False
        """Whether the chain has no such subnet."""
        self.account: AccountFacts | None = None
        """What is only reported."""
        self._hotkey = account.hotkey
        self._read_at = 0.0
        self._account_at = 0.0

    async def read(self, spec: ValidatorSpec, chain: Up, *, urgent: bool) -> Subnet | None:
        """Return the subnet at the last finalised block, or a little older unless urgent; None if there is none.

        A node that is a few blocks behind the last one shows nothing newer, and is not asked. Raises ChainUnavailable.
        """
        now = asyncio.get_running_loop().time()
        old, mechanisms = self.subnet, spec.mechanisms
        pause = max(FACTS_SECONDS, FACTS_BLOCKS * chain.connection.block_seconds)
        known = old is not None and (old.me is None or old.mechanisms.keys() >= set(mechanisms))
        if old and known and (old.block >= chain.block or (not urgent and now - self._read_at < pause)):
            return old
        try:
            self.subnet = await chain.connection.subnet(
                spec.netuid, hotkey=self._hotkey, block=chain.block, mechanisms=mechanisms
            )
        except SubnetNotFound:
            self.subnet, self.missing = None, True
            return None
        self.missing, self._read_at = False, now
        return self.subnet

    @property
    def account_due(self) -> bool:
        """Whether what is only reported has not been read for a while."""
        registered = self.subnet is not None and self.subnet.me is not None
        old = asyncio.get_running_loop().time() - self._account_at >= ACCOUNT_SECONDS
        return registered and (self.account is None or old)

    async def read_account(self, spec: ValidatorSpec, chain: Up) -> None:
        """Read balance and trust. Raises ChainUnavailable."""
        now = asyncio.get_running_loop().time()
        if self.subnet and self.subnet.me:
            self.account = await chain.connection.account(spec.netuid, self.subnet.me)
            self._account_at = now
