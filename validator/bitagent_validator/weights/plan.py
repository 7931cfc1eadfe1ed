"""Whether to set weights now. Pure: the planned weights, the chain and the records, to one decision.

The chain shows what it holds, by slot. Where rows are sent sealed (commit-reveal), it shows a new row only when its
epoch has come; until then the record of what was sent says that it is under way, and afterwards the row is read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import Fill, WeightsMode
from bitagent_validator.chain.facts import Neuron, Subnet
from bitagent_validator.state.rows import Reveal, Row, counted
from bitagent_validator.weights.fill import filled_row
from bitagent_validator.weights.obstacles import Obstacle, chain_obstacle
from bitagent_validator.weights.sightings import foreign_update, is_late_reveal, may_be_on_chain
from bitagent_validator.weights.vector import same_values, same_weights

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
    REVEALED = auto()
    """The chain has applied the sealed row: record that."""


@dataclass(frozen=True)
class Decision:
    """The next step, and the WeightsCurrent condition that goes with it."""

    step: Step
    current: bool
    reason: Reason
    message: str
    row: Row | None = None
    """The row to submit."""


@dataclass(frozen=True)
class SubmissionProgress:
    """The records about this account's rows, and what this pod knows about its own attempts."""

    pending: Row | None = None
    accepted: Row | None = None
    in_flight: bool = False
    """The submitting process is running."""
    expires: int | None = None
    """The block after which the pending row's transaction can no longer enter the chain; None if not known yet."""
    unopened: frozenset[str] = frozenset()
    """The digests of earlier sealed rows of which it was not seen what became of them."""
    included: int | None = None
    """The block that includes the pending row, as the submitting process said; None if it did not."""
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
    held: Obstacle | None = None,
    skew: float | None = None,
    fill: Fill = Fill.BURN,
    target: str = "",
) -> Decision:
    """Return the next step.

    `planned` is None if no hotkey is to be paid, or if a policy could not be applied; `policy_problem` then says why.
    `any_round` says whether any round was ever complete; fixed shares need none. `held` says why the planned row is
    not to be set. `skew` is by how many seconds the clock differs from the chain's, None while it fits. `fill` and the
    `target` of burning say how the last row is filled if hotkeys of it have lost their slots.
    """
    if mode is WeightsMode.OFF:
        return _wait(Reason.WEIGHTS_OFF, "weights.mode is Off: none are computed")
    if mode is WeightsMode.SET and progress.in_flight:
        # Also without a pending row, as when its record was deleted: never two submissions at a time.
        return _wait(Reason.WEIGHTS_PENDING, "weights are being submitted")
    if mode is WeightsMode.SET and progress.pending:
        return _settle(progress.pending, subnet, progress)
    obstacle = held
    if policy_problem:
        obstacle = Obstacle(Reason.POLICY_UNAVAILABLE, policy_problem)
    elif planned is None and not any_round:
        obstacle = Obstacle(Reason.WEIGHTS_PENDING, "no round is complete yet")
    elif planned is None:
        text = "no miner is to be paid: status.unpaid has the reasons; weights.fill says what is set then"
        obstacle = Obstacle(Reason.NO_ELIGIBLE_MINERS, text)
    if obstacle is None and mode is WeightsMode.DRY_RUN:
        return _wait(Reason.DRY_RUN, "weights.mode is DryRun: computed, not submitted")
    if subnet.me is None and (obstacle is None or progress.accepted):
        return _wait(Reason.NOT_REGISTERED, f"hotkey {subnet.hotkey} is not registered on subnet {subnet.netuid}")
    if obstacle or planned is None or subnet.me is None:
        found = obstacle or Obstacle(Reason.WEIGHTS_PENDING, "nothing is known")
        last = still_registered(progress.accepted, subnet, fill=fill, target=target) if progress.accepted else None
        return _keep_last(found, last, subnet, mode=mode, version_key=version_key, progress=progress, skew=skew)
    return _compare(planned, subnet, subnet.me, version_key=version_key, progress=progress, skew=skew)


def _keep_last(
    why: Obstacle,
    last: Row | None,
    subnet: Subnet,
    *,
    mode: WeightsMode,
    version_key: int,
    progress: SubmissionProgress,
    skew: float | None,
) -> Decision:
    """Return the decision while there is no new row: the last good one is set again before it expires.

    It is set again at once if it now pays whoever holds a slot that was another's, or who owned the subnet.
    """
    accepted = progress.accepted
    if mode is not WeightsMode.SET or last is None or subnet.me is None:
        return _wait(why.reason, why.message)
    pays_another = accepted is not None and (
        bool(changed_hands(accepted, subnet)) or accepted.burnt.keys() != last.burnt.keys()
    )
    if not pays_another and subnet.block - subnet.me.last_update < refresh_blocks(subnet):
        return _wait(why.reason, f"{why.message}; the last weights stay")
    again = _compare(last, subnet, subnet.me, version_key=version_key, progress=progress, skew=skew)
    if again.step is Step.SUBMIT:
        text = f"{why.message}; the last weights are set again"
        return replace(again, current=False, reason=Reason.LAST_WEIGHTS_KEPT, message=text)
    if again.step is Step.REVEALED:
        return again
    return _wait(why.reason, f"{why.message}; to set the last weights again: {again.message}")


