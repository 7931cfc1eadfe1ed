"""What each pass looks up in its Validator first: what it consists of, and what keeps it from doing that."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bitagent_crds.validator import ValidatorSpec, WeightsMode
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.wallet import Account, load_hotkey
from bitagent_validator.weights.obstacles import mechanism_problem, permit_problem
from bitagent_validator.weights.plan import Decision
from bitagent_validator.weights.setter import HotkeyChanged


class MustRestart(Exception):
    """What the process began with is not so any more: it must be restarted."""


class SpecChanged(MustRestart):
    """The Validator names another subnet or other endpoints than at the start."""


class HeightForgotten(MustRestart):
    """A height at which the subnet was read is not believed any more, nor is anything that was read there."""


def parts_of(spec: ValidatorSpec) -> set[str]:
    """Return the names of all parts of a pass."""
    found = {"state", "status", "account", "discovery", "online", "endpoints", "wallet"} | {
        f"weights {mechanism}" for mechanism in spec.mechanisms
    }
    parts = ("results", "rounds", "online")
    return found | {f"competition {c.id}, {part}" for c in spec.competitions for part in parts}


def is_settled(spec: ValidatorSpec, decisions: Sequence[Decision], *, pending: Collection[int]) -> bool:
    """Whether all weights are on the chain; `pending`: the mechanisms of rows that may be on their way.

    A row of a mechanism that weights are not set for any more stays pending for ever.
    """
    under_way = set(pending) & set(spec.mechanisms)
    return bool(decisions) and all(decision.current for decision in decisions) and not under_way


def rounds_obstacle(spec: ValidatorSpec, subnet: Subnet, *, mechanism: int) -> str:
    """Return why no round of a mechanism is to be started, as its weights could not be set; empty if it may be."""
    if spec.rounds_without_permit or spec.weights.mode is not WeightsMode.SET:
        return ""
    if subnet.me is None:
        return f"hotkey {subnet.hotkey} is not registered on subnet {subnet.netuid}"
    problem = permit_problem(subnet, subnet.me) or mechanism_problem(subnet, mechanism)
    return problem.message if problem else ""


def check_key(account: Account) -> None:
    """Raise HotkeyChanged if the hotkey file holds another key than at the start, as after a rotation.

    Raises HotkeyFileError if it cannot be used: that is to be known before weights are due. It may be away for a moment
    while it is replaced.
    """
    now = load_hotkey(account.hotkey_file).ss58_address
    if now != account.hotkey:
        raise HotkeyChanged(f"the hotkey file now holds {now}, not {account.hotkey}")
