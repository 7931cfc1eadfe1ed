"""From what is known about all competitions to one row of weights, and why there is none. Pure.

Each competition fails apart: one whose policy cannot be applied keeps the shares that it paid last, and the others are
paid by their results.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bitagent_crds.conditions import Reason
from bitagent_crds.validator import Competition, Fill, Guard, Weights, WithoutResult
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.policy.eligibility import Standings
from bitagent_validator.policy.interface import Pay, PolicyError
from bitagent_validator.policy.registry import pay
from bitagent_validator.state.rows import Row
from bitagent_validator.weights.fill import Part, burn_target, change_between, filled_row, with_burn
from bitagent_validator.weights.obstacles import Obstacle
from bitagent_validator.weights.vector import U16_MAX, combine


@dataclass(frozen=True)
class ComputedWeights:
    """The weights of this pass in one mechanism."""

    shares: Mapping[str, float]
    """By hotkey; empty if no hotkey is to be paid."""
    row: Row | None
    """The same as a planned row; None if there is none to set."""
    policy_problem: str = ""
    """Why a policy could not be applied; there are no weights then."""
    pay: Mapping[str, Mapping[str, Pay]] = field(default_factory=dict)
    """By competition and hotkey: what each hotkey with a model earns, and why."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """By competition: why its policy failed, if the shares that it paid last are used."""
    burn_problem: str = ""
    """Why nothing can be burnt, although that was asked for."""
    owner: str = ""
    """The hotkey that burnt weights go to as the subnet's owner: it is compared with the chain before it is set."""
    paying: frozenset[str] = frozenset()
    """The competitions whose part of the weights is paid, held or burnt; that of the others goes to these."""
    scored: Mapping[str, int] = field(default_factory=dict)
    """By competition that pays by results: number of models with a score that counts."""

    @property
    def paid(self) -> Mapping[str, Mapping[str, int]]:
        """The shares that each competition pays now, in units of 1/65535; those that pay none are left out."""
        found = {
            competition: {h: round(each.share * U16_MAX) for h, each in pays.items() if each.share}
            for competition, pays in self.pay.items()
        }
        return {competition: shares for competition, shares in found.items() if shares}


def compute_weights(
    competitions: Sequence[Competition],
    *,
    standings: Mapping[str, Standings],
    subnet: Subnet,
    weights: Weights | None = None,
    held: Mapping[str, Mapping[str, int]] | None = None,
) -> ComputedWeights:
    """Apply every competition's policy to what is known about its hotkeys, burn, and fill the row.

    `held` are the shares that each competition paid last. If a policy cannot be applied and it has paid none, there
    are no weights at all: its share must not go to the other competitions.
    """
    weights = weights or Weights()
    by_competition: dict[str, dict[str, Pay]] = {}
    failed: dict[str, str] = {}
    parts: dict[str, Part] = {}
    target, problem = burn_target(weights.burn, subnet)
    for each in competitions:
        last = {h: float(v) for h, v in (held or {}).get(each.id, {}).items() if h in subnet.neurons and v}
        try:
            by_competition[each.id] = pay(each, standings.get(each.id, Standings(None)), subnet.neurons)
        except PolicyError as error:
            failed[each.id] = str(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - one competition must not stop the others
            failed[each.id] = f"policy {each.policy} failed: {type(error).__name__}: {error}"
        if any(not (math.isfinite(p.share) and p.share >= 0) for p in by_competition.get(each.id, {}).values()):
            failed[each.id] = f"policy {each.policy} failed: a share is not a number from 0 to 1"
            del by_competition[each.id]
        without = WithoutResult.HOLD if each.id in failed else each.without_result
        shares = {h: p.share for h, p in by_competition.get(each.id, {}).items() if p.share}
        parts[each.id] = Part(shares, without, last)
        if each.id in failed and not last:
            return ComputedWeights({}, None, policy_problem=failed[each.id], pay=by_competition)
    effective = {name: part.effective(target) for name, part in parts.items()}
    combined = combine(effective, reward_shares={c.id: c.reward_share for c in competitions})
    combined = with_burn(combined, percentage=weights.burn.percentage, target=target)
    known = {name: standing for name, standing in sorted(standings.items()) if standing.scored}
    rounds = tuple(standing.scored.round for standing in known.values() if standing.scored)
    row: dict[str, int] = {}
    if combined or rounds:
        percentage = weights.burn.percentage
        row = filled_row(combined, fill=weights.fill, target=target, subnet=subnet, percentage=percentage)
    asked = weights.burn.percentage or any(part.without is WithoutResult.BURN for part in parts.values())
    total = sum(row.values())
    return ComputedWeights(
        combined or {hotkey: value / total for hotkey, value in row.items()},
        Row.planned(row, rounds) if row else None,
        pay=by_competition,
        failed=failed,
        burn_problem=problem if asked or (rounds and not row and weights.fill is Fill.BURN) else "",
        owner=target if target in row else "",
        paying=frozenset(name for name, shares in effective.items() if shares),
        scored={name: sum(p.score is not None for p in by_competition.get(name, {}).values()) for name in known},
    )


def accepted_as(row: Row) -> str:
    """Return the value of the annotation that lets a held row pass: one that rests on no round is named by its hash."""
    return ",".join(row.rounds) or f"fixed-{row.digest.rpartition(':')[2][:12]}"


def guard_obstacle(
    guard: Guard, computed: ComputedWeights, last: Mapping[str, int], *, accepts: str
) -> Obstacle | None:
    """Return why a row is held for a person; None if it is not.

    `last` are the weights set last, by hotkey. `accepts` is the annotation with which a person lets the row of these
    rounds pass.
    """
    row = computed.row
    if row is None or accepts == accepted_as(row):
        return None
    found = []
    least = guard.minimum_models
    few = {name: count for name, count in computed.scored.items() if least is not None and count < least}
    found += [f"competition {name} has {count} models with a score, fewer than {least}" for name, count in few.items()]
    limit = guard.maximum_change_percent
    change = 100 * change_between(last, row.weights)
    if limit is not None and change > limit:
        found.append(f"{change:.0f} % of the weights would go to other hotkeys, more than {limit} %")
    if not found:
        return None
    annotate = f"kubectl annotate validator NAME --overwrite bitagent.io/accept-weights={accepted_as(row)}"
    return Obstacle(Reason.GUARD_HELD, f"{'; '.join(found)}: {row.source} are held until a person accepts: {annotate}")
