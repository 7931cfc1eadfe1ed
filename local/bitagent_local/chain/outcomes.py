"""Outcomes of extrinsics: as events in the state, and as JSON for tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from bitagent_local.chain.blocks import Block
from bitagent_local.chain.extrinsics import Extrinsic
from bitagent_local.chain.pallets.registry import Event
from bitagent_local.chain.scale import to_hex


@dataclass(frozen=True)
class Included:
    """An extrinsic in a block, and its outcome."""

    block: int
    index: int
    extrinsic: Extrinsic
    error: str | None
    """``Pallet.Error`` if the call was refused."""


@dataclass(frozen=True)
class Reorganised:
    """What a change of the best branch did."""

    left: list[Block]
    """Blocks that are on no branch any more, oldest first."""
    extrinsics: list[Extrinsic]
    """Those of the left blocks: they wait in the pool again, unless they were lost."""


def dispatch_info(dispatch_class: str, *, pays: bool) -> dict[str, Any]:
    """Return the weight and class of a call, as the events of its outcome carry them."""
    weight = {"ref_time": 1000, "proof_size": 0}
    return {"weight": weight, "class": dispatch_class, "pays_fee": "Yes" if pays else "No"}


def record(index: int | None, event: Event) -> dict[str, Any]:
    """Return an event as ``System.Events`` has it: of an extrinsic, or of the block's beginning."""
    phase = "Initialization" if index is None else {"ApplyExtrinsic": index}
    return {"phase": phase, "event": {event.pallet: {event.name: event.attributes}}, "topics": []}


def describe(included: Included) -> dict[str, Any]:
    """Return an included extrinsic as JSON."""
    call = included.extrinsic.call
    return {
        "block": included.block,
        "index": included.index,
        "hash": to_hex(included.extrinsic.hash),
        "signer": included.extrinsic.signer,
        "nonce": included.extrinsic.nonce,
        "call": f"{call.pallet}.{call.function}",
        "args": json.loads(json.dumps(call.args, default=_plain)),
        "error": included.error,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return to_hex(bytes(value))
    raise TypeError(f"{type(value).__name__} has no place in an extrinsic's arguments")
