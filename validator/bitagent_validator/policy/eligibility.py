"""Who may be paid at all, the same for every policy that pays by results. Pure.

A hotkey is a candidate if it holds its slot since it was scored, is not a validator, and its model's result in the last
complete round is a score above the baseline: what the best constant answer scores on the same tasks. Its score is the
mean over the last rounds:

- A score at or below its round's baseline counts as 0, and so does a model's own fault.
- A round without a score (no model, a rejected one, a copy) does not count.
- A round in which all attempts at the model failed (Unscored) does not count either. If the competition carries scores
  forward, it is paid by the mean as it was at the last score, which must be at most two rounds ago: failing on purpose
  is worth two rounds. No score counts later than `rounds` + 1 rounds after its own.

Where online answers count, its score is mixed from that mean and the moving average of these answers, and so is the
baseline. Answers alone pay no hotkey: one endpoint can answer for any number of them, and copies of models are found.

Newcomers are hotkeys that registered since the last complete round began, have a model in the running round, and were
in no finished round yet. docs/policies.md has the consequences as tables.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bitagent_crds.model_result import ResultState
from bitagent_crds.policies import Duplicates, Standing, Unscored
from bitagent_validator.chain.facts import RAO, Neuron
from bitagent_validator.policy.interface import Candidate
from bitagent_validator.state.scores import HotkeyScore, OnlineState, RoundResult, ScoredRound

CARRIED_ROUNDS = 2
"""For how many rounds after it a score is carried forward."""


@dataclass(frozen=True)
class Standings:
    """What is known about the hotkeys of one competition."""

    scored: ScoredRound | None
    """The last complete round; None if there is none."""
    entrants: frozenset[str] = frozenset()
    """Hotkeys with a model under evaluation in the running round."""
    tried: frozenset[str] = frozenset()
    """Hotkeys with a model in a round that failed since the last complete one."""
    online: OnlineState | None = None
    """Its online evaluation; None if it has none, or no step of it counted yet."""


@dataclass(frozen=True)
class Terms:
    """What a competition pays for."""

    rounds: int = 3
    """Number of last complete rounds over which scores are averaged."""
    unscored: Unscored = Unscored.CARRY_FORWARD
    duplicates: Duplicates = Duplicates.FLAG
    validator_stake: int = 4096
    """In tokens. A permit holder with more is a validator, not a miner; the default is from the BitAgent subnet's
    code."""
    online_percent: int = 0
    """The part of the score that comes from online answers."""


@dataclass(frozen=True)
class Eligibility:
    """Who may be paid, and why the others may not."""

    candidates: Mapping[str, Candidate] = field(default_factory=dict)
    newcomers: frozenset[str] = frozenset()
    excluded: Mapping[str, Standing] = field(default_factory=dict)
    """Hotkeys with a model that are neither candidates nor newcomers."""
    baseline: float = 0.0
    """The score above which all candidates are."""


def is_validator(neuron: Neuron, *, stake: int) -> bool:
    """Return whether the hotkey validates; `stake` is the limit in tokens."""
    return neuron.permit and neuron.stake > stake * RAO


def assess(given: Standings, neurons: Mapping[str, Neuron], terms: Terms) -> Eligibility:
    """Return the candidates, the newcomers, and why each other hotkey with a model is neither."""
    candidates: dict[str, Candidate] = {}
    newcomers: set[str] = set()
    excluded: dict[str, Standing] = {}
    known = given.scored.scores if given.scored else {}
    online = given.online if given.online and given.online.means else None
    part = terms.online_percent / 100 if online else 0.0
    baseline = given.scored.baseline() if given.scored else 0.0
    if online:
        baseline = mixed(baseline, online.baseline, part=part)
    for hotkey in sorted(known.keys() | given.entrants):
        neuron = neurons.get(hotkey)
        if neuron is None:
            excluded[hotkey] = Standing.NOT_REGISTERED
        elif is_validator(neuron, stake=terms.validator_stake):
            excluded[hotkey] = Standing.VALIDATOR
        elif given.scored is None:
            excluded[hotkey] = Standing.AWAITS_SCORE
        elif hotkey in known:
            found = _candidate(known[hotkey], given.scored, neuron, terms)
            if isinstance(found, Candidate) and online and part:
                found = _with_online(found, online.mean(hotkey, registered_at=neuron.registered_at), part=part)
            if isinstance(found, Candidate) and found.score <= baseline:
                excluded[hotkey] = Standing.AT_BASELINE
            elif isinstance(found, Candidate):
                candidates[hotkey] = found
            else:
                excluded[hotkey] = found
        elif neuron.registered_at > given.scored.block and hotkey not in given.tried:
            newcomers.add(hotkey)
        else:
            excluded[hotkey] = Standing.AWAITS_SCORE
    return Eligibility(candidates, frozenset(newcomers), excluded, baseline)


def mixed(rounds: float, online: float, *, part: float) -> float:
    """Return the mean of a score of rounds and one of online answers; `part` is that of the latter."""
    return (1 - part) * rounds + part * online


def _with_online(candidate: Candidate, mean: float, *, part: float) -> Candidate:
    return replace(candidate, score=mixed(candidate.score, mean, part=part), rounds=candidate.score, online=mean)


_WITHOUT_SCORE = {
    ResultState.REJECTED: Standing.REJECTED,
    ResultState.DUPLICATE: Standing.DUPLICATE,
    ResultState.MODEL_FAULT: Standing.MODEL_FAULT,
}


def _candidate(known: HotkeyScore, scored: ScoredRound, neuron: Neuron, terms: Terms) -> Candidate | Standing:
    last = known.last
    if known.registered_at != neuron.registered_at:
        return Standing.REGISTERED_AGAIN
    if last is None:
        return Standing.NOT_IN_ROUND
    if last.state in _WITHOUT_SCORE:
        return _WITHOUT_SCORE[last.state]
    if last.near_copy and terms.duplicates is Duplicates.EARLIEST_EARNS:
        return Standing.NEAR_COPY
    carried = last.state is ResultState.UNSCORED
    score = smoothed(known, scored, terms)
    if score is None or (carried and terms.unscored is Unscored.NOTHING):
        return Standing.UNSCORED
    if score <= scored.baseline() or (not carried and last.score <= scored.baseline()):
        return Standing.AT_BASELINE
    rates = tuple(result.win_rate if result else None for result in known.results[-terms.rounds :])
    return Candidate(score, block=known.block, win_rates=rates, carried=carried)


def smoothed(known: HotkeyScore, scored: ScoredRound, terms: Terms) -> float | None:
    """Return the mean score over the last rounds up to the last one that counts.

    None if that is more than `CARRIED_ROUNDS` ago.
    """
    counted = [_counted(result, scored.baseline(ago), terms) for ago, result in enumerate(reversed(known.results))]
    last = next((ago for ago, value in enumerate(counted) if value is not None), None)
    if last is None or last > CARRIED_ROUNDS:
        return None
    return statistics.fmean(value for value in counted[last : last + terms.rounds] if value is not None)


def _counted(result: RoundResult | None, baseline: float, terms: Terms) -> float | None:
    """Return what one round counts in the mean; None if it does not count."""
    if result is None or (result.near_copy and terms.duplicates is Duplicates.EARLIEST_EARNS):
        return None
    if result.state is ResultState.SUCCEEDED:
        return result.score if result.score > baseline else 0.0
    return 0.0 if result.state is ResultState.MODEL_FAULT else None
