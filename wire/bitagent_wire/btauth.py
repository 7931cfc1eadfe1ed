"""btauth/1: requests signed as bittensor 11's `http_auth` does, and signatures of answers. Pure.

Source of the request's format: bittensor 11.3.0, `http_auth`; the tests compare with it byte by byte. Body, method and
target are covered. The SDK signs no answers: `answer/1` is this project's own, an optional header that others ignore.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from bitagent_wire.auth import AuthError, AuthFault
from bitagent_wire.keys import CryptoType, Signer, from_hex, to_hex, valid_hotkey, verified

VERSION = "X-Bittensor-Version"
HOTKEY = "X-Bittensor-Hotkey"
RECEIVER = "X-Bittensor-Receiver"
NONCE = "X-Bittensor-Nonce"
CRYPTO = "X-Bittensor-Crypto"
SIGNATURE = "X-Bittensor-Signature"
ANSWER_SIGNATURE = "X-Bitagent-Answer-Signature"

MAX_AGE_NS = 10 * 10**9
"""How old a request may be."""
MAX_AHEAD_NS = 2 * 10**9
"""How far the sender's clock may be ahead."""
_NONCE_DIGITS = 20


@dataclass(frozen=True)
class BtauthClaim:
    """What the headers of a request say, not verified."""

    hotkey: str
    receiver: str
    nonce: int
    crypto: CryptoType
    signature: bytes


def payload(
    *, crypto: CryptoType, method: str, target: str, body: bytes, nonce: int, sender: str, receiver: str
) -> bytes:
    """Return the bytes that are signed. `target` is the path and the query as sent, `nonce` a time in nanoseconds."""
    digest = hashlib.sha256(body).hexdigest()
    lines = ("btauth/1", crypto.scheme, method.upper(), target, digest, str(nonce), sender, receiver)
    # A server has bytes of a target that are no UTF-8 as surrogates; they are signed as they were sent.
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def headers(signer: Signer, *, method: str, target: str, body: bytes, receiver: str, nonce: int) -> dict[str, str]:
    """Return the headers of a signed request."""
    crypto = CryptoType(signer.crypto_type)
    sender = signer.ss58_address
    signed = payload(
        crypto=crypto, method=method, target=target, body=body, nonce=nonce, sender=sender, receiver=receiver
    )
    found = {
        VERSION: "1",
        HOTKEY: sender,
        RECEIVER: receiver,
        NONCE: str(nonce),
        SIGNATURE: to_hex(signer.sign(signed)),
    }
    return found if crypto is CryptoType.SR25519 else found | {CRYPTO: crypto.scheme}


def parse(received: Mapping[str, str]) -> BtauthClaim:
    """Return what the headers claim; names are compared as the mapping compares them. Raises AuthError."""
    if received.get(VERSION) != "1":
        raise AuthError(AuthFault.MALFORMED, f"{VERSION} is not 1")
    hotkey, nonce = received.get(HOTKEY, ""), received.get(NONCE, "")
    if not valid_hotkey(hotkey):
        raise AuthError(AuthFault.MALFORMED, f"{HOTKEY} is not a hotkey")
    if not (nonce.isascii() and nonce.isdigit() and len(nonce) <= _NONCE_DIGITS):
        raise AuthError(AuthFault.MALFORMED, f"{NONCE} is not a time in nanoseconds")
    scheme = received.get(CRYPTO, CryptoType.SR25519.scheme).lower()
    crypto = {each.scheme: each for each in CryptoType}.get(scheme)
    if crypto is None:
        raise AuthError(AuthFault.MALFORMED, f"{CRYPTO} is neither ed25519 nor sr25519")
    signature = from_hex(received.get(SIGNATURE, ""))
    if signature is None:
        raise AuthError(AuthFault.MALFORMED, f"{SIGNATURE} is not the hex form of 64 bytes")
    return BtauthClaim(hotkey, received.get(RECEIVER, ""), int(nonce), crypto, signature)


def verify(claim: BtauthClaim, *, method: str, target: str, body: bytes, own_hotkey: str, now: int) -> None:
    """Raise AuthError unless the request is for this hotkey, recent, and signed by the hotkey that it names.

    Whether it was accepted before is not known here. `now` is in nanoseconds.
    """
    if claim.receiver != own_hotkey:
        raise AuthError(AuthFault.WRONG_RECEIVER, f"{RECEIVER} is not this hotkey")
    if not -MAX_AHEAD_NS <= now - claim.nonce <= MAX_AGE_NS:
        raise AuthError(AuthFault.STALE, f"{NONCE} is more than 10 s old or 2 s ahead: is the clock right?")
    signed = payload(
        crypto=claim.crypto,
        method=method,
        target=target,
        body=body,
        nonce=claim.nonce,
        sender=claim.hotkey,
        receiver=claim.receiver,
    )
    if not verified(signed, claim.signature, hotkey=claim.hotkey, crypto=claim.crypto):
        raise AuthError(AuthFault.BAD_SIGNATURE, "the signature is not that of the hotkey")


def answer_payload(*, crypto: CryptoType, status: int, body: bytes, nonce: int, caller: str, sender: str) -> bytes:
    """Return the bytes that sign an answer; `nonce` and `caller` are the request's, `sender` is who answers."""
    digest = hashlib.sha256(body).hexdigest()
    return "\n".join(("answer/1", crypto.scheme, str(status), digest, str(nonce), caller, sender)).encode()


def answer_headers(signer: Signer, *, status: int, body: bytes, nonce: int, caller: str) -> dict[str, str]:
    """Return the headers of a signed answer."""
    crypto = CryptoType(signer.crypto_type)
    signed = answer_payload(
        crypto=crypto, status=status, body=body, nonce=nonce, caller=caller, sender=signer.ss58_address
    )
    found = {ANSWER_SIGNATURE: to_hex(signer.sign(signed)), NONCE: str(nonce)}
    return found if crypto is CryptoType.SR25519 else found | {CRYPTO: crypto.scheme}


def verify_answer(
    received: Mapping[str, str], *, status: int, body: bytes, nonce: int, caller: str, sender: str
) -> bool:
    """Return whether an answer is signed. Raises AuthError if it is signed wrongly, or signed for another request."""
    if ANSWER_SIGNATURE not in received:
        return False
    if received.get(NONCE, str(nonce)) != str(nonce):
        raise AuthError(AuthFault.REPLAYED, "the answer is one to another request")
    signature = from_hex(received[ANSWER_SIGNATURE])
    scheme = received.get(CRYPTO, CryptoType.SR25519.scheme).lower()
    crypto = {each.scheme: each for each in CryptoType}.get(scheme)
    if signature is None or crypto is None:
        raise AuthError(AuthFault.MALFORMED, "the answer's signature has no valid form")
    signed = answer_payload(crypto=crypto, status=status, body=body, nonce=nonce, caller=caller, sender=sender)
    if not verified(signed, signature, hotkey=sender, crypto=crypto):
        raise AuthError(AuthFault.BAD_SIGNATURE, "the answer's signature is not that of the hotkey asked")
    return True
