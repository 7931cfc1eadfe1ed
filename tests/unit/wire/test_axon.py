"""The old wire: what is signed, its window, and its headers. tests/integration asks the reference itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from multidict import CIMultiDict

from bitagent_wire import axon
from bitagent_wire.auth import AuthError, AuthFault

NOW = 1_800_000_000 * 10**9
SECOND = 10**9


def request(signer: Any, receiver: str, **changes: Any) -> tuple[CIMultiDict[str], dict[str, Any]]:
    named: dict[str, Any] = {
        "name": "QueryResult",
        "fields": {"results": "[b]good[/b]", "more": 1},
        "required": ("results",),
        "receiver": receiver,
        "host": "127.0.0.1",
        "port": 8091,
        "timeout_seconds": 5.0,
        "nonce": NOW,
        "uuid": "u1",
    }
    headers, body = axon.request(signer, **(named | changes))
    return CIMultiDict(headers), json.loads(body)


def test_a_request_has_what_an_axon_needs(validator: Any, miner_key: Any) -> None:
    headers, body = request(validator, miner_key.ss58_address)
    assert headers["computed_body_hash"] == "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"
    assert headers["bt_header_input_obj_results"] == "IiI="
    assert "bt_header_input_obj_more" not in headers
    assert (headers["name"], headers["timeout"]) == ("QueryResult", "5.0")
    assert headers["bt_header_axon_hotkey"] == miner_key.ss58_address
    assert int(headers["bt_header_dendrite_version"]) >= 7_002_000
    assert (body["results"], body["dendrite"]["uuid"]) == ("[b]good[/b]", "u1")
    signed = f"{NOW}.{validator.ss58_address}.{miner_key.ss58_address}.u1.{headers['computed_body_hash']}"
    signature = bytes.fromhex(headers["bt_header_dendrite_signature"][2:])
    assert validator.verify(signed.encode(), signature)


def test_only_sr25519_keys_can_sign(keys: Any, miner_key: Any) -> None:
    with pytest.raises(AuthError) as caught:
        request(keys("//Validator", 0), miner_key.ss58_address)
    assert caught.value.fault is AuthFault.UNSUITED_KEY


@pytest.mark.parametrize(
    ("after", "changes", "fault"),
    [
        pytest.param(0, {}, None, id="now"),
        pytest.param(9 * SECOND, {}, None, id="as old as its time limit and 4 s"),
        pytest.param(9 * SECOND + 1, {}, AuthFault.STALE, id="older"),
        pytest.param(-4 * SECOND, {}, None, id="4 s ahead"),
        pytest.param(-4 * SECOND - 1, {}, AuthFault.STALE, id="further ahead"),
        pytest.param(64 * SECOND, {"timeout_seconds": 10**6}, None, id="a long time limit"),
        pytest.param(65 * SECOND, {"timeout_seconds": 10**6}, AuthFault.STALE, id="a long time limit counts 60 s"),
        pytest.param(5 * SECOND, {"timeout_seconds": float("nan")}, None, id="a time limit that is none"),
        pytest.param(0, {"receiver": "another"}, AuthFault.BAD_SIGNATURE, id="for another receiver"),
        pytest.param(0, {"nonce": 5}, AuthFault.STALE, id="a nonce that is not a time"),
    ],
)
def test_the_window(
    validator: Any, miner_key: Any, after: int, changes: dict[str, Any], fault: AuthFault | None
) -> None:
    own = miner_key.ss58_address
    claim = axon.parse(request(validator, **({"receiver": own} | changes))[0])
    found = None
    try:
        axon.verify(claim, own_hotkey=own, now=NOW + after)
    except AuthError as error:
        found = error.fault
    assert found is fault


@pytest.mark.parametrize(
    ("header", "value", "fault"),
    [
        pytest.param("bt_header_dendrite_hotkey", "x", AuthFault.MALFORMED, id="hotkey"),
        pytest.param("bt_header_dendrite_nonce", "1.5", AuthFault.MALFORMED, id="nonce"),
        pytest.param("bt_header_dendrite_uuid", "u" * 65, AuthFault.MALFORMED, id="uuid"),
        pytest.param("bt_header_dendrite_signature", "0xzz", AuthFault.MALFORMED, id="signature"),
        pytest.param("computed_body_hash", "00", AuthFault.MALFORMED, id="body hash"),
        pytest.param("bt_header_dendrite_uuid", "u2", AuthFault.BAD_SIGNATURE, id="another uuid"),
        pytest.param("bt_header_dendrite_nonce", str(NOW + 1), AuthFault.BAD_SIGNATURE, id="another nonce"),
    ],
)
def test_changed_headers(validator: Any, miner_key: Any, header: str, value: str, fault: AuthFault) -> None:
    own = miner_key.ss58_address
    headers = request(validator, own)[0]
    headers[header] = value
    with pytest.raises(AuthError) as caught:
        axon.verify(axon.parse(headers), own_hotkey=own, now=NOW)
    assert caught.value.fault is fault


def test_words_of_an_answer_are_one_ascii_line(miner_key: Any) -> None:
    headers, body = axon.answer(
        name="IsAlive",
        fields={},
        claim=None,
        own_hotkey=miner_key.ss58_address,
        status=422,
        words="é\r\nSet-Cookie: x",
        seconds=0.1,
    )
    assert headers[f"{axon.AXON}status_message"].isascii()
    assert "\n" not in headers[f"{axon.AXON}status_message"]
    assert json.loads(body) == {"message": headers[f"{axon.AXON}status_message"]}
