"""The miner that knows the old wire only."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from threading import Thread
from typing import Any

import bittensor_core
import pytest

from bitagent_local.chain import keys
from bitagent_local.endpoint.old_axon import BODY_HASH, DENDRITE, Miner, refusal, server

ME = keys.address("//ellis")
NOW = 1_800_000_000 * 10**9


def signed(uri: str = "//Validator", receiver: str = ME, *, nonce: int = NOW, uuid: str = "one") -> dict[str, str]:
    pair = bittensor_core.Keypair.create_from_uri(uri)
    text = f"{nonce}.{pair.ss58_address}.{receiver}.{uuid}.{BODY_HASH}"
    found = {"hotkey": pair.ss58_address, "nonce": str(nonce), "uuid": uuid}
    found["signature"] = "0x" + bytes(pair.sign(text.encode())).hex()
    return {f"{DENDRITE}{name}": value for name, value in found.items()}


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        pytest.param(signed(), "", id="good"),
        pytest.param({}, "not a Dendrite", id="of the other wire"),
        pytest.param(signed(receiver=keys.address("//other")), "signature", id="to another hotkey"),
        pytest.param(signed(nonce=NOW - 60 * 10**9), "nonce", id="old"),
        pytest.param(signed() | {f"{DENDRITE}signature": "0x00"}, "signature", id="no signature"),
    ],
)
def test_who_is_answered(headers: dict[str, str], why: str) -> None:
    found = refusal(headers, receiver=ME, now=NOW)
    assert why in found
    assert bool(found) == bool(why)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    served = server(Miner(ME, "delta/tiny-fc-250", {"Who?": "[find()]"}, 100), "127.0.0.1", 0)
    thread = Thread(target=served.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    thread.join()
    served.server_close()


@pytest.mark.parametrize(
    ("name", "body", "field", "expected"),
    [
        ("QueryTask", {"messages": [{"role": "user", "content": "Who?"}], "tools": []}, "response", "[find()]"),
        ("GetHFModelName", {}, "hf_model_name", "delta/tiny-fc-250"),
        ("IsAlive", {}, "response", True),
        ("QueryResult", {"results": "good"}, "results", "good"),
    ],
)
def test_messages(address: str, name: str, body: dict[str, Any], field: str, expected: Any) -> None:
    headers = signed(nonce=time.time_ns())
    request = urllib.request.Request(f"{address}/{name}", data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=60) as reply:
        assert json.load(reply)[field] == expected
        assert reply.headers["bt_header_axon_status_code"] == "200"


def test_the_new_wire_gets_401_of_an_axon(address: str) -> None:
    request = urllib.request.Request(f"{address}/IsAlive", data=b"{}")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    assert refused.value.code == 401
    assert refused.value.headers["bt_header_axon_status_code"] == "401"