def still_registered(row: Row, subnet: Subnet, *, fill: Fill = Fill.BURN, target: str = "") -> Row | None:
    """Return a row as a planned one, without hotkeys that have lost their slot; None if none is left.

    What it burnt goes to the `target` of now, and to the rest if there is none: a former owner earns nothing. The rest
    is scaled as the chain stores it, and filled if it is now too short.
    """
    kept = {hotkey: weight for hotkey, weight in row.weights.items() if hotkey in subnet.neurons}
    moved = sum(units for hotkey, units in row.burnt.items() if hotkey != target)
    if not moved and len(kept) == len(row.weights):
        return Row.planned(kept, row.rounds, row.burnt)
    for hotkey in (row.burnt.keys() & kept.keys()) - {target}:
        kept[hotkey] -= row.burnt[hotkey]
    burnt = row.burnt.get(target, 0)
    if target:
        kept[target] = kept.get(target, 0) + moved
        burnt += moved
    total = sum(kept.values())
    if not total:
        return None
    shares = {hotkey: weight / total for hotkey, weight in kept.items() if weight}
    part = burnt / kept[target] if kept.get(target) else 0.0
    filled = filled_row(shares, fill=fill, target=target, subnet=subnet)
    return Row.planned(filled, row.rounds, {target: round(filled[target] * part)} if part and target in filled else {})


