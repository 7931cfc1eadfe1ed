"""The chain as a state machine without I/O: `submit` adds extrinsics, each call of `produce` makes a block.

Blocks become final in `finalize`, which the server calls after every block unless a fault delays it.
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

INCLUDED_KEPT = 1000
"""Number of included extrinsics that are kept for tests to inspect."""

DISPATCH_INFO = {"weight": {"ref_time": 1000, "proof_size": 0}, "class": "Normal", "pays_fee": "No"}


@dataclass(frozen=True)
class Included:
    """An extrinsic in a block, and its outcome."""

    block: int
    index: int
    extrinsic: Extrinsic
    error: str | None
    """``Pallet.Error`` if the call was refused."""


class ChainNode:
    """The only node of the chain; it authors all blocks."""

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
        """Add an extrinsic to the pool. Raises InvalidExtrinsic if it is not admitted."""
        extrinsic = extrinsics.admit(raw, runtime=self.runtime, blocks=self.blocks, next_nonce=self.next_nonce)
        self.pool.append(extrinsic)
        return extrinsic

    def next_nonce(self, account: str) -> int:
        """Return the nonce of an account's next extrinsic, counting those in the pool."""
        pending = sum(extrinsic.signer == account for extrinsic in self.pool)
        return int(self.storage.get("System", "Account", account)["nonce"]) + pending

    def register(self, neuron: Neuron) -> int:
        """Register a hotkey, or change a registered one, from the next block on; return its uid.

        Raises ValueError if the subnet is full.
        """
        return MutableSubnet(self.storage, self.seed.netuid).register(neuron, block=self._next_number())

    def produce(self) -> list[Included]:
        """Seal a block from the pool, make it the head, and return its extrinsics with their outcomes."""
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
        """Finalise all blocks up to the head; return the newly final ones, oldest first."""
        numbers = range(self.finalized.number + 1, self.blocks.head.number + 1)
        final = [block for number in numbers if (block := self.blocks.numbered(number)) is not None]
        self.finalized = self.blocks.head
        return final

    def weights(self) -> dict[str, dict[str, Any]]:
        """Return the weights at the head by hotkey: the block of the setting, and the stored u16 of every target."""
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
        # As on a real chain, the genesis does not depend on a clock: the same seed gives the same chain.
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
        """Return the time of a block in milliseconds since the Unix epoch."""
        if self.seed.genesis_timestamp is None:
            return int(self.clock() * 1000)
        since_start = max(0, number - self.seed.start_block)
        return self.seed.genesis_timestamp * 1000 + since_start * self.runtime.milliseconds_per_block

    def _seal(self, number: int, bodies: tuple[bytes, ...]) -> None:
        state = self.storage.freeze()
        # The SDK caches metadata by genesis hash: chains with different metadata must not share one.
        salt = b"" if number else blake2_256(self.runtime.metadata)
        parent = self.blocks.head.hash if number else bytes(32)
        self.blocks.append(Block(number, parent, bodies, state.root(), salt), state)


def runtime_version() -> dict[str, Any]:
    """Return the answer to ``state_getRuntimeVersion``."""
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


def _record(index: int, event: Event) -> dict[str, Any]:
    phase = {"ApplyExtrinsic": index}
    return {"phase": phase, "event": {event.pallet: {event.name: event.attributes}}, "topics": []}
