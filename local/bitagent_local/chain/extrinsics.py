"""Signed extrinsics: decoding, and the checks of a node that need no state. Nonces and fees are the pool's.

The signature covers the call, the era, the nonce, the tip, the runtime's versions and the genesis hash, so a client
that signed for another chain, another runtime or another time is refused as having a bad signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bittensor_core

from bitagent_local.chain.blocks import Blocks
from bitagent_local.chain.runtime import Runtime
from bitagent_local.chain.scale import blake2_256, read_compact, sized

VERSION_4_SIGNED = 0x84
ADDRESS_ID = 0x00
SIGNATURE_SCHEMES = {0: bittensor_core.CRYPTO_ED25519, 1: bittensor_core.CRYPTO_SR25519}
"""The variants of MultiSignature that the SDK's keys use."""
SIGNED_HEAD = 1 + 33 + 65
"""Bytes of version, address variant and account, signature variant and signature."""


INVALID_TRANSACTION = 1010
TEMPORARILY_BANNED = 1012
ALREADY_IMPORTED = 1013
PRIORITY_TOO_LOW = 1014
"""Codes by which a substrate node refuses an extrinsic."""


class InvalidExtrinsic(Exception):
    """The pool refuses an extrinsic; the text is a substrate node's."""

    def __init__(self, text: str, *, code: int = INVALID_TRANSACTION) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Call:
    """The call of an extrinsic, with decoded arguments."""

    pallet: str
    function: str
    args: dict[str, Any]


@dataclass(frozen=True)
class Extrinsic:
    """A signed extrinsic that was admitted."""

    raw: bytes
    signer: str
    nonce: int
    call: Call
    dies_at: int | None = None
    """The first block that may not include it, because its era is over."""

    @property
    def hash(self) -> bytes:
        """The hash by which clients identify it."""
        return blake2_256(self.raw)


def timestamp_inherent(runtime: Runtime, milliseconds: int) -> bytes:
    """Return the unsigned extrinsic at the head of every block."""
    call = bytes(runtime.core.compose_call("Timestamp", "set", {"now": milliseconds}))
    return sized(b"\x04" + call)


def admit(raw: bytes, *, runtime: Runtime, blocks: Blocks) -> Extrinsic:
    """Decode an extrinsic and check its signature against the head.

    `blocks` has the genesis and the birth block that the signature covers.

    Raises InvalidExtrinsic if it cannot be decoded, is unsigned, has a wrong signature, or is too old.
    """
    try:
        decoded = runtime.core.decode_extrinsic(raw)
        length, start = read_compact(raw)
    except (ValueError, OverflowError) as error:
        raise InvalidExtrinsic(f"Transaction could not be decoded: {error}") from error
    body = raw[start : start + length]
    if "signature" not in decoded or len(body) < SIGNED_HEAD or (body[0], body[1]) != (VERSION_4_SIGNED, ADDRESS_ID):
        raise InvalidExtrinsic("Transaction dispatch is mandatory; transactions must not be validated.")
    era, birth_hash, dies_at = _era(decoded["era"], blocks)
    signed_over = {
        "era": era,
        "nonce": decoded["nonce"],
        "tip": decoded["tip"],
        "tip_asset_id": None,
        "genesis_hash": blocks.genesis.hash,
        "era_block_hash": birth_hash,
    }
    extra = bytes(runtime.core.signature_payload_parts(**signed_over)[0])
    if not body.startswith(extra, SIGNED_HEAD):
        raise InvalidExtrinsic("Transaction could not be decoded: unexpected signed extensions")
    payload = bytes(runtime.core.signature_payload(body[SIGNED_HEAD + len(extra) :], **signed_over))
    scheme, signature = body[34], body[35:SIGNED_HEAD]
    signer = str(decoded["address"])
    if scheme not in SIGNATURE_SCHEMES or not bittensor_core.verify(
        payload, signature, signer, SIGNATURE_SCHEMES[scheme]
    ):
        raise InvalidExtrinsic("Transaction has a bad signature")
    call = decoded["call"]
    args = {argument["name"]: argument["value"] for argument in call["call_args"]}
    made = Call(call["call_module"], call["call_function"], args)
    return Extrinsic(raw, signer, int(decoded["nonce"]), made, dies_at)


def _era(era: Any, blocks: Blocks) -> tuple[Any, bytes, int | None]:
    """Return the era as the payload encodes it, the hash of its birth block by the head, and the block of its end.

    For an extrinsic whose era has passed this is a later block, so its signature does not match, as on a real chain.
    """
    if era == "00":
        return "00", blocks.genesis.hash, None
    period, phase = era
    birth = (max(blocks.head.number, phase) - phase) // period * period + phase
    block = blocks.numbered(birth)
    if block is None:
        raise InvalidExtrinsic("Transaction has an ancient birth block")
    return {"period": period, "phase": phase}, block.hash, birth + period
