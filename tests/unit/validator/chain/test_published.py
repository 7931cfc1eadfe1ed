"""Commitments as bytes, by the fields of the chain."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bitagent_local.chain.keys import address
from bitagent_local.chain.pallets.commitments import store
from bitagent_local.chain.subnet import MutableSubnet
from bitagent_local.chain.testing import running
from bitagent_validator.chain.connection import connect
from bitagent_validator.chain.published import Published, published


@pytest.fixture(autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTENSOR_RUNTIME_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "runtime-cache"))


def raw(text: bytes) -> dict[str, str]:
    return {f"Raw{len(text)}": "0x" + text.hex()}


def found(*fields: Any, status: str = "plain", revealed: tuple[tuple[int, str], ...] = ()) -> SimpleNamespace:
    return SimpleNamespace(block=7, status=status, fields=list(fields), revealed=list(revealed))


@pytest.mark.parametrize(
    ("commitment", "expected"),
    [
        pytest.param(found(raw(b"a/b")), Published(7, b"a/b"), id="plain"),
        pytest.param(found(raw(b"a/"), raw(b"b")), Published(7, b"a/b"), id="two fields"),
        pytest.param(found(raw(b"\xff")), Published(7, b"\xff"), id="no text"),
        pytest.param(found(raw(b"0xff")), Published(7, b"0xff"), id="text that looks like bytes"),
        pytest.param(found("None", {"Sha256": "0x00"}, {"Raw0": None}), Published(7), id="nothing to read"),
        pytest.param(found({"BigRaw": "a/b"}), Published(7, big=True), id="large"),
        pytest.param(found({"TimelockEncrypted": {}}, status="sealed"), Published(7, sealed=True), id="sealed"),
        pytest.param(
            found({"TimelockRevealFailed": {}}, status="failed"), Published(7, sealed=True), id="never opened"
        ),
        pytest.param(
            found(status="revealed", revealed=((5, "old"), (9, "a/b"))), Published(9, b"a/b"), id="revealed since"
        ),
        pytest.param(found(raw(b"c/d"), revealed=((5, "old"),)), Published(7, b"c/d"), id="revealed before"),
    ],
)
def test_what_can_be_read(commitment: SimpleNamespace, expected: Published) -> None:
    assert published(commitment) == expected


@pytest.mark.parametrize(
    "commitment",
    [
        pytest.param(SimpleNamespace(), id="without anything"),
        pytest.param(found({"Raw2": "0xz"}), id="no digits"),
        pytest.param(SimpleNamespace(block="x", status="plain", fields=[], revealed=[]), id="no block"),
    ],
)
def test_an_unknown_form(commitment: SimpleNamespace) -> None:
    with pytest.raises((AttributeError, TypeError, ValueError)):
        published(commitment)


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
async def test_fields_as_the_sdk_reads_them_from_a_chain(fields: list[Any], expected: dict[str, Any]) -> None:
    async with running() as chain, connect(chain.endpoint) as connection:
        node, miner = chain.server.node, address("//Miner")
        store(MutableSubnet(node.storage, 20), miner, {"fields": fields}, block=7)
        node.produce()
        node.finalize()
        found = await connection.published(20, block=node.blocks.head.number)
        assert found[miner] == Published(7, **expected)


async def test_one_of_an_unknown_form_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as chain, connect(chain.endpoint) as connection:
        block = await connection.finalized()
        miner = address("//Miner")
        assert (await connection.published(20, block=block))[miner] == Published(0, b"acme/tiny-fc-1200")

        def unknown(_: object) -> Published:
            raise KeyError("form")

        monkeypatch.setattr("bitagent_validator.chain.connection.published", unknown)
        assert (await connection.published(20, block=block))[miner] is None
