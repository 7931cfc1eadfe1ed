"""Who holds which slot: registration in a free or a taken slot, pruning, immunity, and hotkeys that change.

A slot of a full subnet changes hands: the neuron that earned least goes, unless it is immune or the subnet owner's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bitagent_local.chain.subnet import PALLET, MutableSubnet, Subnet

PER_NEURON = {
    "Active": True,
    "Emission": 0,
    "Consensus": 0,
    "Dividends": 0,
    "ValidatorTrust": 0,
    "ValidatorPermit": False,
    "StakeWeight": 0,
}
"""Lists by uid of a netuid, and the value of a new neuron."""
OF_HOTKEY = ("Axons", "NeuronCertificates", "Prometheus")
"""Values by netuid and hotkey that go with a registration."""


@dataclass(frozen=True)
class Slot:
    """What decides which slot is given to a newcomer."""

    uid: int
    emission: int
    registered_at: int
    immune: bool
    owners: bool
    """Whether it is the subnet owner's, which is never taken."""


def to_prune(slots: Sequence[Slot], *, min_non_immune: int) -> int | None:
    """Return the uid that a newcomer gets in a full subnet, or ``None`` if all are the owner's.

    Of those outside immunity the one with the smallest emission goes, of equals the oldest; those in immunity only if
    not more than ``min_non_immune`` others are left.
    """
    candidates = [slot for slot in slots if not slot.owners]
    free = [slot for slot in candidates if not slot.immune]
    chosen = free if len(free) > min_non_immune else [slot for slot in candidates if slot.immune]
    if not chosen:
        return None
    return min(chosen, key=lambda slot: (slot.emission, slot.registered_at, slot.uid)).uid


def slots(subnet: Subnet, *, block: int) -> list[Slot]:
    """Return all slots of a subnet as they are in a block."""
    emission, immunity, owner = subnet.get("Emission"), int(subnet.get("ImmunityPeriod")), subnet.owner_uid()
    return [
        Slot(
            uid=uid,
            emission=int(emission[uid]),
            registered_at=(registered := subnet.registered_at(uid)),
            immune=block - registered < immunity,
            owners=uid == owner,
        )
        for uid in range(subnet.size)
    ]


def place(subnet: Subnet, *, block: int) -> int | None:
    """Return the uid that the next registration gets, or ``None`` if there is none to give."""
    if subnet.size < int(subnet.get("MaxAllowedUids")):
        return subnet.size
    return to_prune(slots(subnet, block=block), min_non_immune=int(subnet.get("MinNonImmuneUids")))


def register(subnet: MutableSubnet, hotkey: str, *, uid: int, block: int) -> None:
    """Give a slot to a hotkey; whoever held it is not registered any more."""
    if uid < subnet.size:
        _leave(subnet, uid)
    else:
        subnet.put("SubnetworkN", uid + 1)
    name(subnet, hotkey, uid)
    subnet.storage.put(PALLET, "BlockAtRegistration", (subnet.netuid, uid), block)
    for item, value in PER_NEURON.items():
        subnet.replace(item, uid, value)
    for mechanism in range(subnet.mechanisms):
        subnet.replace_of_mechanism("Incentive", mechanism, uid, 0)
        subnet.updated(uid, block, mechanism=mechanism)


def swap(subnet: MutableSubnet, old: str, new: str) -> None:
    """Give a hotkey's slot, stake and axon to a new hotkey.

    The slot keeps its registration block and weights. A commitment stays with the old hotkey, as on the real chain.
    """
    uid = subnet.uid(old)
    if uid is None:
        raise ValueError(f"hotkey {old} is not registered on subnet {subnet.netuid}")
    stake = subnet.stake(old)
    _forget_name(subnet, old)
    name(subnet, new, uid)
    subnet.storage.put(PALLET, "Owner", (new,), subnet.coldkey(old))
    subnet.storage.put(PALLET, "TotalHotkeyAlpha", (new, subnet.netuid), stake)
    subnet.storage.put(PALLET, "TotalHotkeyAlpha", (old, subnet.netuid), 0)
    for item in OF_HOTKEY:
        if subnet.storage.has(PALLET, item, subnet.netuid, old):
            subnet.storage.put(PALLET, item, (subnet.netuid, new), subnet.storage.get(PALLET, item, subnet.netuid, old))
            subnet.storage.delete(PALLET, item, subnet.netuid, old)
    if str(subnet.get("SubnetOwnerHotkey")) == old:
        subnet.put("SubnetOwnerHotkey", new)


def forget(subnet: MutableSubnet, hotkey: str) -> None:
    """Remove what is stored of a hotkey that loses its slot."""
    _forget_name(subnet, hotkey)
    for item in OF_HOTKEY:
        subnet.storage.delete(PALLET, item, subnet.netuid, hotkey)


def _leave(subnet: MutableSubnet, uid: int) -> None:
    """Remove what a slot's last holder leaves behind, except commitments, which stay; weights for the slot become 0."""
    forget(subnet, subnet.hotkey(uid))
    for mechanism in range(subnet.mechanisms):
        for item in ("Weights", "Bonds"):
            subnet.put_row(item, uid, {}, mechanism=mechanism)
        for source in range(subnet.size):
            row = subnet.weights(source, mechanism=mechanism)
            if row.get(uid):
                subnet.put_row("Weights", source, row | {uid: 0}, mechanism=mechanism)


def name(subnet: MutableSubnet, hotkey: str, uid: int) -> None:
    """Store which hotkey holds a slot."""
    subnet.storage.put(PALLET, "Uids", (subnet.netuid, hotkey), uid)
    subnet.storage.put(PALLET, "Keys", (subnet.netuid, uid), hotkey)
    subnet.storage.put(PALLET, "IsNetworkMember", (hotkey, subnet.netuid), True)


def _forget_name(subnet: MutableSubnet, hotkey: str) -> None:
    subnet.storage.delete(PALLET, "Uids", subnet.netuid, hotkey)
    subnet.storage.delete(PALLET, "IsNetworkMember", hotkey, subnet.netuid)
