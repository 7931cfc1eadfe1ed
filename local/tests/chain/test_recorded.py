"""Everything that the SDK's own fixtures recorded of a real node (spec 461), compared with the simulated chain."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from bitagent_local.chain import metadata
from bitagent_local.chain.blocks import Block
from bitagent_local.chain.peer import Peer
from bitagent_local.chain.rpc import call as rpc
from bitagent_local.chain.runtime import Runtime
from bitagent_local.chain.scale import blake2_256, from_hex, to_hex
from bitagent_local.chain.testing import node, world

DATA = Path(__file__).parent / "data"


def _load(name: str) -> Any:
    return json.loads(lzma.decompress((DATA / f"{name}.json.xz").read_bytes()))


GOLDEN = _load("golden")
RUNTIME = Runtime(milliseconds_per_block=250)
ALICE, BOB, CHARLIE = (account["address"] for account in GOLDEN["ss58"][:3])


def _jsonable(value: Any) -> Any:
    """Return a decoded value as the corpus was recorded."""
    if isinstance(value, bytes | bytearray):
        return to_hex(bytes(value))
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    return value if isinstance(value, str | int | float | bool) or value is None else repr(value)


def test_every_type_of_the_corpus_decodes_as_recorded() -> None:
    corpus = _load("shape_corpus")
    assert (len(corpus["types"]), corpus["spec_version"]) == (797, metadata.SPEC_VERSION)
    different = [
        (entry["id"], number)
        for entry in corpus["types"]
        for number, sample in enumerate(entry["samples"])
        if _jsonable(RUNTIME.decode(f"scale_info::{entry['id']}", from_hex(sample["scale_hex"]))) != sample["decoded"]
    ]
    assert different == []


def test_every_type_of_the_corpus_encodes_again() -> None:
    """Types whose values are no plain data are left out: calls and events inside others, and long bit sequences."""
    checked, different = 0, []
    for entry in _load("shape_corpus")["types"]:
        name = f"scale_info::{entry['id']}"
        for number, sample in enumerate(entry["samples"]):
            raw = from_hex(sample["scale_hex"])
            try:
                again = RUNTIME.encode(name, RUNTIME.decode(name, raw))
            except (ValueError, TypeError):
                continue
            checked += 1
            if again != raw:
                different.append((entry["id"], entry["name"], number))
    assert checked > 1500
    # One sample has bytes that read as text of hexadecimal digits, which encodes to what those digits say.
    assert [entry for entry, _, _ in different] == [714]


@pytest.mark.parametrize("key", GOLDEN["storage_keys"], ids=lambda key: f"{key['pallet']}.{key['storage_function']}")
def test_storage_keys(key: dict[str, Any]) -> None:
    item = (key["pallet"], key["storage_function"])
    assert to_hex(RUNTIME.storage_key(*item, key["params"])) == key["key_hex"]
    assert RUNTIME.core.storage_entry(*item).value_type == key["value_scale_type"]


def _compose(recorded: dict[str, Any]) -> bytes:
    def made(pallet: str, function: str, **params: Any) -> bytes:
        return bytes(RUNTIME.core.compose_call(pallet, function, params))

    def transfer(to: str, value: int) -> bytes:
        return made("Balances", "transfer_keep_alive", dest=to, value=value)

    match recorded["module"]:
        case "Sudo":
            return made("Sudo", "sudo", call=made("System", "remark", remark="0xdeadbeef"))
        case "Utility":
            return made("Utility", "batch", calls=[transfer(BOB, 1), transfer(CHARLIE, 2)])
        case "Proxy":
            return made("Proxy", "proxy", real=ALICE, force_proxy_type="Transfer", call=transfer(BOB, 1))
    return made(recorded["module"], recorded["function"], **recorded["params"])


@pytest.mark.parametrize("recorded", GOLDEN["calls"], ids=lambda call: f"{call['module']}.{call['function']}")
def test_calls(recorded: dict[str, Any]) -> None:
    assert to_hex(_compose(recorded)) == recorded["data_hex"]


def test_constants() -> None:
    found = {
        (one["module"], one["name"]): RUNTIME.core.constant(one["module"], one["name"]) for one in GOLDEN["constants"]
    }
    assert found == {(one["module"], one["name"]): one["decoded"] for one in GOLDEN["constants"]}


@pytest.mark.parametrize("number", range(2), ids=["immortal", "mortal"])
def test_signature_payloads(number: int) -> None:
    recorded, genesis = GOLDEN["signature_payloads"][number], from_hex(GOLDEN["network"]["genesis_hash"])
    birth = recorded.get("era_birth_block_hash")
    payload = RUNTIME.core.signature_payload(
        from_hex(recorded["call_data_hex"]),
        era=recorded["era"],
        nonce=recorded["nonce"],
        tip=recorded["tip"],
        tip_asset_id=None,
        genesis_hash=genesis,
        era_block_hash=from_hex(birth) if birth else genesis,
    )
    assert to_hex(bytes(payload)) == recorded["payload_hex"]


@pytest.mark.parametrize("recorded", GOLDEN["extrinsics"], ids=["immortal", "mortal"])
def test_extrinsics_have_the_recorded_hash_and_content(recorded: dict[str, Any]) -> None:
    raw = from_hex(recorded["extrinsic_hex"])
    decoded = RUNTIME.core.decode_extrinsic(raw)
    assert to_hex(blake2_256(raw)) == recorded["extrinsic_hash"]
    assert (str(decoded["address"]), decoded["nonce"], decoded["tip"]) == (
        recorded["address"],
        recorded["nonce"],
        recorded["tip"],
    )


def test_stored_values_decode_and_encode_as_recorded() -> None:
    for value in GOLDEN["storage_values"]:
        entry = RUNTIME.core.storage_entry(value["pallet"], value["storage_function"])
        raw = bytes(entry.default_bytes) if value["raw_hex"] is None else from_hex(value["raw_hex"])
        decoded = RUNTIME.decode(entry.value_type, raw)
        assert _jsonable(decoded) == value["decoded"]
        assert RUNTIME.encode(entry.value_type, decoded) == raw
        assert (
            to_hex(RUNTIME.storage_key(value["pallet"], value["storage_function"], value["params"])) == value["key_hex"]
        )


@pytest.mark.parametrize("recorded", GOLDEN["query_maps"], ids=lambda item: item["storage_function"])
def test_keys_of_maps_have_the_recorded_prefixes(recorded: dict[str, Any]) -> None:
    entry = RUNTIME.core.storage_entry(recorded["pallet"], recorded["storage_function"])
    for key, raw in recorded["raw_changes"]:
        assert key.startswith(recorded["prefix_hex"])
        RUNTIME.decode(entry.value_type, from_hex(raw))


@pytest.mark.parametrize("recorded", GOLDEN["runtime_calls"], ids=lambda item: item["method"])
def test_runtime_calls_are_offered_with_the_recorded_shape(recorded: dict[str, Any]) -> None:
    described = RUNTIME.apis[recorded["api"]][recorded["method"]]
    real = RUNTIME.decode(described["output"], from_hex(recorded["raw_hex"]))
    assert _jsonable(real) == recorded["decoded"]
    chain = node(world(netuid=1))
    chain.produce()
    name = f"{recorded['api']}_{recorded['method']}"
    mine = RUNTIME.decode(
        described["output"], from_hex(rpc(Peer(chain), "state_call", [name, "0x" + recorded["encoded_params_hex"]]))
    )
    assert _shape(mine) == _shape(real)


def test_hyperparameters_of_a_subnet_like_the_recorded_one_have_its_values() -> None:
    (recorded,) = (item for item in GOLDEN["runtime_calls"] if item["method"] == "get_subnet_hyperparams")
    real = recorded["decoded"]
    rules = {
        "weights_rate_limit": real["weights_rate_limit"],
        "min_allowed_weights": real["min_allowed_weights"],
        "immunity_period": real["immunity_period"],
        "commit_reveal_weights_enabled": real["commit_reveal_weights_enabled"],
        "max_validators": real["max_validators"],
    }
    chain = node(world(netuid=1, tempo=real["tempo"], hyperparameters=rules))
    answer = rpc(Peer(chain), "state_call", ["SubnetInfoRuntimeApi_get_subnet_hyperparams", "0x0100"])
    assert RUNTIME.decode("scale_info::687", from_hex(answer)) == real


def test_a_recorded_header_has_its_recorded_hash() -> None:
    """The block's own hash is not recorded; that of its parent is, so the digest's form is compared."""
    header = GOLDEN["block"]["raw"]["block"]["header"]
    logs = [from_hex(item) for item in header["digest"]["logs"]]
    chain = node()
    chain.produce()
    mine = chain.blocks.head.digest
    assert [item[:6] for item in mine] == [logs[0][:6], logs[-1][:6]]
    assert [len(item) for item in mine] == [len(logs[0]), len(logs[-1])]
    block = Block(
        int(header["number"], 16), from_hex(header["parentHash"]), (), from_hex(header["stateRoot"]), digest=tuple(logs)
    )
    assert block.header()["digest"] == header["digest"]


def test_events_decode_as_recorded() -> None:
    entry = RUNTIME.core.storage_entry("System", "Events")
    raw = from_hex(GOLDEN["events"]["raw_hex"])
    decoded = RUNTIME.decode(entry.value_type, raw)
    assert [event["event_id"] for event in _jsonable(decoded)] == [
        event["event_id"] for event in GOLDEN["events"]["decoded"]
    ]


def _shape(value: Any) -> Any:
    """Return the names of a value's members, recursively; of a list those of its first element."""
    if isinstance(value, dict):
        return {key: _shape(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_shape(value[0])] if value else []
    return type(value).__name__
