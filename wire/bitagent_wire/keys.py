"""Crypto types of hotkeys, the protocol of a signer, and the verification of a signature."""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

import bittensor_core
from pydantic import TypeAdapter, ValidationError

from bitagent_crds.fields import Hotkey

_HOTKEY = TypeAdapter[str](Hotkey)


class CryptoType(IntEnum):
    """The kind of a key, by the number that keyfiles have."""

    ED25519 = 0
    SR25519 = 1

    @property
    def scheme(self) -> str:
        """The name in headers and signed texts."""
        return self.name.lower()


class Signer(Protocol):
    """What signs: the SDK's key pairs are signers."""

    @property
    def ss58_address(self) -> str:
        """The hotkey."""
        ...

    @property
    def crypto_type(self) -> int:
        """A value of CryptoType."""
        ...

    def sign(self, data: bytes, /) -> bytes:
        """Return the signature of some bytes."""
        ...


def verified(payload: bytes, signature: bytes, *, hotkey: str, crypto: CryptoType) -> bool:
    """Whether a signature of the payload is the hotkey's; False also for a hotkey or signature of no valid form."""
    if not valid_hotkey(hotkey):
        return False
    try:
        return bool(bittensor_core.verify(payload, signature, hotkey, int(crypto)))
    except (ValueError, TypeError):
        return False


def valid_hotkey(text: str) -> bool:
    """Whether a text has the form of a hotkey; its checksum is not examined."""
    try:
        _HOTKEY.validate_python(text)
    except ValidationError:
        return False
    return True


def to_hex(signature: bytes) -> str:
    """Return a signature as headers have it."""
    return f"0x{bytes(signature).hex()}"


def from_hex(text: str) -> bytes | None:
    """Return a signature from a header; None if the text is not the hex form of 64 bytes."""
    digits = text.removeprefix("0x")
    if len(digits) != 128:
        return None
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return None
