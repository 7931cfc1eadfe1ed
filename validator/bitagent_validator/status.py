"""The Validator's status: what this pod sees and did, in the words of the contract. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bitagent_crds.conditions import Condition, ConditionStatus, ConditionType, Reason
from bitagent_crds.schema import API_VERSION
from bitagent_crds.validator import CurrentRound, HotkeyWeight, LastWeights, ValidatorStatus
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.rounds import Outcome, RoundPlan
from bitagent_validator.weights.plan import Verdict, permit_problem

MESSAGE_MAX = 1000


@dataclass(frozen=True)
class Holds:
    """A condition without its history."""

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str


@dataclass(frozen=True)
class Standing:
    """How one competition stands."""

    plan: RoundPlan
    progress: str = ""
    """Of the latest round, `done/selected`."""
    problem: str = ""
    """Why the round of the present epoch could not be created."""


@dataclass(frozen=True)
class Picture:
    """Everything that the status tells."""

    generation: int
    hotkey: str
    block: int | None
    chain_problem: tuple[Reason, str] | None
    endpoint: str
    subnet: Subnet | None
    """None before the chain was read for the first time."""
    subnet_missing: bool
    competitions: Sequence[Standing]
    verdict: Verdict | None
    weights: Mapping[str, float]
    last_weights: LastWeights | None
    suspended: bool = False


def status_of(picture: Picture, *, previous: Sequence[Mapping[str, Any]], now: datetime) -> ValidatorStatus:
    """The whole status but the operator's condition. `previous` holds the conditions as they are on the API server."""
    holds = [_chain(picture), *_account(picture), _rounds(picture.competitions), _weights(picture)]
    me = picture.subnet.me if picture.subnet else None
    return ValidatorStatus(
        observed_generation=picture.generation,
        hotkey=picture.hotkey,
        uid=me.uid if me else None,
        block=picture.block,
        current_rounds=[
            CurrentRound(competition=s.plan.competition, round=latest.name, epoch=latest.epoch, block=latest.block)
            for s in picture.competitions
            if (latest := s.plan.latest)
        ],
        last_weights=picture.last_weights,
        weights=[HotkeyWeight(hotkey=h, weight=f"{w:.6f}") for h, w in _largest_first(picture.weights)],
        conditions=_dated(holds, previous=previous, generation=picture.generation, now=now),
        message=_sentence(picture, holds)[:MESSAGE_MAX],
    )


