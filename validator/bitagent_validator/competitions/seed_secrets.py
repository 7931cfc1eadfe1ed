"""Secrets of seeds: derived, never stored, so that a pod that replaces this one has them, too.

The secret of a round is the HMAC-SHA256 of what the round is, under a key that is secret itself: one derived from the
hotkey, or the content of the Secret that a competition names, with which several validators draw the same tasks. A
block is the seed's block of one round only, so no secret that was published is ever used again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from pathlib import Path

from bitagent_crds.validator import Competition

SEEDS_DIR = Path("/etc/bitagent/seeds")
"""Where the operator mounts the Secrets of `tasks.secretRef`, one file named after each competition."""
MIN_BYTES = 32
"""Smallest size of a shared key: a shorter one might be guessed."""
MAX_BYTES = 64 * 1024


class SecretUnavailable(Exception):
    """The key of a competition's secrets cannot be used; the message says what to do."""


@dataclass(frozen=True)
class SeedSecrets:
    """The secrets of one Validator's rounds."""

    own_key: bytes
    """Derived from the hotkey; see `wallet.load_seed_key`."""
    validator_uid: str
    netuid: int
    directory: Path = SEEDS_DIR

    def secret(self, competition: Competition, *, block: int, genesis: str) -> str:
        """Return the secret, 64 hex digits, of the round whose seed uses this block of the chain.

        Raises SecretUnavailable if the competition names a Secret that cannot be read.
        """
        # Validators that share a key also share the chain, the subnet and the competition's id, and nothing else.
        parts: list[str | int] = ["bitagent seed 1", genesis, self.netuid, competition.id, block]
        if competition.round.tasks.secret_ref is not None:
            return _mac(self._shared_key(competition), parts)
        return _mac(self.own_key, [*parts, self.validator_uid])

    def pool_seed(self, competition: Competition, *, period: int, genesis: str) -> str:
        """Return the seed, 64 hex digits, of the tasks that are asked online in a period.

        No round has it, and nothing that rounds publish tells it. Raises SecretUnavailable as `secret` does.
        """
        parts: list[str | int] = ["bitagent pool 1", genesis, self.netuid, competition.id, period]
        if competition.round.tasks.secret_ref is not None:
            return _mac(self._shared_key(competition), parts)
        return _mac(self.own_key, [*parts, self.validator_uid])

    def _shared_key(self, competition: Competition) -> bytes:
        path = self.directory / competition.id
        try:
            with path.open("rb") as file:
                key = file.read(MAX_BYTES).strip()
        except OSError as error:
            raise SecretUnavailable(
                f"the Secret of competition {competition.id} (tasks.secretRef) cannot be read: {error.strerror}"
            ) from None
        if len(key) < MIN_BYTES:
            raise SecretUnavailable(
                f"the Secret of competition {competition.id} (tasks.secretRef) has {len(key)} bytes, and needs "
                f"{MIN_BYTES}: generate it with `openssl rand -hex 32`"
            )
        return key


def _mac(key: bytes, parts: list[str | int]) -> str:
    return hmac.new(key, json.dumps(parts).encode(), hashlib.sha256).hexdigest()
