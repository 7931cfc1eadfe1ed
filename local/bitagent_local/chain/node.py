"""The chain as a state machine without I/O: `submit` adds extrinsics, each call of `produce` makes a block.

Blocks become final in `finalize`, which the server calls after every block unless a fault delays it; finality trails
the head by the seed's ``finality_lag``. `reorg` moves to another branch, `upgrade` to another runtime.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Any

from bitagent_local.chain import extrinsics, genesis
from bitagent_local.chain.blocks import Block, Blocks, aura_digest
from bitagent_local.chain.dispatch import dispatch, guard
from bitagent_local.chain.extrinsics import Extrinsic, InvalidExtrinsic
from bitagent_local.chain.outcomes import Included, Reorganised, dispatch_info, record
from bitagent_local.chain.pallets import balances, commit_reveal, commitments, drand, epochs, neurons, trimming
from bitagent_local.chain.pallets.escrow import Escrow
from bitagent_local.chain.pallets.registry import Candidate, DispatchError, Event, Origin, custom_error
from bitagent_local.chain.pool import Pool
from bitagent_local.chain.runtime import Runtime
from bitagent_local.chain.scale import blake2_256
from bitagent_local.chain.seed import Hyperparameters, Neuron, Seed, rao
from bitagent_local.chain.storage import Storage
from bitagent_local.chain.subnet import PALLET, MutableSubnet, Subnet, storage_index

INCLUDED_KEPT = 1000
"""Number of included extrinsics that are kept for tests to inspect."""

CANNOT_PAY = "Inability to pay some fees (e.g. account balance too low)"


class ChainNode:
    """The author of all blocks; endpoints show them sooner or later."""

    def __init__(self, seed: Seed, *, milliseconds_per_block: int, clock: Callable[[], float]) -> None:
        self.seed = seed
        self.clock = clock
        self.clock_offset = 0.0
        """Seconds by which the blocks' timestamps are wrong."""
        self.runtime = Runtime(milliseconds_per_block=milliseconds_per_block)
        self.storage = Storage(self.runtime)
        self.blocks = Blocks()
        self.pool = Pool()
        self.escrow = Escrow()
        self.missing_rounds: frozenset[int] = frozenset()
        """Drand rounds that the chain never stores."""
        self.included: deque[Included] = deque(maxlen=INCLUDED_KEPT)
        self.reveals: deque[commit_reveal.Outcome] = deque(maxlen=INCLUDED_KEPT)
        self.finality_lag = seed.finality_lag
        self._held_permits = {neuron.hotkey: neuron.permit for neuron in seed.neurons if neuron.permit is not None}
        self._dropped: list[Extrinsic] = []
        self._fork = 0
        self._genesis()
        self.finalized = self.blocks.head

    @property
    def subnet(self) -> Subnet:
        """The subnet at the head."""
        return Subnet(self.blocks.state(None), self.seed.netuid)

    def submit(self, raw: bytes) -> Extrinsic:
        """Add an extrinsic to the pool. Raises InvalidExtrinsic if it is not admitted."""
        extrinsic = extrinsics.admit(raw, runtime=self.runtime, blocks=self.blocks)
        self.pool.refuse_known(extrinsic)
        if extrinsic.nonce >= self._nonce(extrinsic.signer):
            self._guard(extrinsic, self._next_number())
        self.pool.add(extrinsic, nonce_of=self._nonce, tag=self._tag(extrinsic))
        return extrinsic

    def next_nonce(self, account: str) -> int:
        """Return the nonce of an account's next extrinsic, counting those that are ready in the pool."""
        return self._nonce(account) + self.pool.pending(account)

    def register(self, neuron: Neuron) -> int:
        """Register a hotkey, or change a registered one, from the next block on; return its uid.

        Raises ValueError if the subnet is full and no slot may be taken.
        """
        uid = genesis.add_neuron(self._next_subnet(), neuron, block=self._next_number())
        if neuron.permit is not None:
            self._held_permits[neuron.hotkey] = neuron.permit
        elif "permit" in neuron.model_fields_set:
            self._held_permits.pop(neuron.hotkey, None)
        return uid

    def replace(self, old: str, neuron: Neuron) -> int:
        """Give the slot of one hotkey to another, as a registration in a full subnet does; return the uid.

        Raises ValueError if the old hotkey is not registered, or the new one is.
        """
        subnet = self._next_subnet()
        uid = subnet.uid(old)
        if uid is None or subnet.uid(neuron.hotkey) is not None:
            raise ValueError(f"{old} must be registered on subnet {subnet.netuid}, and {neuron.hotkey} must not")
        neurons.register(subnet, neuron.hotkey, uid=uid, block=self._next_number())
        whole = {"stake": neuron.stake, "balance": neuron.balance}
        self.register(Neuron.model_validate({**neuron.model_dump(exclude_unset=True), **whole}))
        return uid

    def swap(self, old: str, new: str) -> None:
        """Give a hotkey's slot and stake to a new hotkey. Raises ValueError if the old one is not registered."""
        neurons.swap(self._next_subnet(), old, new)
        if old in self._held_permits:
            self._held_permits[new] = self._held_permits.pop(old)

    def trim(self, size: int) -> list[str]:
        """Make the subnet smaller, as its owner may, and return the hotkeys that lose their slots.

        Raises ValueError if it may not have that size.
        """
        return trimming.trim(self._next_subnet(), size, block=self._next_number())

    def set_rules(self, rules: Hyperparameters) -> None:
        """Change the given hyperparameters from the next block on."""
        genesis.change_rules(self._next_subnet(), rules)

    def set_balance(self, account: str, free: int) -> None:
        """Set what an account owns, in rao, from the next block on."""
        balances.set_free(self.storage, account, free)

    def plan_epochs(self, *, after: int | None = None, tempo: int | None = None) -> int:
        """Let the next epoch run in `after` blocks, unless the tempo is sooner, and change the tempo; return its block.

        None leaves it as it is.
        """
        subnet = self._next_subnet()
        if tempo is not None:
            subnet.put("Tempo", tempo)
        if after is not None:
            subnet.put("PendingEpochAt", self.blocks.head.number + after)
        return subnet.next_epoch()

    def upgrade(self) -> int:
        """Use another runtime from the next block on; return its spec version."""
        self.runtime = self.storage.runtime = self.runtime.upgraded()
        return self.runtime.spec_version

    def produce(self) -> list[Included]:
        """Seal a block from the pool, make it the head, and return its extrinsics with their outcomes."""
        number = self._next_number()
        milliseconds = self._timestamp(number)
        bodies = [extrinsics.timestamp_inherent(self.runtime, milliseconds)]
        events = [record(None, event) for event in self._begin(number)]
        mandatory = {"dispatch_info": dispatch_info("Mandatory", pays=True)}
        events.append(record(0, Event("System", "ExtrinsicSuccess", mandatory)))
        included: list[Included] = []
        taken, over = self.pool.take(block=number, nonce_of=self._nonce)
        self._dropped += over
        behind: list[Extrinsic] = []
        for extrinsic in taken:
            if extrinsic.nonce != self._nonce(extrinsic.signer):
                behind.append(extrinsic)
                continue
            try:
                self._guard(extrinsic, number)
            except InvalidExtrinsic:
                self.pool.ban(extrinsic)
                self._dropped.append(extrinsic)
                continue
            bodies.append(extrinsic.raw)
            index = len(bodies) - 1
            happened, error = self._apply(extrinsic, number)
            events += [record(index, event) for event in happened]
            included.append(Included(number, index, extrinsic, error))
        self.pool.give_back(behind, nonce_of=self._nonce)
        self.storage.put("Timestamp", "Now", (), milliseconds)
        drand.store(self.storage, drand.round_at(milliseconds / 1000 - self.seed.drand_delay))
        self.storage.put("System", "Number", (), number)
        self.storage.put("System", "Events", (), events)
        self._seal(number, tuple(bodies), slot=milliseconds // self.runtime.milliseconds_per_block)
        self.included.extend(included)
        return included

    def take_dropped(self) -> list[Extrinsic]:
        """Return the extrinsics that have left the pool without a block since the last call."""
        dropped, self._dropped = self._dropped, []
        return dropped

    def finalize(self) -> list[Block]:
        """Finalise all blocks up to the lag behind the head; return the newly final ones, oldest first."""
        last = self.blocks.head.number - self.finality_lag
        numbers = range(self.finalized.number + 1, last + 1)
        final = [block for number in numbers if (block := self.blocks.numbered(number)) is not None]
        if final:
            self.finalized = final[-1]
        return final

    def reorg(self, depth: int, *, lose: bool = False) -> Reorganised:
        """Leave the last blocks for a branch that is one block longer and has none of their extrinsics.

        Their extrinsics wait in the pool again; with `lose` they are gone, as if no other node had seen them.
        Raises ValueError if one of the blocks is final.
        """
        head = self.blocks.head.number
        ancestor = self.blocks.numbered(head - depth)
        if ancestor is None or ancestor.number < self.finalized.number:
            raise ValueError(f"only {head - self.finalized.number} blocks are not final, not {depth}")
        left = self.blocks.retract(ancestor)
        self.storage.restore(self.blocks.state(ancestor.hash))
        self.runtime = self.storage.runtime
        self._fork += 1
        undone = [item for item in self.included if item.block > ancestor.number]
        self.included = deque((item for item in self.included if item.block <= ancestor.number), maxlen=INCLUDED_KEPT)
        self.reveals = deque((item for item in self.reveals if item.block <= ancestor.number), maxlen=INCLUDED_KEPT)
        waiting, self.pool = self.pool, Pool()
        for _ in range(depth + 1):
            self.produce()
        self.pool = waiting
        lost = [item.extrinsic for item in undone]
        self.pool.give_back([] if lose else lost, nonce_of=self._nonce)
        return Reorganised(left, lost)

    def weights(self, mechanism: int = 0) -> dict[str, dict[str, Any]]:
        """Return the weights at the head by hotkey: the block of the setting, and the stored u16 of every target."""
        subnet = self.subnet
        return {
            subnet.hotkey(uid): {
                "block": subnet.last_update(uid, mechanism=mechanism),
                "weights": {subnet.hotkey(target): value for target, value in row.items()},
            }
            for uid in range(subnet.size)
            if (row := subnet.weights(uid, mechanism=mechanism))
        }

    def _genesis(self) -> None:
        genesis.create(self.storage, self.seed)
        # As on a real chain, the genesis does not depend on a clock: the same seed gives the same chain.
        self.storage.put("Timestamp", "Now", (), 0)
        self._seal(0, (), slot=None)

    def _begin(self, number: int) -> list[Event]:
        """Begin a block: open what is due, then run the epoch if its block has come."""
        subnet = MutableSubnet(self.storage, self.seed.netuid)
        events, outcomes = commit_reveal.reveal(
            self.storage, subnet.netuid, block=number, escrow=self.escrow, missing=self.missing_rounds
        )
        self.reveals.extend(outcomes)
        events += commitments.reveal(self.storage, block=number, escrow=self.escrow, missing=self.missing_rounds)
        if number >= subnet.next_epoch():
            epochs.run(subnet, block=number, held_permits=self._held_permits, pay=self.seed.pay_emission)
        else:
            subnet.put("BlocksSinceLastStep", int(subnet.get("BlocksSinceLastStep")) + 1)
        return events

    def _guard(self, extrinsic: Extrinsic, number: int) -> None:
        """Make the checks of the runtime before a block takes an extrinsic. Raises InvalidExtrinsic."""
        if not balances.can_pay(self.storage, self._payer(extrinsic), rao(self.seed.fee)):
            raise InvalidExtrinsic(CANNOT_PAY)
        try:
            guard(Candidate(self.storage, extrinsic.signer, number), extrinsic.call)
        except DispatchError as refused:
            raise InvalidExtrinsic(custom_error(refused)) from refused

    def _apply(self, extrinsic: Extrinsic, number: int) -> tuple[list[Event], str | None]:
        account = self.storage.get("System", "Account", extrinsic.signer)
        self.storage.put("System", "Account", (extrinsic.signer,), {**account, "nonce": account["nonce"] + 1})
        fee = balances.charge(self.storage, self._payer(extrinsic), rao(self.seed.fee))
        info = {"dispatch_info": dispatch_info("Normal", pays=bool(fee))}
        try:
            events = dispatch(Origin(self.storage, extrinsic.signer, number), extrinsic.call)
        except DispatchError as refused:
            error = {"dispatch_error": self.runtime.module_error(refused.pallet, refused.name)}
            return [*fee, Event("System", "ExtrinsicFailed", error | info)], str(refused)
        # The fee is withdrawn before the call and reported after it.
        return [*fee[:1], *events, *fee[1:], Event("System", "ExtrinsicSuccess", info)], None

    def _payer(self, extrinsic: Extrinsic) -> str:
        call = extrinsic.call
        return balances.payer(self.storage, extrinsic.signer, pallet=call.pallet, function=call.function)

    def _tag(self, extrinsic: Extrinsic) -> Hashable | None:
        """Return what an extrinsic competes for: a rate-limited hotkey has one commit in the pool."""
        call = extrinsic.call
        if call.pallet != PALLET or call.function not in commit_reveal.CALLS:
            return None
        subnet = Subnet(self.storage, int(call.args["netuid"]))
        if int(subnet.get("WeightsSetRateLimit")) == 0:
            return None
        return (extrinsic.signer, storage_index(subnet.netuid, int(call.args.get("mecid", 0))))

    def _nonce(self, account: str) -> int:
        return int(self.storage.get("System", "Account", account)["nonce"])

    def _next_subnet(self) -> MutableSubnet:
        return MutableSubnet(self.storage, self.seed.netuid)

    def _next_number(self) -> int:
        return max(self.blocks.head.number + 1, self.seed.start_block)

    def _timestamp(self, number: int) -> int:
        """Return the time of a block in milliseconds since the Unix epoch."""
        if self.seed.genesis_timestamp is None:
            return int((self.clock() + self.clock_offset) * 1000)
        since_start = max(0, number - self.seed.start_block)
        computed = self.seed.genesis_timestamp * 1000 + since_start * self.runtime.milliseconds_per_block
        return max(0, computed + int(self.clock_offset * 1000))

    def _seal(self, number: int, bodies: tuple[bytes, ...], *, slot: int | None) -> None:
        state = self.storage.freeze()
        # The SDK caches metadata by genesis hash: chains with different metadata must not share one.
        salt = blake2_256(self.runtime.metadata) if slot is None else b""
        parent = bytes(32) if slot is None else self.blocks.head.hash
        digest = () if slot is None else aura_digest(slot, fork=self._fork)
        self.blocks.append(Block(number, parent, bodies, state.root(), salt, digest), state)
