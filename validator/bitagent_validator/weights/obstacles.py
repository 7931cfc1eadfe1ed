"""What keeps a row from being set until a person, or the chain, changes something. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bitagent_crds.conditions import Reason
from bitagent_validator.chain.facts import RAO, Neuron, Subnet
from bitagent_validator.state.rows import Row, counted
from bitagent_validator.weights.fill import exempt, smallest_row
from bitagent_validator.weights.reasons import skewed
from bitagent_validator.weights.vector import U16_MAX, fits

SEALED_MAX = 1177
"""Largest number of weights in a sealed row: the chain takes 5,000 bytes."""


@dataclass(frozen=True)
class Obstacle:
    """Why a row is not set."""

    reason: Reason
    message: str


def chain_obstacle(
    planned: Row, subnet: Subnet, me: Neuron, *, version_key: int, skew: float | None
) -> Obstacle | None:
    """Return why the chain would refuse any submission until a person changes something; None if it would not."""
    rules, alone = subnet.rules, exempt(planned.weights, subnet)
    if problem := mechanism_problem(subnet, subnet.mechanism):
        return problem
    if (permit := permit_problem(subnet, me)) and not (alone and permit.reason is Reason.NO_PERMIT):
        return permit
    if version_key < rules.version_key:
        return Obstacle(
            Reason.VERSION_KEY_TOO_LOW,
            f"weights.versionKey is {version_key}, the subnet requires {rules.version_key} or more: "
            "upgrade to what the subnet runs, then raise versionKey",
        )
    if not alone and planned.hotkeys < smallest_row(subnet):
        return Obstacle(
            Reason.SUBMISSION_FAILED,
            f"the subnet accepts rows of at least {smallest_row(subnet)} weights, and only {planned.hotkeys} miners "
            "are to be paid: weights.fill says how such rows are filled",
        )
    if not alone and not fits(planned.weights, rules=rules):
        return Obstacle(
            Reason.SUBMISSION_FAILED,
            f"the subnet allows one miner {rules.max_weight / U16_MAX:.2%} at most, which takes more than the "
            f"{planned.hotkeys} miners that are to be paid",
        )
    if rules.commit_reveal and planned.hotkeys > SEALED_MAX:
        return Obstacle(
            Reason.ROW_TOO_LONG,
            f"a sealed row holds {SEALED_MAX} weights at most, and {planned.hotkeys} hotkeys are to be paid: choose a "
            "policy that pays fewer",
        )
    if rules.commit_reveal and skew is not None:
        return Obstacle(
            Reason.CLOCK_SKEW,
            f"{skewed(skew)}, and a sealed row would open at another time: set the clock (NTP)",
        )
    return None


def mechanism_problem(subnet: Subnet, mechanism: int) -> Obstacle | None:
    """Return why no weights can be set in a mechanism that the subnet lacks; None if it has it, or may have."""
    if subnet.has(mechanism):
        return None
    count = subnet.mechanism_count
    text = (
        f"subnet {subnet.netuid} has {counted(count or 0, 'mechanism')}, numbered from 0, and the competitions of "
        f"mechanism {mechanism} earn their miners nothing: correct competitions[].mechanism, or remove them"
    )
    return Obstacle(Reason.MECHANISM_NOT_FOUND, text)


def permit_problem(subnet: Subnet, me: Neuron) -> Obstacle | None:
    """Return why the hotkey may not set weights; None if it may. The subnet owner's needs neither stake nor permit."""
    if subnet.owner_hotkey == me.hotkey:
        return None
    threshold = subnet.rules.stake_threshold
    if me.stake < threshold:
        text = f"stake is {me.stake / RAO:g}, setting weights takes {threshold / RAO:g}"
        return Obstacle(Reason.STAKE_TOO_LOW, text)
    if not me.permit:
        text = "no validator permit: it is given at the end of a tempo to the hotkeys with most stake"
        return Obstacle(Reason.NO_PERMIT, text)
    return None
