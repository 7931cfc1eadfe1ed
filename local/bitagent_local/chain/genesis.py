"""The subnet and its neurons as a seed describes them: written at the genesis, changed by tests later."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from bitagent_local.chain.pallets import balances, commitments, epochs, neurons
from bitagent_local.chain.seed import CHAIN_ITEMS, ITEMS, Hyperparameters, Neuron, Seed, rao
from bitagent_local.chain.storage import Storage
from bitagent_local.chain.subnet import PALLET, TOKEN_SYMBOL, MutableSubnet


def create(storage: Storage, seed: Seed) -> None:
    """Create the subnet with its owner, rules and neurons."""
    subnet = MutableSubnet(storage, seed.netuid)
    for item, value in {
        "NetworksAdded": True,
        "NetworkRegisteredAt": 0,
        "TokenSymbol": list(TOKEN_SYMBOL.encode()),
        "Tempo": seed.tempo,
        "LastEpochBlock": seed.start_block - 1,
        "LastMechansimStepBlock": seed.start_block - 1,
        "SubnetOwner": seed.owner_coldkey,
        "SubnetOwnerHotkey": seed.owner_hotkey,
        # A price of 1: as much of the subnet's token in the pool as of TAO.
        "SubnetTAO": 10**12,
        "SubnetAlphaIn": 10**12,
    }.items():
        subnet.put(item, value)
    storage.put(PALLET, "Owner", (seed.owner_hotkey,), seed.owner_coldkey)
    balances.set_free(storage, seed.owner_coldkey, rao(Decimal(100)))
    set_rules(subnet, seed.hyperparameters.model_dump())
    for neuron in seed.neurons:
        add_neuron(subnet, neuron, block=0)
    give_permits(subnet, {neuron.hotkey: neuron.permit for neuron in seed.neurons if neuron.permit is not None})


def set_rules(subnet: MutableSubnet, rules: dict[str, Any]) -> None:
    """Store rules by their names in ``Hyperparameters``."""
    for name, value in rules.items():
        stored = rao(value) if isinstance(value, Decimal) else value
        if name in CHAIN_ITEMS:
            subnet.storage.put(PALLET, CHAIN_ITEMS[name], (), stored)
        else:
            subnet.put(ITEMS[name], stored)


def change_rules(subnet: MutableSubnet, rules: Hyperparameters) -> None:
    """Store the rules that a request names."""
    set_rules(subnet, rules.model_dump(include=rules.model_fields_set))


def add_neuron(subnet: MutableSubnet, neuron: Neuron, *, block: int) -> int:
    """Register a hotkey, or change what is given of a registered one; return its uid.

    Raises ValueError if the subnet is full and no slot may be taken.
    """
    uid, given = subnet.uid(neuron.hotkey), neuron.model_fields_set
    if uid is None:
        uid, given = neurons.place(subnet, block=block), set(Neuron.model_fields)
        if uid is None:
            raise ValueError(f"subnet {subnet.netuid} is full: {subnet.size} neurons, and none may be replaced")
        neurons.register(subnet, neuron.hotkey, uid=uid, block=block)
    storage = subnet.storage
    storage.put(PALLET, "Owner", (neuron.hotkey,), neuron.coldkey)
    if "stake" in given:
        storage.put(PALLET, "TotalHotkeyAlpha", (neuron.hotkey, subnet.netuid), neuron.rao)
    if "balance" in given:
        balances.set_free(storage, neuron.coldkey, rao(neuron.balance))
    if neuron.permit is not None:
        subnet.replace("ValidatorPermit", uid, neuron.permit)
    if endpoint := neuron.endpoint():
        address, port = endpoint
        axon = {"version": 1, "ip": int(address), "port": port, "ip_type": address.version, "protocol": 4}
        params = (subnet.netuid, neuron.hotkey)
        storage.put(PALLET, "Axons", params, {"block": block, **axon, "placeholder1": 0, "placeholder2": 0})
    if neuron.commitment is not None:
        content = neuron.commitment.encode()
        info = {"fields": [{f"Raw{len(content)}": "0x" + content.hex()}]}
        commitments.store(subnet, neuron.hotkey, info, block=block)
    return uid


def give_permits(subnet: MutableSubnet, held: dict[str, bool]) -> None:
    """Give permits as an epoch would, except those that are held."""
    chosen = epochs.permits_by_stake(subnet)
    subnet.put("ValidatorPermit", [held.get(subnet.hotkey(uid), permit) for uid, permit in enumerate(chosen)])
