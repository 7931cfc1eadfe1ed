"""The input and the output of a policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bitagent_crds.policies import PolicyParameters, Standing
from bitagent_validator.chain.facts import Neuron


@dataclass(frozen=True)
class Candidate:
    """A hotkey that a policy may pay: registered, no validator, and better than the best constant answer."""

    score: float
    """Mean score over the last rounds, with that of online answers where these count; see `eligibility`."""
    block: int | None = None
    """The block of the commitment of its model; None if it has none."""
    win_rates: tuple[float | None, ...] = ()
    """Win rate in each of the last rounds, the last one at the end; None for a round in which it did not play."""
    carried: bool = False
    """Whether its model has no score this round, and those before are carried forward."""
    rounds: float | None = None
    """The part of the score that comes from rounds, from 0 to 1, where online answers count as well."""
    online: float | None = None
    """The moving average of its online answers, from 0 to 1; None if they do not count."""


@dataclass(frozen=True)
class PolicyInput:
    """The hotkeys of one competition that may be paid after its last complete round."""

    scores: Mapping[str, Candidate]
    """By hotkey."""
    baseline: float = 0.0
    """Score of the best constant answer, mixed as the candidates' scores are; each of these is above it."""
    newcomers: frozenset[str] = frozenset()
    """Hotkeys that registered since that round began, whose first round is running. No other policy but one that has a
    bounded part for them should pay them."""
    rounds: int = 1
    """Number of last complete rounds over which scores are averaged."""
    parameters: PolicyParameters = field(default_factory=PolicyParameters)


PolicyFunction = Callable[[PolicyInput, Mapping[str, Neuron]], Mapping[str, float]]
"""Maps candidates and the registered neurons by hotkey to shares by hotkey.

Shares go to registered hotkeys only; each is above 0 and they sum to 1. An empty mapping pays no hotkey. A policy is a
pure function: it depends on its two arguments and on nothing else, so that every validator computes the same weights.
"""


@dataclass(frozen=True)
class Pay:
    """What one hotkey earns by one competition, and why."""

    standing: Standing
    share: float = 0.0
    """Share of the competition's weights, from 0 to 1."""
    score: float | None = None
    """The score that counts, if it has one: the mean over the last rounds, with online answers where these count."""
    rounds: float | None = None
    """Of it, what comes from rounds; None if online answers do not count."""
    online: float | None = None
    """Of it, what comes from online answers."""


def by_reason(pays: Mapping[str, Pay]) -> dict[Standing, list[str]]:
    """Return the hotkeys that earn nothing, by reason."""
    found: dict[Standing, list[str]] = {}
    for hotkey, each in sorted(pays.items()):
        if not each.standing.paid:
            found.setdefault(each.standing, []).append(hotkey)
    return found


class PolicyError(Exception):
    """No shares can be computed by this policy; the message says why and what to do."""
