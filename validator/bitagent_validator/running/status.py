"""The Validator's status, computed from what this pod observed and did. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from bitagent_crds.conditions import ConditionStatus, ConditionType, Reason
from bitagent_crds.discovery import DiscoveryStatus
from bitagent_crds.online import OnlineStatus
from bitagent_crds.validator import CurrentRound, HotkeyWeight, LastWeights, RefusedClaim, UnpaidHotkey, ValidatorStatus
from bitagent_kube.conditions import ConditionValue, clip, parse_conditions, update_conditions
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.competitions.competition import CompetitionStatus
from bitagent_validator.objects import Round, RoundPhase
from bitagent_validator.policy.interface import Pay
from bitagent_validator.state.rows import Row
from bitagent_validator.weights.obstacles import permit_problem
from bitagent_validator.weights.plan import Decision

MESSAGE_LENGTH = 1000
WEIGHTS_MAX = 1024
"""Maximum number of hotkeys in the status."""
REFUSED_MAX = 16
"""Maximum number of refused claims in the status."""
UNPAID_MAX = 256
"""Maximum number of hotkeys that earn nothing in the status."""


@dataclass(frozen=True)
class StatusInputs:
    """Everything that the status is computed from."""

    generation: int
    hotkey: str
    block: int | None
    chain_problem: tuple[Reason, str] | None
    endpoint: str
    subnet: Subnet | None
    """None before the chain was read for the first time."""
    subnet_missing: bool
    competitions: Sequence[CompetitionStatus]
    decision: Decision | None
    shares: Mapping[str, float]
    """By hotkey."""
    accepted: Row | None
    """The last row of weights that the chain accepted."""
    pay: Mapping[str, Mapping[str, Pay]] = field(default_factory=dict)
    """By competition and hotkey: what each hotkey with a model earns, and why."""
    suspended: bool = False
    discovery: DiscoveryStatus | None = None
    """What discovery found; None without it."""
    online: Sequence[OnlineStatus] = ()
    """Online evaluation of each competition that asks for it."""
    online_condition: ConditionValue | None = None
    """None if no competition asks miners."""
    troubles: str = ""
    """Which parts of the last pass failed, and why."""
    contradiction: str = ""
    """What other endpoints say that contradicts the one that is used; empty if nothing does."""


def compute_status(inputs: StatusInputs, *, previous: Sequence[Mapping[str, Any]], now: datetime) -> ValidatorStatus:
    """Return the status without the operator's condition; `previous` are the conditions on the API server."""
    values = [_chain(inputs), *_account(inputs), _rounds(inputs.competitions), _weights(inputs)]
    if inputs.online_condition is not None:
        values.append(inputs.online_condition)
    values = [_unknown(each, inputs) for each in values]
    if inputs.troubles:
        values.append(_value(ConditionType.PASS_COMPLETE, False, Reason.PART_FAILED, inputs.troubles))
    else:
        idle = f"; {inputs.discovery.message}" if inputs.discovery and inputs.discovery.message else ""
        values.append(_value(ConditionType.PASS_COMPLETE, True, Reason.PASS_COMPLETE, f"every part succeeded{idle}"))
    me = inputs.subnet.me if inputs.subnet else None
    return ValidatorStatus(
        hotkey=inputs.hotkey,
        uid=me.uid if me else None,
        block=inputs.block,
        current_rounds=[
            CurrentRound(
                competition=c.plan.competition,
                round=latest.name,
                epoch=latest.epoch,
                block=latest.block,
                refused_claims=[
                    RefusedClaim(model=model, message=clip(message, 128))
                    for model, message in sorted(c.refused.items())[:REFUSED_MAX]
                ],
            )
            for c in inputs.competitions
            if (latest := c.plan.latest)
        ],
        rounds=clip(", ".join(c.plan.latest.name for c in inputs.competitions if c.plan.latest), 128),
        last_weights=_last_weights(inputs.accepted),
        weights=[HotkeyWeight(hotkey=h, weight=f"{share:.6f}") for h, share in _largest_first(inputs.shares)],
        unpaid=_unpaid(inputs.pay),
        discovery=inputs.discovery,
        online=list(inputs.online),
        conditions=update_conditions(
            values, previous=parse_conditions(previous), generation=inputs.generation, now=now
        ),
        message=clip(_summary(inputs, values), MESSAGE_LENGTH),
    )


