"""The chain as a machine without I/O: extrinsics go in, blocks come out, one call of ``produce`` at a time.

Finality follows the head at once, unless it is held back by a fault; what is finalised then waits for ``finalize``.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bitagent_local.chain import extrinsics, metadata
from bitagent_local.chain.blocks import Block, Blocks
from bitagent_local.chain.dispatch import DispatchError, Event, Origin, dispatch
from bitagent_local.chain.extrinsics import Extrinsic
from bitagent_local.chain.runtime import Runtime
from bitagent_local.chain.scale import blake2_256, to_hex
from bitagent_local.chain.seed import Neuron, Seed
from bitagent_local.chain.storage import Storage
from bitagent_local.chain.subnet import MutableSubnet, Subnet

#: How many included extrinsics the node remembers for tests to look at.
INCLUDED_KEPT = 1000

DISPATCH_INFO = {"weight": {"ref_time": 1000, "proof_size": 0}, "class": "Normal", "pays_fee": "No"}


@dataclass(frozen=True)
class Included:
    """An extrinsic in a block, and what came of it."""

    block: int
    index: int
    extrinsic: Extrinsic
    #: ``Pallet.Error`` where the call was refused.
    error: str | None


class Node:
    """One authoring node, the only one."""

    def __init__(self, seed: Seed, *, milliseconds_per_block: int, clock: Callable[[], float]) -> None:
        self.seed = seed
        self.clock = clock
        self.runtime = Runtime(milliseconds_per_block=milliseconds_per_block)
        self.storage = Storage(self.runtime)
        self.blocks = Blocks()
        self.pool: list[Extrinsic] = []
        self.included: deque[Included] = deque(maxlen=INCLUDED_KEPT)
        self._genesis()
        self.finalized = self.blocks.head

    @property
    def subnet(self) -> Subnet:
        """The subnet at the head."""
        return Subnet(self.blocks.state(None), self.seed.netuid)

    def submit(self, raw: bytes) -> Extrinsic:
        """Take an extrinsic into the pool.

        Raises:
            InvalidExtrinsic: it may not enter.
        """
        extrinsic = extrinsics.admit(raw, runtime=self.runtime, blocks=self.blocks, next_nonce=self.next_nonce)
        self.pool.append(extrinsic)
        return extrinsic

    def next_nonce(self, account: str) -> int:
        """The nonce of an account's next extrinsic, those in the pool counted."""
        pending = sum(extrinsic.signer == account for extrinsic in self.pool)
        return int(self.storage.get("System", "Account", account)["nonce"]) + pending

    def register(self, neuron: Neuron) -> int:
        """Register a hotkey, or change a registered one, from the next block on; returns its uid.

        Raises:
            ValueError: the subnet is full.
        """
        return MutableSubnet(self.storage, self.seed.netuid).register(neuron, block=self._next_number())

    def produce(self) -> list[Included]:
        """Seal one block out of the pool and make it the head."""
        number, pool, self.pool = self._next_number(), self.pool, []
        MutableSubnet(self.storage, self.seed.netuid).step(number)
        milliseconds = self._timestamp(number)
        bodies = [extrinsics.timestamp_inherent(self.runtime, milliseconds)]
        mandatory = {"dispatch_info": {**DISPATCH_INFO, "class": "Mandatory"}}
        events = [_record(0, Event("System", "ExtrinsicSuccess", mandatory))]
        included = []
        for index, extrinsic in enumerate(pool, start=1):
            bodies.append(extrinsic.raw)
            happened, error = self._apply(extrinsic, number)
            events += [_record(index, event) for event in happened]
            included.append(Included(number, index, extrinsic, error))
        self.storage.put("Timestamp", "Now", (), milliseconds)
        self.storage.put("System", "Number", (), number)
        self.storage.put("System", "Events", (), events)
        self._seal(number, tuple(bodies))
        self.included.extend(included)
        return included

    def finalize(self) -> list[Block]:
        """Finalise everything up to the head; returns the newly final blocks, oldest first."""
        numbers = range(self.finalized.number + 1, self.blocks.head.number + 1)
        final = [block for number in numbers if (block := self.blocks.numbered(number)) is not None]
        self.finalized = self.blocks.head
        return final

    def weights(self) -> dict[str, dict[str, Any]]:
        """The weights at the head by hotkey: when they were set, and the stored u16 of every target hotkey."""
        subnet = self.subnet
        return {
            neuron.hotkey: {
                "block": neuron.last_update,
                "weights": {subnet.hotkey(target): value for target, value in row.items()},
            }
            for neuron in subnet.neurons()
            if (row := subnet.weights(neuron.uid))
        }

    def _genesis(self) -> None:
        subnet = MutableSubnet(self.storage, self.seed.netuid)
        subnet.create(self.seed)
        for neuron in self.seed.neurons:
            subnet.register(neuron, block=0)
        # As on a real chain: no clock has a part in the genesis, so the same seed gives the same chain.
        self.storage.put("Timestamp", "Now", (), 0)
        self._seal(0, ())

    def _apply(self, extrinsic: Extrinsic, number: int) -> tuple[list[Event], str | None]:
        account = self.storage.get("System", "Account", extrinsic.signer)
        self.storage.put("System", "Account", (extrinsic.signer,), {**account, "nonce": account["nonce"] + 1})
        info = {"dispatch_info": DISPATCH_INFO}
        try:
            events = dispatch(Origin(self.storage, extrinsic.signer, number), extrinsic.call)
        except DispatchError as refused:
            error = {"dispatch_error": self.runtime.module_error(refused.pallet, refused.name)}
            return [Event("System", "ExtrinsicFailed", error | info)], str(refused)
        return [*events, Event("System", "ExtrinsicSuccess", info)], None

    def _next_number(self) -> int:
        return max(self.blocks.head.number + 1, self.seed.start_block)

    def _timestamp(self, number: int) -> int:
        """Milliseconds since the epoch at a block."""
        if self.seed.genesis_timestamp is None:
            return int(self.clock() * 1000)
        since_start = max(0, number - self.seed.start_block)
        return self.seed.genesis_timestamp * 1000 + since_start * self.runtime.milliseconds_per_block

    def _seal(self, number: int, bodies: tuple[bytes, ...]) -> None:
        state = self.storage.freeze()
        # The SDK caches metadata by genesis hash: chains with other metadata must not share one.
        salt = b"" if number else blake2_256(self.runtime.metadata)
        parent = self.blocks.head.hash if number else bytes(32)
        self.blocks.append(Block(number, parent, bodies, state.root(), salt), state)


def runtime_version() -> dict[str, Any]:
    """What ``state_getRuntimeVersion`` answers."""
    return {
        "specName": "node-subtensor",
        "implName": "node-subtensor",
        "authoringVersion": 1,
        "specVersion": metadata.SPEC_VERSION,
        "implVersion": 1,
        "apis": [],
        "transactionVersion": metadata.TRANSACTION_VERSION,
        "stateVersion": 1,
    }


def describe(included: Included) -> dict[str, Any]:
    """An included extrinsic as JSON."""
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


def _record(index: int, event: Event) -> dict[str, Any]:
    phase = {"ApplyExtrinsic": index}
    return {"phase": phase, "event": {event.pallet: {event.name: event.attributes}}, "topics": []}
