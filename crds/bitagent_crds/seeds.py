"""The seed of a task set that cannot be known before the models of the round are fixed.

It mixes the hash of a block that does not exist yet when the set of models is frozen, which no one can choose, with a
secret that the validator has committed to by its digest, which no one else can know. Both are published together once
the block is final and the set is frozen, so that the task set can be built again by anyone.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import Field

from bitagent_crds.fields import Count, Digest
from bitagent_crds.schema import Model, Schema, cel, rules
from bitagent_crds.texts import digest_of

BlockHash = Annotated[str, Field(max_length=66, pattern=r"^0x[0-9a-f]{64}$")]
"""Hash of a block: 32 bytes in hex."""
SeedSecret = Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]{64}$")]
"""32 bytes in hex."""

FROZEN_MESSAGE = "tasks is immutable; create a new EvalRound instead"


class SeedError(ValueError):
    """Raised when a seed is not known yet or does not follow from what was committed to; the message says why."""


def _fixed(field: str) -> Schema:
    return cel(f"self.{field} == oldSelf.{field}", FROZEN_MESSAGE, reason="FieldValueForbidden")


def _added_once(field: str) -> Schema:
    rule = f"!has(oldSelf.{field}) || (has(self.{field}) && self.{field} == oldSelf.{field})"
    return cel(rule, f"{field} is immutable once it is set", reason="FieldValueForbidden")


class SeedFrom(Model):
    """A seed of a future block's hash and a secret: `0x` and the SHA-256 of both, 32 bytes each, in this order.

    `blockHash` and `secret` are added together, once, when the block is final and every model is fixed.
    """

    model_config = {
        "json_schema_extra": rules(
            cel("has(self.blockHash) == has(self.secret)", "blockHash and secret must be set together"),
            _fixed("block"),
            _fixed("secretDigest"),
            _added_once("blockHash"),
            _added_once("secret"),
        )
    }

    block: Count
    """block is the number of the block whose hash is used; commits of models must not be later."""
    secret_digest: Digest
    """secretDigest is the SHA-256 of the secret's 32 bytes."""
    block_hash: BlockHash | None = None
    """blockHash is the hash of the block; absent until the block is final and the models are fixed."""
    secret: SeedSecret | None = None
    """secret is the validator's secret, in hex; absent as long as blockHash is."""

    @property
    def revealed(self) -> bool:
        """Whether block hash and secret are known."""
        return self.block_hash is not None and self.secret is not None

    def seed(self) -> str:
        """Return the seed. Raises SeedError if it is not known yet, or if the secret is not the one committed to."""
        if self.block_hash is None or self.secret is None:
            raise SeedError(f"the seed is not known before the hash of block {self.block} and the secret are published")
        if secret_digest(self.secret) != self.secret_digest:
            raise SeedError(f"tasks.seedFrom.secret does not have the digest {self.secret_digest} of secretDigest")
        return mixed_seed(self.block_hash, self.secret)


def secret_digest(secret: str) -> str:
    """Return the digest by which a validator commits to a secret, given in hex."""
    return digest_of(bytes.fromhex(secret))


def mixed_seed(block_hash: str, secret: str) -> str:
    """Return the seed of a block's hash and a secret. Raises SeedError unless both are 32 bytes in hex."""
    try:
        parts = bytes.fromhex(block_hash.removeprefix("0x")), bytes.fromhex(secret.removeprefix("0x"))
    except ValueError as error:
        raise SeedError("block hash and secret must be hex digits") from error
    if any(len(part) != 32 for part in parts):
        raise SeedError("block hash and secret must have 64 hex digits each")
    return "0x" + hashlib.sha256(b"".join(parts)).hexdigest()