def _last_weights(accepted: Row | None) -> LastWeights | None:
    if accepted is None:
        return None
    return LastWeights(
        block=accepted.block,
        at=accepted.at or datetime.fromtimestamp(0, UTC),
        rounds=list(accepted.rounds),
        digest=accepted.digest,
        extrinsic=accepted.extrinsic,
        hotkeys=accepted.hotkeys,
    )


def _unpaid(pay: Mapping[str, Mapping[str, Pay]]) -> list[UnpaidHotkey]:
    """Return the hotkeys that earn nothing, those with a score first, as many as the status holds."""
    found = [
        (each.score is None, competition, hotkey, each.standing)
        for competition, pays in pay.items()
        for hotkey, each in pays.items()
        if not each.standing.paid
    ]
    return [
        UnpaidHotkey(competition=competition, hotkey=hotkey, reason=standing)
        for _, competition, hotkey, standing in sorted(found)[:UNPAID_MAX]
    ]


def _largest_first(shares: Mapping[str, float]) -> Iterable[tuple[str, float]]:
    return sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:WEIGHTS_MAX]


def _value(kind: ConditionType, value: bool | None, reason: Reason, message: str) -> ConditionValue:
    status = ConditionStatus.UNKNOWN if value is None else ConditionStatus.TRUE if value else ConditionStatus.FALSE
    return ConditionValue(kind, status, reason, message)


def _unknown(value: ConditionValue, inputs: StatusInputs) -> ConditionValue:
    """Return a condition as Unknown if it is about a chain that is not read now: what was true may have changed.

    Rounds are looked at in passes that read the chain.
    """
    frozen = (
        ConditionType.REGISTERED,
        ConditionType.PERMITTED,
        ConditionType.ROUND_CURRENT,
        ConditionType.WEIGHTS_CURRENT,
        ConditionType.ONLINE_CURRENT,
    )
    if value.type not in frozen or value.status is ConditionStatus.UNKNOWN:
        return value
    if inputs.suspended:
        return replace(value, status=ConditionStatus.UNKNOWN, reason=Reason.SUSPENDED, message="suspended")
    if inputs.chain_problem and inputs.subnet is not None:
        reason, why = inputs.chain_problem
        message = f"not known while the chain is away ({why}); before: {value.status}, {value.message}"
        return replace(value, status=ConditionStatus.UNKNOWN, reason=reason, message=message)
    return value


def _chain(inputs: StatusInputs) -> ConditionValue:
    if inputs.chain_problem:
        return _value(ConditionType.CHAIN_CONNECTED, False, *inputs.chain_problem)
    contradiction = f"; {inputs.contradiction}" if inputs.contradiction else ""
    return _value(ConditionType.CHAIN_CONNECTED, True, Reason.CONNECTED, f"following {inputs.endpoint}{contradiction}")


def _account(inputs: StatusInputs) -> tuple[ConditionValue, ConditionValue]:
    registered, permitted = ConditionType.REGISTERED, ConditionType.PERMITTED
    if inputs.subnet_missing:
        message = "the chain has no subnet of this number: check spec.netuid and spec.chain.endpoints"
        return (
            _value(registered, False, Reason.SUBNET_NOT_FOUND, message),
            _value(permitted, False, Reason.SUBNET_NOT_FOUND, message),
        )
    if inputs.subnet is None:
        message = "the chain has not been read yet"
        return (
            _value(registered, None, Reason.CHAIN_UNREACHABLE, message),
            _value(permitted, None, Reason.CHAIN_UNREACHABLE, message),
        )
    me = inputs.subnet.me
    if me is None:
        message = f"{inputs.hotkey} has no slot on subnet {inputs.subnet.netuid}: register it with its coldkey"
        return (
            _value(registered, False, Reason.NOT_REGISTERED, message),
            _value(permitted, False, Reason.NOT_REGISTERED, "only a registered hotkey can hold a permit"),
        )
    is_registered = _value(registered, True, Reason.REGISTERED, f"uid {me.uid}")
    if problem := permit_problem(inputs.subnet, me):
        return is_registered, _value(permitted, False, problem.reason, problem.message)
    return is_registered, _value(permitted, True, Reason.PERMIT_HELD, "the hotkey may set weights")


