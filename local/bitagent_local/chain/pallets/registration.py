"""Calls of a coldkey about its hotkeys: registration for TAO, and the change of a hotkey."""

from __future__ import annotations

from typing import Any

from bitagent_local.chain.pallets import balances, neurons
from bitagent_local.chain.pallets.registry import DispatchError, Event, Origin, handles
from bitagent_local.chain.subnet import PALLET, MutableSubnet


@handles(PALLET, "burned_register")
def burned_register(origin: Origin, args: dict[str, Any]) -> list[Event]:
    """Register a hotkey for the burn price; in a full subnet it takes the slot of the neuron that earned least."""
    subnet, hotkey = MutableSubnet(origin.storage, int(args["netuid"])), str(args["hotkey"])
    if subnet.netuid == 0:
        raise DispatchError(PALLET, "RegistrationNotPermittedOnRootSubnet")
    if not subnet.exists:
        raise DispatchError(PALLET, "SubnetNotExists")
    if not subnet.get("NetworkRegistrationAllowed"):
        raise DispatchError(PALLET, "SubNetRegistrationDisabled")
    if subnet.uid(hotkey) is not None:
        raise DispatchError(PALLET, "HotKeyAlreadyRegisteredInSubNet")
    price = int(subnet.get("Burn"))
    if not balances.can_pay(origin.storage, origin.signer, price):
        raise DispatchError(PALLET, "NotEnoughBalanceToStake")
    if origin.storage.has(PALLET, "Owner", hotkey) and subnet.coldkey(hotkey) != origin.signer:
        raise DispatchError(PALLET, "NonAssociatedColdKey")
    uid = neurons.place(subnet, block=origin.block)
    if uid is None:
        raise DispatchError(PALLET, "NoNeuronIdAvailable")
    if price:
        balances.set_free(origin.storage, origin.signer, balances.free(origin.storage, origin.signer) - price)
    origin.storage.put(PALLET, "Owner", (hotkey,), origin.signer)
    neurons.register(subnet, hotkey, uid=uid, block=origin.block)
    return [Event(PALLET, "NeuronRegistered", (subnet.netuid, uid, hotkey))]


@handles(PALLET, "register_limit")
def register_limit(origin: Origin, args: dict[str, Any]) -> list[Event]:
    """Register a hotkey if the burn price is not above a limit."""
    if int(MutableSubnet(origin.storage, int(args["netuid"])).get("Burn")) > int(args["limit_price"]):
        raise DispatchError(PALLET, "RegistrationPriceLimitExceeded")
    return burned_register(origin, args)


@handles(PALLET, "swap_hotkey")
@handles(PALLET, "swap_hotkey_v2")
def swap_hotkey(origin: Origin, args: dict[str, Any]) -> list[Event]:
    """Give a hotkey's slot to a new hotkey of the same coldkey. There is one subnet here: all subnets mean that one."""
    old, new = str(args["hotkey"]), str(args["new_hotkey"])
    if not origin.storage.has(PALLET, "Owner", old) or str(origin.storage.get(PALLET, "Owner", old)) != origin.signer:
        raise DispatchError(PALLET, "NonAssociatedColdKey")
    if old == new:
        raise DispatchError(PALLET, "NewHotKeyIsSameWithOld")
    netuid = int(args["netuid"]) if args["netuid"] is not None else _only_subnet(origin)
    subnet = MutableSubnet(origin.storage, netuid)
    if not subnet.exists:
        raise DispatchError(PALLET, "SubnetNotExists")
    if subnet.uid(old) is None:
        raise DispatchError(PALLET, "HotKeyNotRegisteredInSubNet")
    if subnet.uid(new) is not None:
        raise DispatchError(PALLET, "HotKeyAlreadyRegisteredInSubNet")
    neurons.swap(subnet, old, new)
    attributes = {"coldkey": origin.signer, "old_hotkey": old, "new_hotkey": new}
    if args["netuid"] is None:
        return [Event(PALLET, "HotkeySwapped", attributes)]
    return [Event(PALLET, "HotkeySwappedOnSubnet", {**attributes, "netuid": netuid})]


def _only_subnet(origin: Origin) -> int:
    """Return the number of the subnet. Raises DispatchError if there is none."""
    key: bytes = origin.storage.runtime.storage_key(PALLET, "NetworksAdded", (0,))
    found = origin.storage.keys(prefix=key[:-2], after=b"", count=1)
    if not found:
        raise DispatchError(PALLET, "SubnetNotExists")
    return int.from_bytes(found[0][-2:], "little")
