"""Patches of the recorded metadata."""

from __future__ import annotations

import pytest

from bitagent_local.chain import metadata
from bitagent_local.chain.runtime import Runtime


def test_metadata_patches_name_the_types_they_mean() -> None:
    runtime = Runtime(milliseconds_per_block=250)
    netuid = runtime.core.storage_entry("SubtensorModule", "Tempo").param_types
    assert netuid == [f"scale_info::{metadata.TYPE_NETUID}"]
    assert runtime.types[metadata.TYPE_U8]["def"] == {"primitive": "u8"}
    assert runtime.core.constant("Aura", "SlotDuration") == 250
    added = runtime.core.storage_entry("SubtensorModule", "SubnetEpochConsensus")
    assert (list(added.param_types), bytes(added.default_bytes)) == (netuid, b"\x00")


def test_metadata_patch_refuses_what_is_not_there() -> None:
    with pytest.raises(ValueError, match="0 u64 constants named NoSuchThing"):
        metadata.with_u64_constant(metadata.recorded(), name="NoSuchThing", value=1)
    with pytest.raises(ValueError, match="pallet Nowhere 0 times"):
        metadata.with_storage_map(
            metadata.recorded(), pallet="Nowhere", item="X", key_type=0, value_type=0, default=b""
        )
