"""A subnet that its owner makes smaller: those that earn least go, and the slots of all others are numbered again."""

from __future__ import annotations

from bitagent_local.chain.pallets import neurons
from bitagent_local.chain.subnet import PALLET, MutableSubnet

IMMUNE_LIMIT = 0.8
"""Part of the slots that are left which immune neurons may hold at most."""


def trim(subnet: MutableSubnet, size: int, *, block: int) -> list[str]:
    """Leave so many slots, and return the hotkeys that have lost theirs.

    Of equal emissions the highest slot goes first; immune neurons and the subnet owner's stay. Raises ValueError if the
    subnet may not have that size.
    """
    most = int(subnet.get("MaxAllowedUids"))
    if not 0 < size <= most:
        raise ValueError(f"subnet {subnet.netuid} may have 1 to {most} slots, not {size}")
    slots = neurons.slots(subnet, block=block)
    staying = {slot.uid for slot in slots if slot.immune or slot.owners}
    if len(slots) > size and len(staying) >= IMMUNE_LIMIT * size:
        raise ValueError(f"{len(staying)} immune neurons are too many for {size} slots")
    subnet.put("MaxAllowedUids", size)
    by_emission = sorted(slots, key=lambda slot: (slot.emission, -slot.uid))
    gone = [slot.uid for slot in by_emission if slot.uid not in staying][: max(0, len(slots) - size)]
    hotkeys = [subnet.hotkey(uid) for uid in gone]
    if gone:
        _remove(subnet, [slot.uid for slot in slots if slot.uid not in gone], hotkeys)
    return hotkeys


def _remove(subnet: MutableSubnet, kept: list[int], leaving: list[str]) -> None:
    """Keep some slots only, and number them from 0; weights and bonds follow, those for the others are dropped."""
    number = {old: new for new, old in enumerate(kept)}
    size, storage = subnet.size, subnet.storage
    for hotkey in leaving:
        neurons.forget(subnet, hotkey)
    for item in neurons.PER_NEURON:
        values = subnet.get(item)
        subnet.put(item, [values[uid] for uid in kept])
    for mechanism in range(subnet.mechanisms):
        for item in ("Incentive", "LastUpdate"):
            values = [*subnet.of_mechanism(item, mechanism), *([0] * size)]
            subnet.put_of_mechanism(item, mechanism, [values[uid] for uid in kept])
        for item in ("Weights", "Bonds"):
            rows = [subnet.row(item, uid, mechanism=mechanism) for uid in range(size)]
            for uid in range(size):
                row = rows[kept[uid]] if uid < len(kept) else {}
                moved = {number[target]: value for target, value in row.items() if target in number}
                subnet.put_row(item, uid, moved, mechanism=mechanism)
    holders = [(subnet.hotkey(uid), subnet.registered_at(uid)) for uid in kept]
    for uid in range(size):
        storage.delete(PALLET, "Keys", subnet.netuid, uid)
        storage.delete(PALLET, "BlockAtRegistration", subnet.netuid, uid)
    for uid, (hotkey, registered_at) in enumerate(holders):
        neurons.name(subnet, hotkey, uid)
        storage.put(PALLET, "BlockAtRegistration", (subnet.netuid, uid), registered_at)
    subnet.put("SubnetworkN", len(kept))
