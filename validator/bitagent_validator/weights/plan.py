"""Whether to set weights now. Pure: the planned weights, the chain and the records, to one decision.

On a subnet where weights are readable, the chain itself shows whether they are current. Where they are encrypted
(commit-reveal), it shows only when this hotkey last set any; the record of the last accepted row is used instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import WeightsMode
from bitagent_validator.chain.facts import RAO, Neuron, Subnet
from bitagent_validator.state import Row
from bitagent_validator.weights.vector import U16_MAX, fits, same_weights

REFRESHES_PER_CUTOFF = 5
"""How often unchanged weights are set again within the chain's activity cutoff, so that four in a row may fail."""


@dataclass(frozen=True)
class SubmissionFailure:
    """Why the last attempt failed, and when the next one is due."""

    reason: Reason
    message: str
    retry_block: int


class Step(Enum):
    """What to do now."""

    WAIT = auto()
    SUBMIT = auto()
    CONFIRM = auto()
    """The pending row is on the chain: record it as accepted."""
    DISCARD = auto()
    """The transaction of the pending row has expired without effect: remove the record and plan again."""


@dataclass(frozen=True)
class Decision:
    """The next step, and the WeightsCurrent condition that goes with it."""

    step: Step
    current: bool
    reason: Reason
    message: str


@dataclass(frozen=True)
class SubmissionProgress:
    """The records about this account's rows, and what this pod knows about its own attempts."""

    pending: Row | None = None
    accepted: Row | None = None
    in_flight: bool = False
    """The submitting process is running."""
    expires: int | None = None
    """The block after which the pending row's transaction can no longer enter the chain; None if not known yet."""
    failure: SubmissionFailure | None = None


def plan_weights(
    *,
    mode: WeightsMode,
    version_key: int,
    planned: Row | None,
    any_round: bool,
    subnet: Subnet,
    progress: SubmissionProgress,
    policy_problem: str = "",
) -> Decision:
    """Return the next step.

    `planned` is None if no hotkey is to be paid, or if a policy could not be applied; `policy_problem` then says why.
    `any_round` says whether any round was ever complete; fixed shares need none.
    """
    if mode is WeightsMode.OFF:
        return _wait(Reason.WEIGHTS_OFF, "weights.mode is Off: none are computed")
    if mode is WeightsMode.SET and progress.in_flight:
        # Also without a pending row, as when its record was deleted: never two submissions at a time.
        return _wait(Reason.WEIGHTS_PENDING, "weights are being submitted")
    if mode is WeightsMode.SET and progress.pending:
        return _settle(progress.pending, subnet, progress)
    if policy_problem:
        return _wait(Reason.POLICY_UNAVAILABLE, policy_problem)
    if planned is None and not any_round:
        return _wait(Reason.WEIGHTS_PENDING, "no round is complete yet")
    if planned is None:
        return _wait(Reason.NO_ELIGIBLE_MINERS, "no miner is to be paid: status.unpaid has the reasons")
    if mode is WeightsMode.DRY_RUN:
        return _wait(Reason.DRY_RUN, "weights.mode is DryRun: computed, not submitted")
    if subnet.me is None:
        return _wait(Reason.NOT_REGISTERED, f"hotkey {subnet.hotkey} is not registered on subnet {subnet.netuid}")
    return _compare(planned, subnet, subnet.me, version_key=version_key, progress=progress)


def _settle(pending: Row, subnet: Subnet, progress: SubmissionProgress) -> Decision:
    me = subnet.me
    # The chain counts a registration as an update, too, but it sets no weights.
    if me and me.last_update > max(pending.since, me.registered_at) and _may_be_on_chain(pending, subnet):
        return Decision(
            Step.CONFIRM, True, Reason.WEIGHTS_SET, f"the chain holds the weights since block {me.last_update}"
        )
    if progress.expires is not None and subnet.block > progress.expires:
        return Decision(Step.DISCARD, False, Reason.WEIGHTS_PENDING, "the last submission never reached the chain")
    reason = progress.failure.reason if progress.failure else Reason.WEIGHTS_PENDING
    why = f"{progress.failure.message}; " if progress.failure else ""
    until = f" until block {progress.expires}" if progress.expires is not None else ""
    return _wait(reason, f"{why}watching{until} whether the last submission reaches the chain")


