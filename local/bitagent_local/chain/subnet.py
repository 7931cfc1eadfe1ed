"""One subnet in the state: neurons, rows of weights, permits and the schedule, over the pallet's own storage items.

A subnet has one or more mechanisms, each with weights, last updates, bonds and incentives of its own, which the pallet
stores under ``mechanism * 4096 + netuid``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bitagent_local.chain.storage import Storage, View

PALLET = "SubtensorModule"
MECHANISM_STRIDE = 4096
TOKEN_SYMBOL = "τ"


def storage_index(netuid: int, mechanism: int) -> int:
    """Return the number under which the pallet stores what a mechanism has of its own."""
    return mechanism * MECHANISM_STRIDE + netuid


@dataclass(frozen=True)
class NeuronState:
    """One neuron as stored."""

    uid: int
    hotkey: str
    coldkey: str
    stake: int
    permit: bool
    active: bool
    last_update: int
    """Of the first mechanism."""
    registered_at: int
    axon: dict[str, Any] | None


class Subnet:
    """Reads of one subnet at one block."""

    def __init__(self, view: View, netuid: int) -> None:
        self.view = view
        self.netuid = netuid

    def get(self, item: str) -> Any:
        """Return a value that the pallet stores for each netuid."""
        return self.view.get(PALLET, item, self.netuid)

    def of_mechanism(self, item: str, mechanism: int) -> Any:
        """Return a value that the pallet stores for each mechanism."""
        return self.view.get(PALLET, item, storage_index(self.netuid, mechanism))

    @property
    def exists(self) -> bool:
        """Whether there is a subnet of this number."""
        return bool(self.get("NetworksAdded"))

    @property
    def size(self) -> int:
        """The number of neurons."""
        return int(self.get("SubnetworkN"))

    @property
    def mechanisms(self) -> int:
        """The number of mechanisms."""
        return int(self.get("MechanismCountCurrent"))

    def uid(self, hotkey: str) -> int | None:
        """Return the hotkey's uid, or ``None`` if it is not registered."""
        uid = self.view.get(PALLET, "Uids", self.netuid, hotkey)
        return None if uid is None else int(uid)

    def hotkey(self, uid: int) -> str:
        """Return the hotkey of a uid."""
        return str(self.view.get(PALLET, "Keys", self.netuid, uid))

    def coldkey(self, hotkey: str) -> str:
        """Return the coldkey that owns a hotkey."""
        return str(self.view.get(PALLET, "Owner", hotkey))

    def stake(self, hotkey: str) -> int:
        """Return the hotkey's stake in rao."""
        return int(self.view.get(PALLET, "TotalHotkeyAlpha", hotkey, self.netuid))

    def owner_uid(self) -> int | None:
        """Return the uid of the subnet owner's hotkey, or ``None`` if it is not registered."""
        return self.uid(str(self.get("SubnetOwnerHotkey")))

    def registered_at(self, uid: int) -> int:
        """Return the block in which a slot was last taken."""
        return int(self.view.get(PALLET, "BlockAtRegistration", self.netuid, uid))

    def neurons(self) -> Iterator[NeuronState]:
        """Yield all neurons by uid."""
        updates, permits, active = self.of_mechanism("LastUpdate", 0), self.get("ValidatorPermit"), self.get("Active")
        for uid in range(self.size):
            hotkey = self.hotkey(uid)
            yield NeuronState(
                uid=uid,
                hotkey=hotkey,
                coldkey=self.coldkey(hotkey),
                stake=self.stake(hotkey),
                permit=bool(permits[uid]),
                active=bool(active[uid]),
                last_update=int(updates[uid]),
                registered_at=self.registered_at(uid),
                axon=self.view.get(PALLET, "Axons", self.netuid, hotkey),
            )

    def last_update(self, uid: int, *, mechanism: int) -> int:
        """Return the block in which a neuron last set or committed weights; 0 means never."""
        updates = self.of_mechanism("LastUpdate", mechanism)
        return int(updates[uid]) if uid < len(updates) else 0

    def row(self, item: str, uid: int, *, mechanism: int = 0) -> dict[int, int]:
        """Return a neuron's ``Weights`` or ``Bonds``: u16 by target uid."""
        stored = self.view.get(PALLET, item, storage_index(self.netuid, mechanism), uid)
        return {int(target): int(value) for target, value in stored}

    def weights(self, uid: int, *, mechanism: int = 0) -> dict[int, int]:
        """Return a neuron's weights: u16 by target uid."""
        return self.row("Weights", uid, mechanism=mechanism)

    def activity_cutoff(self) -> int:
        """Return the number of blocks without an update after which a neuron does not count."""
        return max(1, int(self.get("ActivityCutoffFactorMilli")) * int(self.get("Tempo")) // 1000)

    def next_epoch(self) -> int:
        """Return the block of the next epoch: by the tempo, or sooner if one was triggered."""
        scheduled, pending = int(self.get("LastEpochBlock")) + int(self.get("Tempo")), int(self.get("PendingEpochAt"))
        return min(scheduled, pending) if pending else scheduled

    def epoch_of(self, block: int) -> int:
        """Return the number of the epoch that a call in a block belongs to."""
        return int(self.get("SubnetEpochIndex")) + (1 if block >= self.next_epoch() else 0)


class MutableSubnet(Subnet):
    """Writes to one subnet in the block under construction; callers check the rules."""

    def __init__(self, storage: Storage, netuid: int) -> None:
        super().__init__(storage, netuid)
        self.storage = storage

    def put(self, item: str, value: Any) -> None:
        """Store a value that the pallet stores for each netuid."""
        self.storage.put(PALLET, item, (self.netuid,), value)

    def put_of_mechanism(self, item: str, mechanism: int, value: Any) -> None:
        """Store a value that the pallet stores for each mechanism."""
        self.storage.put(PALLET, item, (storage_index(self.netuid, mechanism),), value)

    def replace(self, item: str, uid: int, value: Any) -> None:
        """Set one neuron's entry in a list that the pallet stores for each netuid; a new entry may be appended."""
        self.put(item, _replaced(self.get(item), uid, value))

    def replace_of_mechanism(self, item: str, mechanism: int, uid: int, value: Any) -> None:
        """Set one neuron's entry in a list that the pallet stores for each mechanism."""
        self.put_of_mechanism(item, mechanism, _replaced(self.of_mechanism(item, mechanism), uid, value))

    def put_row(self, item: str, uid: int, row: Mapping[int, int], *, mechanism: int) -> None:
        """Store a neuron's ``Weights`` or ``Bonds``."""
        params = (storage_index(self.netuid, mechanism), uid)
        if row:
            self.storage.put(PALLET, item, params, list(row.items()))
        else:
            self.storage.delete(PALLET, item, *params)

    def updated(self, uid: int, block: int, *, mechanism: int) -> None:
        """Note the block in which a neuron set or committed weights."""
        self.replace_of_mechanism("LastUpdate", mechanism, uid, block)


def _replaced(values: Sequence[Any], uid: int, value: Any) -> list[Any]:
    changed = list(values)
    # A mechanism that was added later has shorter lists.
    changed += [0] * (uid - len(changed))
    changed[uid : uid + 1] = [value]
    return changed
