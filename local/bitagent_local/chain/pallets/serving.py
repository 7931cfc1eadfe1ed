"""Endpoints that hotkeys publish."""

from __future__ import annotations

from typing import Any

from bitagent_local.chain.pallets.registry import Candidate, DispatchError, Event, Origin, guards, handles
from bitagent_local.chain.storage import View
from bitagent_local.chain.subnet import PALLET, MutableSubnet, Subnet

FIELDS = ("version", "ip", "port", "ip_type", "protocol", "placeholder1", "placeholder2")
LOOPBACK = {4: 0x7F000001, 6: 1}
HIGHEST = {4: 2**32 - 1, 6: 2**128 - 1}


@guards(PALLET, "serve_axon", "serve_axon_tls")
def serving_guard(candidate: Candidate, args: dict[str, Any]) -> None:
    """Refuse an endpoint that the call would refuse."""
    valid_axon(candidate.view, candidate.signer, args, block=candidate.block)


@handles(PALLET, "serve_axon")
@handles(PALLET, "serve_axon_tls")
def serve_axon(origin: Origin, args: dict[str, Any]) -> list[Event]:
    """Publish the endpoint of a hotkey."""
    subnet = MutableSubnet(origin.storage, int(args["netuid"]))
    if not subnet.exists:
        raise DispatchError(PALLET, "SubnetNotExists")
    valid_axon(origin.storage, origin.signer, args, block=origin.block)
    axon = {"block": origin.block, **{name: args[name] for name in FIELDS}}
    origin.storage.put(PALLET, "Axons", (subnet.netuid, origin.signer), axon)
    return [Event(PALLET, "AxonServed", (subnet.netuid, origin.signer))]


def valid_axon(view: View, hotkey: str, args: dict[str, Any], *, block: int) -> None:
    """Check an endpoint in the pallet's order. Address 0 is allowed by the pallet, for its own tests."""
    subnet, kind, address = Subnet(view, int(args["netuid"])), int(args["ip_type"]), int(args["ip"])
    if subnet.uid(hotkey) is None:
        raise DispatchError(PALLET, "HotKeyNotRegisteredInNetwork")
    if kind not in LOOPBACK:
        raise DispatchError(PALLET, "InvalidIpType")
    if address == LOOPBACK[kind] or address >= HIGHEST[kind]:
        raise DispatchError(PALLET, "InvalidIpAddress")
    last, limit = view.get(PALLET, "Axons", subnet.netuid, hotkey), int(subnet.get("ServingRateLimit"))
    if limit and last is not None and int(last["block"]) and block - int(last["block"]) < limit:
        raise DispatchError(PALLET, "ServingRateLimitExceeded")
    if int(args["port"]) == 0:
        raise DispatchError(PALLET, "InvalidPort")
