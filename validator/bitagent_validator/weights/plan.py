"""Whether to set weights now. Pure: what is wanted, what the chain holds and what was begun, to one verdict.

On a subnet where weights are readable, the chain itself answers whether they are current. Where they are sealed
(commit-reveal) it only tells when this hotkey last set any; then the record of what was sent stands in for the row.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import WeightsMode
from bitagent_validator.chain.facts import RAO, Neuron, Subnet
from bitagent_validator.weights.vector import U16_MAX, Wanted, fits, same_row

REFRESHES_PER_CUTOFF = 5
"""Unchanged weights are set again so many times within the chain's activity cutoff, so that four in a row may be missed."""


@dataclass(frozen=True)
class Intent:
    """A row about to be sent, written down before it is."""

    wanted: Wanted
    since: int
    """The finalised block at that time: the row can only be in a later one."""


@dataclass(frozen=True)
class Sent:
    """What is remembered of the last row that the chain accepted."""

    digest: str
    block: int


@dataclass(frozen=True)
class Failure:
    """Why the last attempt did not succeed, and when the next is due."""

    reason: Reason
    message: str
    retry_block: int


class Step(Enum):
    """What to do now."""

    WAIT = auto()
    SUBMIT = auto()
    CONFIRM = auto()
    """The intent's row is on the chain: record it."""
    FORGET = auto()
    """The intent's transaction has expired without a trace: drop it and plan again."""


@dataclass(frozen=True)
class Verdict:
    """The step, and the WeightsCurrent condition that goes with it."""

    step: Step
    current: bool
    reason: Reason
    message: str


@dataclass(frozen=True)
class Progress:
    """What this pod knows about its own attempts."""

    intent: Intent | None = None
    sent: Sent | None = None
    in_flight: bool = False
    """The submitting process is running."""
    expires: int | None = None
    """The block after which the intent's transaction can no longer enter the chain; None while that is unknown."""
    failure: Failure | None = None


def plan_weights(
    *, mode: WeightsMode, version_key: int, wanted: Wanted | None, any_round: bool, subnet: Subnet, progress: Progress
) -> Verdict:
    """Decide. `wanted` is None when nobody is to be paid; `any_round` says whether any round was ever complete."""
    if mode is WeightsMode.OFF:
        return _wait(Reason.WEIGHTS_OFF, "weights.mode is Off: none are computed")
    if mode is WeightsMode.SET and progress.in_flight:
        # Also without an intent, as when the record of it was deleted: never two at a time.
        return _wait(Reason.WEIGHTS_PENDING, "weights are being submitted")
    if mode is WeightsMode.SET and progress.intent:
        return _settle(progress.intent, subnet, progress)
    if not any_round:
        return _wait(Reason.WEIGHTS_PENDING, "no round is complete yet")
    if wanted is None:
        return _wait(Reason.NO_ELIGIBLE_MINERS, "no registered miner has a score in the last complete rounds")
    if mode is WeightsMode.DRY_RUN:
        return _wait(Reason.DRY_RUN, "weights.mode is DryRun: computed, not submitted")
    if subnet.me is None:
        return _wait(Reason.NOT_REGISTERED, f"hotkey {subnet.hotkey} is not registered on subnet {subnet.netuid}")
    return _compare(wanted, subnet, subnet.me, version_key=version_key, progress=progress)


def _settle(intent: Intent, subnet: Subnet, progress: Progress) -> Verdict:
    me = subnet.me
    # A registration counts as an update as well, but not as weights.
    if me and me.last_update > max(intent.since, me.registered_at) and _readable_as(intent.wanted, subnet):
        return Verdict(
            Step.CONFIRM, True, Reason.WEIGHTS_SET, f"the chain holds the weights since block {me.last_update}"
        )
    if progress.expires is not None and subnet.block > progress.expires:
        return Verdict(Step.FORGET, False, Reason.WEIGHTS_PENDING, "the last submission never reached the chain")
    reason = progress.failure.reason if progress.failure else Reason.WEIGHTS_PENDING
    why = f"{progress.failure.message}; " if progress.failure else ""
    until = f" until block {progress.expires}" if progress.expires is not None else ""
    return _wait(reason, f"{why}watching{until} whether the last submission reaches the chain")