def manifest(status: ValidatorStatus, *, name: str, namespace: str) -> dict[str, Any]:
    """The object to apply on the status subresource."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Validator",
        "metadata": {"name": name, "namespace": namespace},
        "status": status.to_wire(),
    }


def _largest_first(weights: Mapping[str, float]) -> Iterable[tuple[str, float]]:
    return sorted(weights.items(), key=lambda item: (-item[1], item[0]))[:1024]


def _dated(
    holds: Sequence[Holds], *, previous: Sequence[Mapping[str, Any]], generation: int, now: datetime
) -> list[Condition]:
    before = {c.get("type"): c for c in previous}

    def since(hold: Holds) -> datetime:
        old = before.get(hold.type)
        if old and old.get("status") == hold.status and "lastTransitionTime" in old:
            return datetime.fromisoformat(old["lastTransitionTime"])
        return now

    return [
        Condition(
            type=hold.type,
            status=hold.status,
            reason=hold.reason,
            message=hold.message[:MESSAGE_MAX],
            observed_generation=generation,
            last_transition_time=since(hold),
        )
        for hold in holds
    ]


def _hold(kind: ConditionType, value: bool | None, reason: Reason, message: str) -> Holds:
    status = ConditionStatus.UNKNOWN if value is None else ConditionStatus.TRUE if value else ConditionStatus.FALSE
    return Holds(kind, status, reason, message)


def _chain(picture: Picture) -> Holds:
    if picture.chain_problem:
        return _hold(ConditionType.CHAIN_CONNECTED, False, *picture.chain_problem)
    return _hold(ConditionType.CHAIN_CONNECTED, True, Reason.CONNECTED, f"following {picture.endpoint}")


def _account(picture: Picture) -> tuple[Holds, Holds]:
    registered, permitted = ConditionType.REGISTERED, ConditionType.PERMITTED
    if picture.subnet_missing:
        message = "the chain has no subnet of this number: check spec.netuid and spec.chain.endpoints"
        return (
            _hold(registered, False, Reason.SUBNET_NOT_FOUND, message),
            _hold(permitted, False, Reason.SUBNET_NOT_FOUND, message),
        )
    if picture.subnet is None:
        message = "the chain has not been read yet"
        return (
            _hold(registered, None, Reason.CHAIN_UNREACHABLE, message),
            _hold(permitted, None, Reason.CHAIN_UNREACHABLE, message),
        )
    me = picture.subnet.me
    if me is None:
        message = f"{picture.hotkey} has no slot on subnet {picture.subnet.netuid}: register it with its coldkey"
        return (
            _hold(registered, False, Reason.NOT_REGISTERED, message),
            _hold(permitted, False, Reason.NOT_REGISTERED, "only a registered hotkey can hold a permit"),
        )
    problem = permit_problem(picture.subnet, me)
    return (
        _hold(registered, True, Reason.REGISTERED, f"uid {me.uid}"),
        _hold(permitted, problem is None, *(problem or (Reason.PERMIT_HELD, "the hotkey may set weights"))),
    )


def _rounds(competitions: Sequence[Standing]) -> Holds:
    """The worst of the competitions."""
    kind = ConditionType.ROUND_CURRENT
    found: list[tuple[int, Holds]] = []
    for standing in competitions:
        rank, value, reason, message = _round(standing)
        found.append((rank, _hold(kind, value, reason, f"{standing.plan.competition}: {message}")))
    if not found:
        return _hold(kind, None, Reason.PENDING, "the chain has not been read yet")
    worst = min(rank for rank, _ in found)
    chosen = [hold for rank, hold in found if rank == worst]
    return _hold(
        kind,
        {"True": True, "False": False}.get(chosen[0].status),
        chosen[0].reason,
        "; ".join(h.message for h in chosen),
    )


def _round(standing: Standing) -> tuple[int, bool, Reason, str]:
    plan = standing.plan
    current, latest = plan.current, plan.latest
    if standing.problem:
        return 0, False, Reason.PENDING, standing.problem
    if current is None:
        return 2, False, Reason.WAITING_FOR_EPOCH, "the first epoch has not begun"
    if latest is None:
        return 2, False, Reason.WAITING_FOR_EPOCH, f"the round of epoch {current.number} is about to be created"
    if latest.outcome is Outcome.UNFINISHED:
        if latest.block >= current.block:
            return 4, True, Reason.ROUND_IN_PROGRESS, f"{latest.name} is running"
        late = f"{latest.name} still runs in epoch {current.number}: the next round starts when it has finished"
        return 3, False, Reason.ROUND_IN_PROGRESS, late
    if latest.outcome is Outcome.FAILED:
        return 1, False, Reason.ROUND_FAILED, f"{latest.name} failed; the next round comes with the next epoch"
    return 5, True, Reason.ROUND_COMPLETE, f"{latest.name} is complete"


def _weights(picture: Picture) -> Holds:
    kind = ConditionType.WEIGHTS_CURRENT
    if picture.suspended:
        return _hold(kind, None, Reason.SUSPENDED, "the validator is suspended")
    if picture.subnet_missing:
        return _hold(kind, False, Reason.SUBNET_NOT_FOUND, "there is no subnet to set weights on")
    if picture.verdict is None:
        return _hold(kind, None, Reason.WEIGHTS_PENDING, "the chain has not been read yet")
    return _hold(kind, picture.verdict.current, picture.verdict.reason, picture.verdict.message)


def _sentence(picture: Picture, holds: Sequence[Holds]) -> str:
    if picture.suspended:
        return "suspended: no rounds are started and no weights are set"
    if broken := next((h for h in holds[:3] if h.status is not ConditionStatus.TRUE), None):
        return broken.message
    running = [
        f"{s.plan.latest.name} {s.progress}".strip()
        for s in picture.competitions
        if s.plan.latest and s.plan.latest.outcome is Outcome.UNFINISHED
    ]
    return "; ".join([*([f"evaluating {', '.join(running)}"] if running else []), holds[-1].message])