def refresh_blocks(subnet: Subnet) -> int:
    """Return the age, in blocks, at which unchanged weights are set again."""
    return max(subnet.rules.rate_limit, subnet.rules.activity_cutoff // REFRESHES_PER_CUTOFF, 1)


def quiet_blocks(subnet: Subnet) -> int:
    """Return for how many blocks another process must have set nothing, before this one sets weights again."""
    return max(2 * subnet.rules.rate_limit, subnet.rules.activity_cutoff // 2)


def _settle(pending: Row, subnet: Subnet, progress: SubmissionProgress) -> Decision:
    me = subnet.me
    # The chain counts a registration as an update, too, but it sets no weights.
    newer = me is not None and me.last_update > max(pending.since, me.registered_at)
    # A sealed row may have been dropped at its reveal already, and is then seen nowhere.
    included = me is not None and me.last_update == progress.included
    if me and newer and (included or may_be_on_chain(pending, subnet)):
        return Decision(
            Step.CONFIRM, True, Reason.WEIGHTS_SET, f"the chain holds the weights since block {me.last_update}"
        )
    if progress.expires is not None and subnet.block > progress.expires:
        return Decision(Step.DISCARD, False, Reason.WEIGHTS_PENDING, "the last submission never reached the chain")
    until = f" until block {progress.expires}" if progress.expires is not None else ""
    if me and newer and not is_late_reveal(subnet, me, progress.accepted, unopened=progress.unopened):
        foreign = f"another process has set weights for this hotkey at block {me.last_update}"
        return _wait(Reason.FOREIGN_WEIGHTS, f"{foreign}; watching{until} whether the last submission lands as well")
    reason = progress.failure.reason if progress.failure else Reason.WEIGHTS_PENDING
    why = f"{progress.failure.message}; " if progress.failure else ""
    return _wait(reason, f"{why}watching{until} whether the last submission reaches the chain")


def _compare(
    planned: Row,
    subnet: Subnet,
    me: Neuron,
    *,
    version_key: int,
    progress: SubmissionProgress,
    skew: float | None,
) -> Decision:
    rules, age, accepted = subnet.rules, subnet.block - me.last_update, progress.accepted
    if accepted and subnet.block < accepted.block:
        behind = f"the node is at block {subnet.block}, and weights were set at block {accepted.block}: waiting for it"
        return _wait(Reason.CHAIN_STALLED, behind, current=accepted.digest == planned.digest)
    on_chain = bool(subnet.weights) and same_weights(planned.weights, subnet.weights)
    if accepted is None and subnet.commits:
        # Sealed rows that no record knows are under way, and replace the one that is readable.
        on_chain = False
    foreign = foreign_update(subnet, me, accepted, unopened=progress.unopened)
    if foreign is not None and subnet.block - foreign < quiet_blocks(subnet):
        text = (
            f"another process sets weights for this hotkey since block {foreign}: stop it, or suspend this Validator; "
            f"this one sets weights again when the other has been quiet until block {foreign + quiet_blocks(subnet)}"
        )
        return _wait(Reason.FOREIGN_WEIGHTS, text, current=on_chain)
    sealed = _sealed(accepted, planned, subnet, me) if rules.commit_reveal and accepted else None
    if sealed is Step.REVEALED and on_chain:
        return Decision(Step.REVEALED, True, Reason.WEIGHTS_SET, f"the chain has revealed {planned.source}")
    under_way = sealed is Step.WAIT
    masked = [] if not on_chain else registered_since(planned, subnet, me)
    if (on_chain or under_way) and not masked and age < refresh_blocks(subnet):
        if on_chain:
            return Decision(Step.WAIT, True, Reason.WEIGHTS_SET, f"the chain holds {planned.source}")
        epoch = accepted.epoch + rules.reveal_period if accepted else 0
        text = (
            f"{planned.source} were sent sealed: the chain reveals them in epoch {epoch}, and it is in {subnet.epoch}"
        )
        return _wait(Reason.REVEAL_PENDING, text)
    current = on_chain and not masked
    if obstacle := chain_obstacle(planned, subnet, me, version_key=version_key, skew=skew):
        return _wait(obstacle.reason, obstacle.message, current=current)
    if progress.failure and subnet.block < progress.failure.retry_block:
        return _wait(progress.failure.reason, progress.failure.message, current=current)
    reason, why = _why(planned, subnet, accepted, on_chain=on_chain, masked=masked, missed=sealed is Step.DISCARD)
    # A last update at block 0 means that there was none: the chain then accepts weights at once.
    if me.last_update and age < rules.rate_limit:
        left = rules.rate_limit - age
        message = f"{why}; the subnet allows the next one in {counted(left, 'block')}, at block {subnet.block + left}"
        return _wait(reason if reason is Reason.REVEAL_MISSED else Reason.RATE_LIMITED, message, current=current)
    return Decision(Step.SUBMIT, current, reason, why, row=planned)


def _sealed(accepted: Row, planned: Row, subnet: Subnet, me: Neuron) -> Step | None:
    """Return what became of a sealed row: WAIT until its epoch has passed, REVEALED, DISCARD if it was dropped.

    None if the accepted row is another one, or was sent from an earlier registration. A node that still has the commit
    of a revealed row is behind, and shows the row before it.
    """
    # A hotkey that lost its slot and registered again has no weights, even if it set some before.
    ours = me.registered_at <= accepted.block <= me.last_update
    if accepted.reveal is Reveal.OPEN or not ours:
        return None
    if accepted.reveal is Reveal.REVEALED:
        behind = accepted.digest == planned.digest and _is_sealed_still(accepted, subnet)
        return Step.WAIT if behind else None
    if same_values(accepted.by_uid, subnet.uid_weights) and not _is_sealed_still(accepted, subnet):
        return Step.REVEALED
    slots = {hotkey: subnet.neurons[hotkey].uid for hotkey in accepted.weights if hotkey in subnet.neurons}
    if accepted.digest != planned.digest or tuple(slots.values()) != accepted.uids:
        return None
    due = accepted.epoch + subnet.rules.reveal_period
    if subnet.epoch > due and not _is_sealed_still(accepted, subnet):
        return Step.DISCARD
    return Step.WAIT


def _is_sealed_still(accepted: Row, subnet: Subnet) -> bool:
    return bool(accepted.commit) and any(commit.digest == accepted.commit for commit in subnet.commits)


def registered_since(planned: Row, subnet: Subnet, me: Neuron) -> list[str]:
    """Return the paid hotkeys that registered after the last setting: the chain ignores what it gives them."""
    return [h for h in planned.weights if h in subnet.neurons and me.last_update <= subnet.neurons[h].registered_at]


def changed_hands(accepted: Row | None, subnet: Subnet) -> list[str]:
    """Return a sentence for each slot of the accepted row that another hotkey holds now."""
    if accepted is None:
        return []
    holders = {neuron.uid: neuron.hotkey for neuron in subnet.neurons.values()}
    return [
        f"slot {uid} of {hotkey} is {holders[uid]}'s now, which gets its weight"
        for hotkey, uid in zip(accepted.weights, accepted.uids, strict=True)
        if uid in holders and holders[uid] != hotkey and subnet.uid_weights.get(uid)
    ]


def _why(
    planned: Row, subnet: Subnet, accepted: Row | None, *, on_chain: bool, masked: list[str], missed: bool
) -> tuple[Reason, str]:
    """Return reason and text of a setting that is due."""
    if masked:
        return Reason.WEIGHTS_PENDING, f"{masked[0]} has registered since the last setting: set again"
    if on_chain:
        age = subnet.block - (subnet.me.last_update if subnet.me else 0)
        return Reason.WEIGHTS_SET, f"unchanged for {age} blocks: set again"
    if missed and accepted:
        epoch = accepted.epoch + subnet.rules.reveal_period
        return Reason.REVEAL_MISSED, (
            f"the chain did not apply {accepted.source} in epoch {epoch}: it drops a sealed row if the hotkey then "
            "lacks permit or stake, if version key or length do not fit, or if the chain misses the drand round; "
            "set again"
        )
    moved = "; ".join(changed_hands(accepted, subnet)[:3])
    return Reason.WEIGHTS_PENDING, "; ".join(part for part in (moved, f"to be set: {planned.source}") if part)


def _wait(reason: Reason, message: str, *, current: bool = False) -> Decision:
    return Decision(Step.WAIT, current, reason, message)
