"""The runtime metadata that the chain serves: a recorded file with two patches.

The SDK derives every type, call, storage key and error from metadata, so the real client works with the real metadata.
The recorded one (spec 461) differs from what the SDK expects of a live chain in two places:

- ``SubtensorModule.SubnetEpochConsensus``: the SDK reads it before it sets weights, but only later runtimes have it;
- ``Aura.SlotDuration``: the SDK's block time, which must be that of this chain.
"""

from __future__ import annotations

import lzma
from importlib import resources

from bitagent_local.chain.scale import compact, read_compact, sized, text

SPEC_VERSION = 461
TRANSACTION_VERSION = 1
SS58_FORMAT = 42
METADATA_VERSION = 15

# Numbers in the recorded type registry; a test compares them with the registry.
TYPE_NETUID = 41
TYPE_U8 = 2


def recorded() -> bytes:
    """Return the recorded V15 metadata, without the option byte and length of the runtime call."""
    return lzma.decompress(resources.files(__package__).joinpath("metadata.scale.xz").read_bytes())


def served(milliseconds_per_block: int, *, upgrades: int = 0) -> bytes:
    """Return the metadata of a chain with this block time, after so many runtime upgrades.

    Each upgrade adds a storage item, which moves all that comes after it in the bytes.
    """
    patched = with_storage_map(
        recorded(),
        pallet="SubtensorModule",
        item="SubnetEpochConsensus",
        key_type=TYPE_NETUID,
        value_type=TYPE_U8,
        default=b"\x00",
    )
    for number in range(1, upgrades + 1):
        patched = with_storage_map(
            patched,
            pallet="SubtensorModule",
            item=f"LocalUpgrade{number}",
            key_type=TYPE_NETUID,
            value_type=TYPE_U8,
            default=b"\x00",
        )
    return with_u64_constant(patched, name="SlotDuration", value=milliseconds_per_block)


def opaque(metadata: bytes) -> bytes:
    """Return metadata in the form of ``Metadata_metadata_at_version``: ``Some(Vec<u8>)``."""
    return b"\x01" + sized(metadata)


def with_storage_map(
    metadata: bytes, *, pallet: str, item: str, key_type: int, value_type: int, default: bytes
) -> bytes:
    """Insert a ``StorageMap<Identity, key, value, ValueQuery>`` at the head of a pallet's storage.

    Raises ValueError if the pallet's storage is not found exactly once.
    """
    anchor = text(pallet) + b"\x01" + text(pallet)  # the pallet's name, Some(storage), the storage prefix
    if metadata.count(anchor) != 1:
        raise ValueError(f"metadata name the storage of pallet {pallet} {metadata.count(anchor)} times, not once")
    start = metadata.index(anchor) + len(anchor)
    count, entries = read_compact(metadata, start)
    modifier_default, kind_map, one_identity_hasher, no_docs = b"\x01", b"\x01", b"\x04\x06", b"\x00"
    entry = (
        text(item)
        + modifier_default
        + kind_map
        + one_identity_hasher
        + compact(key_type)
        + compact(value_type)
        + sized(default)
        + no_docs
    )
    return metadata[:start] + compact(count + 1) + entry + metadata[entries:]


def with_u64_constant(metadata: bytes, *, name: str, value: int) -> bytes:
    """Replace the value of the only pallet constant of this name, which must be a u64.

    Raises ValueError if there is no such constant, or more than one.
    """
    size, places, anchor = 8, [], text(name)
    start = metadata.find(anchor)
    while start >= 0:
        _, after_type = read_compact(metadata, start + len(anchor))
        length, content = read_compact(metadata, after_type)
        if length == size:
            places.append(content)
        start = metadata.find(anchor, start + 1)
    if len(places) != 1:
        raise ValueError(f"metadata have {len(places)} u64 constants named {name}, not one")
    at = places[0]
    return metadata[:at] + value.to_bytes(size, "little") + metadata[at + size :]
