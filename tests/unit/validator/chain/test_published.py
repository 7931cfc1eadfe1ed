"""Commitments as bytes, by the records of the chain."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_local.chain.keys import address
from bitagent_local.chain.pallets.commitments import store
from bitagent_local.chain.subnet import MutableSubnet
from bitagent_local.chain.testing import running
from bitagent_validator.chain.connection import connect
from bitagent_validator.chain.facts import Commitment
from bitagent_validator.chain.published import Published, all_published, published, without_length


@pytest.fixture(autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTENSOR_RUNTIME_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "runtime-cache"))


def raw(text: bytes) -> dict[str, str]:
    return {f"Raw{len(text)}": "0x" + text.hex()}


def record(*fields: Any) -> dict[str, Any]:
    return {"deposit": 0, "block": 7, "info": {"fields": list(fields)}}


@pytest.mark.parametrize(
    ("stored", "reveals", "expected"),
    [
        pytest.param(record(raw(b"a/b")), [], Published(7, b"a/b"), id="plain"),
        pytest.param(record(raw(b"a/"), raw(b"b")), [], Published(7, b"a/b"), id="two fields"),
        pytest.param(record(raw(b"\xff")), [], Published(7, b"\xff"), id="no text"),
        pytest.param(record(raw(b"0xff")), [], Published(7, b"0xff"), id="text that looks like bytes"),
        pytest.param(record("None", {"Sha256": "0x00"}, {"Raw0": None}), [], Published(7), id="nothing to read"),
        pytest.param(record({"BigRaw": "a/b"}), [], Published(7, big=True), id="large"),
        pytest.param(record(raw(b"a"), {"TimelockEncrypted": {}}), [], Published(7, sealed=True), id="sealed"),
        pytest.param(record({"TimelockRevealFailed": {}}), [], Published(7, sealed=True), id="never opened"),
        pytest.param(None, [("x/y", 5), ("a/b", 9)], Published(9, b"a/b", revealed=True), id="revealed"),
        pytest.param(
            None, [("0xzz", 9)], Published(9, b"0xzz", revealed=True), id="revealed text that looks like bytes"
        ),
        pytest.param(None, [("0xff", 9)], Published(9, b"\xff", revealed=True), id="revealed bytes"),
        pytest.param(record(raw(b"c/d")), [("x/y", 5)], Published(7, b"c/d"), id="revealed before"),
        pytest.param(None, [], None, id="none"),
    ],
)
def test_what_can_be_read(stored: Any, reveals: list[Any], expected: Published | None) -> None:
    assert published(stored, reveals) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(b"\x0cabc", b"abc", id="with a length"),
        pytest.param(b"\x91\x01" + b"a" * 100, b"a" * 100, id="with a length of two bytes"),
        pytest.param(b"acme/secret", b"acme/secret", id="without"),
        pytest.param(b'{"model": 1}', b'{"model": 1}', id="JSON without"),
        pytest.param(b"\x0cab", b"\x0cab", id="another length"),
    ],
)
def test_a_length_before_revealed_data_is_left_out(data: bytes, expected: bytes) -> None:
    assert without_length(data) == expected


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param({}, id="no record"),
        pytest.param({"block": 7}, id="without fields"),
        pytest.param(record({"Raw2": "0xz"}), id="no digits"),
        pytest.param({**record(), "block": "x"}, id="no block"),
        pytest.param(7, id="a number"),
    ],
)
def test_one_of_an_unknown_form_hides_no_other(stored: Any) -> None:
    found = all_published([("h", stored), ("i", record(raw(b"a/b")))], [])
    assert (found.get("h"), found["i"]) == (None, Published(7, b"a/b"))


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=9), lambda each: st.lists(each) | st.dictionaries(st.text(), each)
)


@given(JSON, st.lists(st.tuples(JSON, JSON), max_size=3))
def test_any_record_is_read_or_reported(stored: Any, reveals: list[Any]) -> None:
    assert set(all_published([("h", stored)], [("h", reveals)])) <= {"h"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param([raw(b"a/"), raw(b"b\xff")], {"content": b"a/b\xff"}, id="plain"),
        pytest.param(["None", {"Sha256": "0x" + "11" * 32}, raw(b"a")], {"content": b"a"}, id="beside a hash"),
        pytest.param([{"BigRaw": "0x" + b"a/b".hex()}], {"big": True}, id="large"),
        pytest.param(
            [{"TimelockEncrypted": {"encrypted": "0x616263", "reveal_round": 5 * 10**7}}], {"sealed": True}, id="sealed"
        ),
    ],
)
async def test_fields_as_the_sdk_decodes_them(fields: list[Any], expected: dict[str, Any]) -> None:
    async with running() as chain, connect(chain.endpoint) as connection:
        node, miner = chain.server.node, address("//Miner")
        store(MutableSubnet(node.storage, 20), miner, {"fields": fields}, block=7)
        node.produce()
        node.finalize()
        found = await connection.published(20, block=node.blocks.head.number)
        assert found[miner] == Published(7, **expected)


async def test_a_revealed_text_of_one_hotkey_hides_no_other() -> None:
    """The SDK's own reading of the subnet fails for all by these four bytes."""
    async with running() as chain, connect(chain.endpoint) as connection:
        node, miner, other = chain.server.node, address("//Miner"), address("//Other")
        node.storage.put("Commitments", "RevealedCommitments", (20, other), [("0x" + b"0xzz".hex(), 3)])
        node.produce()
        node.finalize()
        block = node.blocks.head.number
        found = await connection.published(20, block=block)
        assert (found[miner], found[other]) == (
            Published(0, b"acme/tiny-fc-1200"),
            Published(3, b"0xzz", revealed=True),
        )
        texts = await connection.commitments(20, block=block)
        assert (texts[miner], texts[other]) == (Commitment("acme/tiny-fc-1200", 0), Commitment("0xzz", None))
