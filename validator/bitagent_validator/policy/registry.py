"""Policies by name: the built-in table, and entry points of installed packages.

A package adds a policy by an entry point of the group `bitagent.policies` (`bitagent_crds.plugins`), whose name is the
one that `spec.competitions[].policy` gives and whose value is a `PolicyFunction`. A built-in name cannot be replaced.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from bitagent_crds.plugins import BrokenPlugin, PluginGroup, UnknownName, load
from bitagent_crds.policies import BitAgentParameters, BuiltinPolicy, PolicyParameters, Standing
from bitagent_crds.validator import Competition
from bitagent_validator.chain.facts import Neuron
from bitagent_validator.policy import bitagent, fixed, win_rate, winner_takes_all
from bitagent_validator.policy.eligibility import Eligibility, Standings, Terms, assess
from bitagent_validator.policy.interface import Candidate, Pay, PolicyError, PolicyFunction, PolicyInput

BUILT_IN: Mapping[str, PolicyFunction] = {
    BuiltinPolicy.BITAGENT: bitagent.shares,
    BuiltinPolicy.WIN_RATE: win_rate.shares,
    BuiltinPolicy.WINNER_TAKES_ALL: winner_takes_all.shares,
    BuiltinPolicy.FIXED: fixed.shares,
}
"""Policies that every validator has."""

WITHOUT_ROUNDS = frozenset({BuiltinPolicy.FIXED})
"""Policies that pay although no round was complete yet."""

SUM_TOLERANCE = 1e-6
"""How far the sum of a policy's shares may be from 1."""

Answer = Mapping[str, float] | PolicyError
"""What a policy that was applied elsewhere gave: its shares by hotkey, or why there are none."""


def find_policy(name: str) -> PolicyFunction:
    """Return the policy of this name.

    Raises PolicyError if there is none, if two packages have one of this name, or if its package cannot be imported.
    """
    try:
        return load(PluginGroup.POLICIES, name, BUILT_IN)
    except UnknownName as error:
        raise PolicyError(
            f"this validator has no policy {name}: correct spec.competitions[].policy, or use an image with a package "
            f"that provides it; known policies: {', '.join(error.known)}",
        ) from None
    except BrokenPlugin as error:
        raise PolicyError(str(error)) from error


def terms_of(competition: Competition) -> Terms:
    """Return what a competition pays for."""
    parameters = competition.policy_parameters or PolicyParameters()
    ranked = parameters.bit_agent or parameters.win_rate or parameters.winner_takes_all
    default = Terms()
    return Terms(
        rounds=competition.smoothing.rounds,
        unscored=competition.unscored,
        duplicates=competition.duplicates,
        validator_stake=ranked.validator_stake if ranked else default.validator_stake,
        online_percent=_online_percent(competition, parameters),
    )


def _online_percent(competition: Competition, parameters: PolicyParameters) -> int:
    if competition.online is None or competition.policy != BuiltinPolicy.BITAGENT:
        return 0
    return (parameters.bit_agent or BitAgentParameters()).online_percent


def prepared(
    competition: Competition, given: Standings, neurons: Mapping[str, Neuron]
) -> tuple[Eligibility, PolicyInput | None]:
    """Return who may be paid by a competition, and what its policy is given; None if no round was complete yet."""
    found = assess(given, neurons, terms_of(competition))
    if given.scored is None and competition.policy not in WITHOUT_ROUNDS:
        return found, None
    policy_input = PolicyInput(
        scores=found.candidates,
        baseline=found.baseline,
        newcomers=found.newcomers,
        rounds=competition.smoothing.rounds,
        parameters=competition.policy_parameters or PolicyParameters(),
    )
    return found, policy_input


def pay(
    competition: Competition, given: Standings, neurons: Mapping[str, Neuron], *, answer: Answer | None = None
) -> dict[str, Pay]:
    """Return what each hotkey with a model, or with a share, earns by a competition, and why.

    `answer` is what its policy gave, if it was applied already. Raises PolicyError if there is no such policy, if it
    fails, or if its shares are not a distribution over registered hotkeys.
    """
    found, policy_input = prepared(competition, given, neurons)
    shares: Mapping[str, float] = {}
    if isinstance(answer, PolicyError):
        raise PolicyError(str(answer))
    if answer is not None:
        shares = answer
    elif policy_input is not None:
        shares = apply_policy(competition.policy, policy_input, neurons)
    else:
        find_policy(competition.policy)
    result = {hotkey: Pay(standing) for hotkey, standing in found.excluded.items()}
    result |= {hotkey: Pay(Standing.AWAITS_SCORE) for hotkey in found.newcomers}
    result |= {hotkey: _pay(Standing.NOT_CHOSEN, 0.0, candidate) for hotkey, candidate in found.candidates.items()}
    for hotkey, share in shares.items():
        candidate = found.candidates.get(hotkey)
        if hotkey in found.newcomers:
            standing = Standing.NEWCOMER
        else:
            standing = Standing.CARRIED_FORWARD if candidate and candidate.carried else Standing.PAID
        result[hotkey] = _pay(standing, share, candidate)
    return dict(sorted(result.items()))


def _pay(standing: Standing, share: float, candidate: Candidate | None) -> Pay:
    if candidate is None:
        return Pay(standing, share)
    return Pay(standing, share, score=candidate.score, rounds=candidate.rounds, online=candidate.online)


def apply_policy(name: str, given: PolicyInput, neurons: Mapping[str, Neuron]) -> Mapping[str, float]:
    """Return the shares that a policy gives.

    Raises PolicyError if there is no such policy, if it fails, or if its shares are not a distribution over
    registered hotkeys.
    """
    policy = find_policy(name)
    try:
        shares = {str(hotkey): float(share) for hotkey, share in policy(given, neurons).items()}
    except PolicyError:
        raise
    except Exception as error:  # A package's policy may raise anything; the validator must keep reporting.
        raise PolicyError(f"policy {name} failed: {type(error).__name__}: {error}") from error
    if unregistered := shares.keys() - neurons.keys():
        raise PolicyError(f"policy {name} pays a hotkey that is not registered: {min(unregistered)}")
    if bad := {hotkey: share for hotkey, share in shares.items() if not share > 0}:
        raise PolicyError(f"policy {name} gives shares that are not above 0: {bad}")
    if shares and not abs(math.fsum(shares.values()) - 1) <= SUM_TOLERANCE:
        raise PolicyError(f"the shares of policy {name} sum to {math.fsum(shares.values())}, not to 1")
    return shares
