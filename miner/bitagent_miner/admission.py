"""Who may ask this miner: by registration, permit and stake on the chain. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bitagent_miner.chain import Subnet
from bitagent_wire.server import Rejected, Rejection


class Callers(StrEnum):
    """Who may ask."""

    PERMIT = "permit"
    """Hotkeys with a validator permit."""
    REGISTERED = "registered"
    """Registered hotkeys."""
    ANYONE = "anyone"


@dataclass(frozen=True)
class Rules:
    """The miner's rules."""

    callers: Callers = Callers.PERMIT
    minimum_stake: float = 0.0
    """In TAO."""
    allow: frozenset[str] = frozenset()
    """Hotkeys that may ask whatever the chain says."""
    deny: frozenset[str] = frozenset()


def refusal(hotkey: str, rules: Rules, subnet: Subnet | None) -> Rejected | None:
    """Return why a hotkey may not ask; None if it may. `subnet` is None until the chain was read."""
    if hotkey in rules.deny:
        return Rejected(Rejection.BLACKLISTED, "this miner does not answer this hotkey")
    if hotkey in rules.allow or (rules.callers is Callers.ANYONE and not rules.minimum_stake):
        return None
    if subnet is None:
        return Rejected(Rejection.BUSY, "the miner has not read the chain yet")
    neuron = subnet.neurons.get(hotkey)
    if neuron is None:
        return Rejected(Rejection.BLACKLISTED, f"the hotkey is not registered on subnet {subnet.netuid}")
    if rules.callers is Callers.PERMIT and not neuron.permit:
        return Rejected(Rejection.BLACKLISTED, f"the hotkey has no validator permit on subnet {subnet.netuid}")
    if neuron.stake < rules.minimum_stake:
        return Rejected(Rejection.BLACKLISTED, f"the hotkey has less stake than {rules.minimum_stake:g}")
    return None


def priority(hotkey: str, subnet: Subnet | None) -> float:
    """Return the priority of a hotkey: its stake."""
    neuron = subnet.neurons.get(hotkey) if subnet is not None else None
    return neuron.stake if neuron is not None else 0.0