def _readable_as(wanted: Wanted, subnet: Subnet) -> bool:
    return subnet.rules.commit_reveal or same_row(wanted.row, subnet.row)


def _compare(wanted: Wanted, subnet: Subnet, me: Neuron, *, version_key: int, progress: Progress) -> Verdict:
    rules, age, sent = subnet.rules, subnet.block - me.last_update, progress.sent
    if sent and subnet.block < sent.block:
        behind = f"the node is at block {subnet.block}, and weights were set at block {sent.block}: waiting for it"
        return _wait(Reason.CHAIN_STALLED, behind, current=sent.digest == wanted.digest)
    if rules.commit_reveal:
        # A hotkey that lost its slot and came back has no weights, whatever it had sent before.
        on_chain = (
            sent is not None and sent.digest == wanted.digest and me.registered_at <= sent.block <= me.last_update
        )
    else:
        on_chain = bool(subnet.row) and same_row(wanted.row, subnet.row)
    refresh = max(rules.rate_limit, rules.activity_cutoff // REFRESHES_PER_CUTOFF)
    if on_chain and age < refresh:
        return Verdict(
            Step.WAIT, True, Reason.WEIGHTS_SET, f"the chain holds the weights of {', '.join(wanted.rounds)}"
        )
    if obstacle := _obstacle(wanted, subnet, me, version_key=version_key):
        return _wait(*obstacle, current=on_chain)
    if progress.failure and subnet.block < progress.failure.retry_block:
        return _wait(progress.failure.reason, progress.failure.message, current=on_chain)
    # A neuron whose last update is block 0 never had one: the chain lets it set weights at once.
    if me.last_update and age < rules.rate_limit:
        left = rules.rate_limit - age
        message = f"the subnet allows the next setting in {left} blocks, at block {subnet.block + left}"
        return _wait(Reason.RATE_LIMITED, message, current=on_chain)
    why = f"unchanged for {age} blocks: set again" if on_chain else f"to be set from {', '.join(wanted.rounds)}"
    return Verdict(Step.SUBMIT, on_chain, Reason.WEIGHTS_SET if on_chain else Reason.WEIGHTS_PENDING, why)


def _obstacle(wanted: Wanted, subnet: Subnet, me: Neuron, *, version_key: int) -> tuple[Reason, str] | None:
    """What makes the chain refuse any submission, until someone changes something."""
    rules = subnet.rules
    if permit := permit_problem(subnet, me):
        return permit
    if version_key < rules.version_key:
        return (
            Reason.VERSION_KEY_TOO_LOW,
            f"weights.versionKey is {version_key}, the subnet wants {rules.version_key} or more: "
            "upgrade to what the subnet runs, then raise versionKey",
        )
    if len(wanted.row) < rules.min_weights:
        return (
            Reason.SUBMISSION_FAILED,
            f"the subnet takes rows of at least {rules.min_weights} weights, and only {len(wanted.row)} miners are to be paid",
        )
    if not fits(wanted.row, rules=rules):
        return (
            Reason.SUBMISSION_FAILED,
            f"the subnet allows one miner {rules.max_weight / U16_MAX:.2%} at most, which takes more than the "
            f"{len(wanted.row)} miners that are to be paid",
        )
    return None


def permit_problem(subnet: Subnet, me: Neuron) -> tuple[Reason, str] | None:
    """Why the hotkey may not set weights; None when it may."""
    threshold = subnet.rules.stake_threshold
    if me.stake < threshold:
        return Reason.STAKE_TOO_LOW, f"stake is {me.stake / RAO:g}, setting weights takes {threshold / RAO:g}"
    if not me.permit:
        return Reason.NO_PERMIT, "no validator permit: it is given at the end of a tempo to the hotkeys with most stake"
    return None


def _wait(reason: Reason, message: str, *, current: bool = False) -> Verdict:
    return Verdict(Step.WAIT, current, reason, message)
