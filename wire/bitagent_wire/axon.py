"""The wire of bittensor 10 and earlier, between an Axon and a Dendrite. Pure.

Sources: bittensor 10.5.0 (`axon`, `dendrite`, `synapse`), against which tests/integration runs both sides. What is
signed is nonce, both hotkeys, a uuid and a hash that is the same for all of BitAgent's messages: path and body are not
covered. Only sr25519 keys can sign.

Stricter than the reference: every nonce is a time, also of callers that name no version, and it may not be far ahead,
so that what was accepted has to be remembered for a bounded time only. More lenient: nonces of one uuid need not grow,
since one Dendrite that asks twice at once may arrive in either order.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bitagent_wire.auth import AuthError, AuthFault
from bitagent_wire.keys import CryptoType, Signer, from_hex, to_hex, valid_hotkey, verified

AXON = "bt_header_axon_"
DENDRITE = "bt_header_dendrite_"
STATUS_CODE = f"{AXON}status_code"
"""This header shows an Axon of the old wire, in all of its answers."""
BODY_HASH = hashlib.sha3_256(b"").hexdigest()
"""The hash over no fields, as BitAgent's messages declare none."""
WIRE_VERSION = 10_005_000
"""The version that we name: 10.5.0. Callers below 7.2.0 are treated in another way by the reference."""
WINDOW_NS = 4 * 10**9
"""How old a request may be, beyond its own time limit; and how far the sender's clock may be ahead."""
TIMEOUT_MAX_NS = 60 * 10**9
"""A time limit is not signed: more of it makes no request recent."""
MEMORY_NS = WINDOW_NS + TIMEOUT_MAX_NS
"""How long an accepted nonce must be remembered, whatever time limit its request names: with a longer one, the same
signature would be recent for so long."""
TIMEOUT_DEFAULT = 12.0
"""The reference's time limit in seconds of a caller that names none."""
_NONCE_DIGITS = 20
_UUID_MAX = 64


@dataclass(frozen=True)
class AxonClaim:
    """What the headers of a request say, not verified."""

    hotkey: str
    nonce: int
    uuid: str
    signature: bytes
    body_hash: str
    timeout_seconds: float
    """The caller's time limit."""


def payload(*, nonce: int, sender: str, receiver: str, uuid: str, body_hash: str = BODY_HASH) -> bytes:
    """Return the bytes that are signed; `nonce` is a time in nanoseconds."""
    return f"{nonce}.{sender}.{receiver}.{uuid}.{body_hash}".encode()


def request(
    signer: Signer,
    *,
    name: str,
    fields: Mapping[str, Any],
    required: tuple[str, ...],
    receiver: str,
    host: str,
    port: int,
    timeout_seconds: float,
    nonce: int,
    uuid: str,
) -> tuple[dict[str, str], bytes]:
    """Return headers and body of a signed request.

    `required` are the fields without a default: an Axon builds the message from the headers first, and needs an empty
    value of these there. Raises AuthError for a key that is not sr25519.
    """
    if signer.crypto_type != CryptoType.SR25519:
        raise AuthError(AuthFault.UNSUITED_KEY, "the old wire knows sr25519 keys only")
    sender = signer.ss58_address
    signature = to_hex(signer.sign(payload(nonce=nonce, sender=sender, receiver=receiver, uuid=uuid)))
    caller = {"version": WIRE_VERSION, "nonce": nonce, "uuid": uuid, "hotkey": sender, "signature": signature}
    asked = {"ip": host, "port": port, "hotkey": receiver}
    empty = {
        field: base64.b64encode(json.dumps(type(fields[field])()).encode()).decode()
        for field in required
        if field in fields
    }
    found = {
        "name": name,
        "timeout": str(timeout_seconds),
        "computed_body_hash": BODY_HASH,
        **{f"{AXON}{key}": str(value) for key, value in asked.items()},
        **{f"{DENDRITE}{key}": str(value) for key, value in caller.items()},
        **{f"bt_header_input_obj_{field}": value for field, value in empty.items()},
    }
    body = {"name": name, "timeout": timeout_seconds, "dendrite": caller, "axon": asked, **fields}
    return found, json.dumps(body, ensure_ascii=False).encode()


