"""btauth/1 against the SDK's own signing and verification."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bittensor import http_auth
from multidict import CIMultiDict

from bitagent_wire import btauth
from bitagent_wire.auth import AuthError, AuthFault
from bitagent_wire.keys import CryptoType

NOW = 1_800_000_000 * 10**9
SECOND = 10**9
BODY = '{"tools":[],"messages":[{"content":"Łódź"}]}'.encode()
REQUEST: dict[str, Any] = {"method": "POST", "target": "/QueryTask?x=%20", "body": BODY}


def signed(signer: Any, receiver: str, nonce: int = NOW) -> CIMultiDict[str]:
    return CIMultiDict(btauth.headers(signer, receiver=receiver, nonce=nonce, **REQUEST))


def fault_of(call: Callable[[], object]) -> AuthFault | None:
    try:
        call()
    except AuthError as error:
        return error.fault
    return None


@pytest.mark.parametrize("crypto", [0, 1], ids=["ed25519", "sr25519"])
def test_the_sdk_accepts_our_requests(keys: Any, miner_key: Any, crypto: int) -> None:
    signer = keys("//Validator", crypto)
    caller = http_auth.verify(
        signed(signer, miner_key.ss58_address),
        BODY,
        method="POST",
        path=REQUEST["target"],
        self_hotkey_ss58=miner_key.ss58_address,
        nonce_store=http_auth.InMemoryNonceStore(),
        now_ns=NOW,
    )
    assert (caller.hotkey_ss58, caller.crypto_type) == (signer.ss58_address, crypto)


@pytest.mark.parametrize("crypto", [0, 1], ids=["ed25519", "sr25519"])
def test_we_accept_the_sdks_requests(keys: Any, miner_key: Any, crypto: int) -> None:
    signer, own = keys("//Validator", crypto), miner_key.ss58_address
    headers = http_auth.sign(signer, method="post", path=REQUEST["target"], body=BODY, receiver_ss58=own, nonce_ns=NOW)
    claim = btauth.parse(CIMultiDict(headers))
    btauth.verify(claim, own_hotkey=own, now=NOW, **REQUEST)
    assert (claim.hotkey, claim.crypto, claim.nonce) == (signer.ss58_address, CryptoType(crypto), NOW)


def test_the_signed_bytes_are_the_sdks(validator: Any, miner_key: Any) -> None:
    sender, receiver = validator.ss58_address, miner_key.ss58_address
    named: dict[str, Any] = {"method": "post", "body": BODY}
    ours = btauth.payload(
        crypto=CryptoType.ED25519, target="/x?y", nonce=NOW, sender=sender, receiver=receiver, **named
    )
    theirs = http_auth.build_payload(
        scheme="ed25519", path="/x?y", nonce_ns=NOW, sender_ss58=sender, receiver_ss58=receiver, **named
    )
    assert ours == theirs


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({}, None, id="valid"),
        pytest.param({"now": NOW + 10 * SECOND}, None, id="10 s old"),
        pytest.param({"now": NOW + 10 * SECOND + 1}, AuthFault.STALE, id="older"),
        pytest.param({"now": NOW - 2 * SECOND}, None, id="2 s ahead"),
        pytest.param({"now": NOW - 2 * SECOND - 1}, AuthFault.STALE, id="further ahead"),
        pytest.param({"body": BODY + b" "}, AuthFault.BAD_SIGNATURE, id="another body"),
        pytest.param({"method": "PUT"}, AuthFault.BAD_SIGNATURE, id="another method"),
        pytest.param({"target": "/IsAlive"}, AuthFault.BAD_SIGNATURE, id="another path"),
        pytest.param({"own_hotkey": "another"}, AuthFault.WRONG_RECEIVER, id="another receiver"),
    ],
)
def test_what_is_not_valid(validator: Any, miner_key: Any, changes: dict[str, Any], fault: AuthFault | None) -> None:
    own = miner_key.ss58_address
    claim = btauth.parse(signed(validator, own))
    named = {**REQUEST, "own_hotkey": own, "now": NOW} | changes
    assert fault_of(lambda: btauth.verify(claim, **named)) is fault


@pytest.mark.parametrize(
    ("header", "value"),
    [
        pytest.param(btauth.VERSION, "2", id="version"),
        pytest.param(btauth.HOTKEY, "5x", id="hotkey"),
        pytest.param(btauth.NONCE, "-1", id="negative"),
        pytest.param(btauth.NONCE, "9" * 30, id="long"),
        pytest.param(btauth.NONCE, "٣", id="digits of another script"),
        pytest.param(btauth.CRYPTO, "rsa", id="crypto"),
        pytest.param(btauth.SIGNATURE, "0x00", id="short"),
        pytest.param(btauth.SIGNATURE, "0x" + "zz" * 64, id="not hex"),
    ],
)
def test_malformed_headers(validator: Any, miner_key: Any, header: str, value: str) -> None:
    headers = signed(validator, miner_key.ss58_address)
    headers[header] = value
    assert fault_of(lambda: btauth.parse(headers)) is AuthFault.MALFORMED


@pytest.mark.parametrize("header", [btauth.VERSION, btauth.HOTKEY, btauth.NONCE, btauth.SIGNATURE])
def test_missing_headers(validator: Any, miner_key: Any, header: str) -> None:
    headers = signed(validator, miner_key.ss58_address)
    del headers[header]
    assert fault_of(lambda: btauth.parse(headers)) is AuthFault.MALFORMED


def test_a_signature_of_another_key_is_bad(keys: Any, validator: Any, miner_key: Any) -> None:
    own = miner_key.ss58_address
    headers = signed(keys("//Other"), own)
    headers[btauth.HOTKEY] = validator.ss58_address
    claim = btauth.parse(headers)
    assert fault_of(lambda: btauth.verify(claim, own_hotkey=own, now=NOW, **REQUEST)) is AuthFault.BAD_SIGNATURE


ANSWER: dict[str, Any] = {"status": 200, "body": b'{"response": ""}', "nonce": NOW, "caller": "5Caller"}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({}, None, id="valid"),
        pytest.param({"body": b"{}"}, AuthFault.BAD_SIGNATURE, id="another body"),
        pytest.param({"status": 403}, AuthFault.BAD_SIGNATURE, id="another status"),
        pytest.param({"caller": "5Other"}, AuthFault.BAD_SIGNATURE, id="to another caller"),
        pytest.param({"nonce": NOW + 1}, AuthFault.REPLAYED, id="another request"),
    ],
)
@pytest.mark.parametrize("crypto", [0, 1], ids=["ed25519", "sr25519"])
def test_signatures_of_answers(keys: Any, crypto: int, changes: dict[str, Any], fault: AuthFault | None) -> None:
    signer = keys("//Miner", crypto)
    headers = btauth.answer_headers(signer, **ANSWER)
    received: list[bool] = []

    def verify() -> None:
        received.append(btauth.verify_answer(headers, sender=signer.ss58_address, **(ANSWER | changes)))

    assert fault_of(verify) is fault
    assert received == ([] if fault else [True])


def test_an_answer_without_a_signature_is_not_signed() -> None:
    assert btauth.verify_answer({}, sender="5Miner", **ANSWER) is False
