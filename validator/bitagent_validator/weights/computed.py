"""From what is known about all competitions to one row of weights, and why there is none. Pure.

Each competition fails apart: one whose policy cannot be applied keeps the shares that it paid last, and the others are
paid by their results.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bitagent_crds.validator import Competition, Fill, Weights, WithoutResult
from bitagent_validator.chain.facts import Subnet
from bitagent_validator.policy.eligibility import Standings
from bitagent_validator.policy.interface import Pay, PolicyError
from bitagent_validator.policy.registry import WITHOUT_ROUNDS, Answer, pay
from bitagent_validator.state.rows import Row
from bitagent_validator.weights.fill import Part, burn_target, filled_row, unearned_part, with_burn
from bitagent_validator.weights.vector import U16_MAX, combine

APART = "burnt"
"""Stands for the burn target where its part is reckoned apart from what that hotkey earns; no hotkey has this name."""


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
    effective: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By competition: the shares by hotkey of its part, whether that is paid, held or burnt; empty if it goes to the
    others."""
    scored: Mapping[str, int] = field(default_factory=dict)
    """By competition that pays by results, and whose policy did not fail: number of models with a score that counts."""

    @property
    def paying(self) -> frozenset[str]:
        """The competitions whose part of the weights is paid, held or burnt; that of the others goes to these."""
        return frozenset(name for name, shares in self.effective.items() if shares)

    @property
    def paid(self) -> Mapping[str, Mapping[str, int]]:
        """The shares that each competition pays now, in units of 1/65535; those that pay none are left out."""
        found = {
            competition: {h: round(each.share * U16_MAX) for h, each in pays.items() if each.share}
            for competition, pays in self.pay.items()
        }
        return {competition: shares for competition, shares in found.items() if shares}


def needs_no_round(competitions: Sequence[Competition]) -> bool:
    """Whether all policies pay without rounds: that no hotkey is paid is then final, and not so until a first one."""
    return all(each.policy in WITHOUT_ROUNDS for each in competitions)


def compute_weights(
    competitions: Sequence[Competition],
    *,
    standings: Mapping[str, Standings],
    subnet: Subnet,
    weights: Weights | None = None,
    held: Mapping[str, Mapping[str, int]] | None = None,
    answers: Mapping[str, Answer] | None = None,
) -> ComputedWeights:
    """Apply every competition's policy to what is known about its hotkeys, burn, and fill the row.

    `held` are the shares that each competition paid last. If a policy cannot be applied and it has paid none, there
    are no weights at all: its share must not go to the other competitions. `answers` are what the policies of packages
    gave, by competition; one that is missing is applied here.
    """
    weights = weights or Weights()
    by_competition: dict[str, dict[str, Pay]] = {}
    failed: dict[str, str] = {}
    parts: dict[str, Part] = {}
    burns_to = burn_target(weights.burn, subnet)
    target = burns_to.hotkey
    for each in competitions:
        last = {h: float(v) for h, v in (held or {}).get(each.id, {}).items() if h in subnet.neurons and v}
        try:
            standing, answer = standings.get(each.id, Standings(None)), (answers or {}).get(each.id)
            by_competition[each.id] = pay(each, standing, subnet.neurons, answer=answer)
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
    reward_shares, percentage = {c.id: c.reward_share for c in competitions}, weights.burn.percentage
    combined = combine(effective, reward_shares=reward_shares)
    combined = with_burn(combined, percentage=percentage, target=target)
    known = {name: standing for name, standing in sorted(standings.items()) if standing.scored}
    rounds = tuple(standing.scored.round for standing in known.values() if standing.scored)
    final = bool(rounds) or needs_no_round(competitions)
    row: dict[str, int] = {}
    if combined or final:
        row = filled_row(combined, fill=weights.fill, target=target, subnet=subnet, percentage=percentage)
    burnt: dict[str, int] = {}
    if target in row:
        # The same with a target that no miner is: what it has earned as a miner is not burnt.
        apart = combine({n: p.effective(APART) for n, p in parts.items()}, reward_shares=reward_shares)
        apart = with_burn(apart, percentage=percentage, target=APART)
        part = unearned_part(apart, apart=APART, target=target, fill=weights.fill, subnet=subnet, percentage=percentage)
        burnt = {target: round(row[target] * part)}
    asked = weights.burn.percentage or any(part.without is WithoutResult.BURN for part in parts.values())
    total = sum(row.values())
    return ComputedWeights(
        combined or {hotkey: value / total for hotkey, value in row.items()},
        Row.planned(row, rounds, burnt) if row else None,
        pay=by_competition,
        failed=failed,
        burn_problem=burns_to.problem if asked or (final and not row and weights.fill is Fill.BURN) else "",
        owner=target if target in row else "",
        effective=effective,
        # A policy that failed says nothing about the number of models: the shares that it paid last stay.
        scored={
            name: sum(p.score is not None for p in by_competition[name].values())
            for name in known
            if name in by_competition
        },
    )