def _rounds(competitions: Sequence[CompetitionStatus]) -> ConditionValue:
    """Return the condition of the competitions in the worst state."""
    kind = ConditionType.ROUND_CURRENT
    found: list[tuple[int, ConditionValue]] = []
    for competition in competitions:
        rank, value, reason, message = _round(competition)
        found.append((rank, _value(kind, value, reason, f"{competition.plan.competition}: {message}")))
    if not found:
        return _value(kind, None, Reason.PENDING, "the chain has not been read yet")
    worst = min(rank for rank, _ in found)
    chosen = [value for rank, value in found if rank == worst]
    return replace(chosen[0], message="; ".join(value.message for value in chosen))


def _round(competition: CompetitionStatus) -> tuple[int, bool, Reason, str]:
    """Return the rank of one competition's state, 0 for the worst, and its RoundCurrent condition."""
    current, latest = competition.plan.current, competition.plan.latest
    if competition.problem:
        return 0, False, competition.reason, competition.problem
    if current is None:
        return 2, False, Reason.WAITING_FOR_EPOCH, "the first epoch has not begun"
    if latest is None:
        return 2, False, Reason.WAITING_FOR_EPOCH, f"the round of epoch {current.number} is about to be created"
    if latest.phase is RoundPhase.UNFINISHED:
        if latest.block >= current.block:
            return 4, True, *_progress(latest)
        late = f"{latest.name} still runs in epoch {current.number}: the next round starts when it has finished"
        return 3, False, Reason.ROUND_IN_PROGRESS, late
    if latest.phase is RoundPhase.FAILED:
        text = f"{latest.name} failed; raise its spec.retry, or wait for the round of the next epoch"
        return 1, False, Reason.ROUND_FAILED, text
    return 5, True, Reason.ROUND_COMPLETE, f"{latest.name} is complete"


def _progress(latest: Round) -> tuple[Reason, str]:
    if latest.seed_from is None or latest.seed_from.revealed:
        return Reason.ROUND_IN_PROGRESS, f"{latest.name} is running"
    block = latest.seed_from.block
    if not latest.frozen:
        return Reason.FREEZING_MODELS, f"{latest.name} waits for the operator, which has not frozen its models yet"
    if not latest.models_fixed:
        return Reason.FREEZING_MODELS, f"{latest.name} fixes its models, before block {block} gives its seed"
    return Reason.WAITING_FOR_SEED, f"{latest.name} has fixed its models and waits for block {block} to be final"


def _weights(inputs: StatusInputs) -> ConditionValue:
    kind = ConditionType.WEIGHTS_CURRENT
    if inputs.suspended:
        return _value(kind, None, Reason.SUSPENDED, "the validator is suspended")
    if inputs.subnet_missing:
        return _value(kind, False, Reason.SUBNET_NOT_FOUND, "there is no subnet to set weights on")
    if inputs.decision is None:
        return _value(kind, None, Reason.WEIGHTS_PENDING, "the chain has not been read yet")
    return _value(kind, inputs.decision.current, inputs.decision.reason, inputs.decision.message)


def _summary(inputs: StatusInputs, values: Sequence[ConditionValue]) -> str:
    """Return the first problem, or else what the validator does now, as one sentence."""
    if inputs.suspended:
        return "suspended: no rounds are started and no weights are set"
    if broken := next((v for v in values[:3] if v.status is not ConditionStatus.TRUE), None):
        return broken.message
    weights = next(v for v in values if v.type is ConditionType.WEIGHTS_CURRENT)
    running = [
        f"{c.plan.latest.name} {c.plan.latest.progress}".strip()
        for c in inputs.competitions
        if c.plan.latest and c.plan.latest.phase is RoundPhase.UNFINISHED
    ]
    parts = [f"evaluating {', '.join(running)}"] if running else []
    parts += [weights.message]
    parts += [f"failed: {inputs.troubles}"] if inputs.troubles else []
    parts += ["endpoints of the chain contradict each other: see ChainConnected"] if inputs.contradiction else []
    return "; ".join(parts)