def _may_be_on_chain(row: Row, subnet: Subnet) -> bool:
    return subnet.rules.commit_reveal or same_weights(row.weights, subnet.weights)


def _compare(planned: Row, subnet: Subnet, me: Neuron, *, version_key: int, progress: SubmissionProgress) -> Decision:
    rules, age, accepted = subnet.rules, subnet.block - me.last_update, progress.accepted
    if accepted and subnet.block < accepted.block:
        behind = f"the node is at block {subnet.block}, and weights were set at block {accepted.block}: waiting for it"
        return _wait(Reason.CHAIN_STALLED, behind, current=accepted.digest == planned.digest)
    if rules.commit_reveal:
        # A hotkey that lost its slot and registered again has no weights, even if it set some before.
        on_chain = (
            accepted is not None
            and accepted.digest == planned.digest
            and me.registered_at <= accepted.block <= me.last_update
        )
    else:
        on_chain = bool(subnet.weights) and same_weights(planned.weights, subnet.weights)
    refresh = max(rules.rate_limit, rules.activity_cutoff // REFRESHES_PER_CUTOFF)
    if on_chain and age < refresh:
        return Decision(Step.WAIT, True, Reason.WEIGHTS_SET, f"the chain holds {planned.source}")
    if obstacle := _obstacle(planned, subnet, me, version_key=version_key):
        return _wait(*obstacle, current=on_chain)
    if progress.failure and subnet.block < progress.failure.retry_block:
        return _wait(progress.failure.reason, progress.failure.message, current=on_chain)
    # A last update at block 0 means that there was none: the chain then accepts weights at once.
    if me.last_update and age < rules.rate_limit:
        left = rules.rate_limit - age
        message = f"the subnet allows the next setting in {left} blocks, at block {subnet.block + left}"
        return _wait(Reason.RATE_LIMITED, message, current=on_chain)
    why = f"unchanged for {age} blocks: set again" if on_chain else f"to be set: {planned.source}"
    return Decision(Step.SUBMIT, on_chain, Reason.WEIGHTS_SET if on_chain else Reason.WEIGHTS_PENDING, why)


def _obstacle(planned: Row, subnet: Subnet, me: Neuron, *, version_key: int) -> tuple[Reason, str] | None:
    """Return why the chain would refuse any submission until a person changes something; None if it would not."""
    rules = subnet.rules
    if permit := permit_problem(subnet, me):
        return permit
    if version_key < rules.version_key:
        return (
            Reason.VERSION_KEY_TOO_LOW,
            f"weights.versionKey is {version_key}, the subnet requires {rules.version_key} or more: "
            "upgrade to what the subnet runs, then raise versionKey",
        )
    if planned.hotkeys < rules.min_weights:
        return (
            Reason.SUBMISSION_FAILED,
            f"the subnet accepts rows of at least {rules.min_weights} weights, and only {planned.hotkeys} miners are "
            "to be paid",
        )
    if not fits(planned.weights, rules=rules):
        return (
            Reason.SUBMISSION_FAILED,
            f"the subnet allows one miner {rules.max_weight / U16_MAX:.2%} at most, which takes more than the "
            f"{planned.hotkeys} miners that are to be paid",
        )
    return None


def permit_problem(subnet: Subnet, me: Neuron) -> tuple[Reason, str] | None:
    """Return why the hotkey may not set weights; None if it may."""
    threshold = subnet.rules.stake_threshold
    if me.stake < threshold:
        return Reason.STAKE_TOO_LOW, f"stake is {me.stake / RAO:g}, setting weights takes {threshold / RAO:g}"
    if not me.permit:
        return Reason.NO_PERMIT, "no validator permit: it is given at the end of a tempo to the hotkeys with most stake"
    return None


def _wait(reason: Reason, message: str, *, current: bool = False) -> Decision:
    return Decision(Step.WAIT, current, reason, message)