def parse(received: Mapping[str, str]) -> AxonClaim:
    """Return what the headers claim; names are compared as the mapping compares them. Raises AuthError."""
    hotkey, nonce = received.get(f"{DENDRITE}hotkey", ""), received.get(f"{DENDRITE}nonce", "")
    if not valid_hotkey(hotkey):
        raise AuthError(AuthFault.MALFORMED, f"{DENDRITE}hotkey is not a hotkey")
    if not (nonce.isascii() and nonce.isdigit() and len(nonce) <= _NONCE_DIGITS):
        raise AuthError(AuthFault.MALFORMED, f"{DENDRITE}nonce is not a time in nanoseconds")
    uuid = received.get(f"{DENDRITE}uuid", "")
    if not (0 < len(uuid) <= _UUID_MAX and uuid.isascii() and uuid.isprintable()):
        raise AuthError(AuthFault.MALFORMED, f"{DENDRITE}uuid is not a uuid")
    signature = from_hex(received.get(f"{DENDRITE}signature", ""))
    if signature is None:
        raise AuthError(AuthFault.MALFORMED, f"{DENDRITE}signature is not the hex form of 64 bytes")
    seconds = _seconds(received.get("timeout"))
    return AxonClaim(hotkey, int(nonce), uuid, signature, received.get("computed_body_hash", ""), seconds)


def verify(claim: AxonClaim, *, own_hotkey: str, now: int) -> None:
    """Raise AuthError unless the request is for this hotkey, recent, and signed by the hotkey that it names.

    One that was signed for another hotkey has a bad signature: nothing else shows it. Whether it was accepted before is
    not known here. `now` is in nanoseconds.
    """
    if claim.body_hash != BODY_HASH:
        raise AuthError(AuthFault.MALFORMED, "computed_body_hash is not that of a message without hashed fields")
    if not -WINDOW_NS <= now - claim.nonce <= max_age(claim):
        raise AuthError(AuthFault.STALE, "the nonce is too old or too far ahead: is the clock right?")
    signed = payload(nonce=claim.nonce, sender=claim.hotkey, receiver=own_hotkey, uuid=claim.uuid)
    if not verified(signed, claim.signature, hotkey=claim.hotkey, crypto=CryptoType.SR25519):
        raise AuthError(AuthFault.BAD_SIGNATURE, "the signature is not that of the hotkey for this receiver")


def max_age(claim: AxonClaim) -> int:
    """Return how old a request may be, in nanoseconds."""
    return WINDOW_NS + min(TIMEOUT_MAX_NS, int(claim.timeout_seconds * 10**9))


def answer(
    *,
    name: str,
    fields: Mapping[str, Any],
    claim: AxonClaim | None,
    own_hotkey: str,
    status: int,
    words: str,
    seconds: float,
) -> tuple[dict[str, str], bytes]:
    """Return headers and body of an answer: the whole message if the status is 200, else what is wrong.

    `claim` is None if the request's headers could not be read.
    """
    # The words are in a header as well: in one line, and ASCII.
    words = words.encode("unicode_escape").decode()
    axon = {"hotkey": own_hotkey, "status_code": status, "status_message": words, "process_time": round(seconds, 6)}
    dendrite = {} if claim is None else {"hotkey": claim.hotkey, "nonce": claim.nonce, "uuid": claim.uuid}
    timeout = TIMEOUT_DEFAULT if claim is None else claim.timeout_seconds
    found = {
        "name": name,
        **{f"{AXON}{key}": str(value) for key, value in axon.items()},
        **{f"{DENDRITE}{key}": str(value) for key, value in dendrite.items()},
    }
    whole = {"name": name, "timeout": timeout, "axon": axon, "dendrite": dendrite, **fields}
    return found, json.dumps(whole if status == 200 else {"message": words}, ensure_ascii=False).encode()


def verify_answer(received: Mapping[str, str], *, nonce: int, uuid: str) -> None:
    """Raise AuthError if an answer names another request. The old wire proves no more: its answers are not signed."""
    for key, own in (("nonce", str(nonce)), ("uuid", uuid)):
        if received.get(f"{DENDRITE}{key}", own) != own:
            raise AuthError(AuthFault.REPLAYED, "the answer is one to another request")


def _seconds(text: str | None) -> float:
    try:
        seconds = float(text or "")
    except ValueError:
        return TIMEOUT_DEFAULT
    return seconds if math.isfinite(seconds) and seconds > 0 else TIMEOUT_DEFAULT
