"""The WinRate policy: pairwise wins by the losses of batches, as in Nous's finetuning subnet.

Of two models, the one with the lower loss wins a batch; the loss of the one that was committed earlier is first reduced
by an advantage, so that a later model must be better by as much. A model's win rate is its part of all its matches, and
its share the softmax of the win rates over a temperature, averaged over rounds so that newer ones count more.

`is_win`, `wins` and `softmax` follow that subnet's code (validator.py at e2f5eb6); `replay` compares them with it. As a
policy this departs from it: only models above the baseline and with a finite loss play, and only the `sampleMin` best
by their mean loss, because every bad model that takes part moves the win rates of all others closer to each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bitagent_crds.policies import WinRateParameters
from bitagent_validator.chain.facts import Neuron
from bitagent_validator.policy.interface import PolicyError, PolicyInput


def is_win(loss: float, other: float, *, block: float, other_block: float, advantage: float) -> bool:
    """Return whether a loss wins a batch; `advantage` is from 0 to 1, for the one that was committed earlier."""
    if block < other_block:
        loss *= 1 - advantage
    if block > other_block:
        other *= 1 - advantage
    return loss < other


def wins(
    losses: Mapping[str, Sequence[float]], blocks: Mapping[str, float], *, advantage: float
) -> tuple[dict[str, int], dict[str, float]]:
    """Return each model's number of wins, and its win rate: wins over matches, 0 without a match.

    `losses` are by batch; batches that only one of two models has are not played.
    """
    won, rates = {}, {}
    for name, mine in losses.items():
        count = matches = 0
        for other, theirs in losses.items():
            if other == name:
                continue
            for loss, other_loss in zip(mine, theirs, strict=False):
                count += is_win(loss, other_loss, block=blocks[name], other_block=blocks[other], advantage=advantage)
                matches += 1
        won[name], rates[name] = count, count / matches if matches else 0.0
    return won, rates


def softmax(values: Mapping[str, float], *, temperature: float) -> dict[str, float]:
    """Return shares that sum to 1, proportional to exp(value / temperature); empty for no values."""
    if not values:
        return {}
    highest = max(values.values())
    raised = {name: math.exp((value - highest) / temperature) for name, value in values.items()}
    total = math.fsum(raised.values())
    return {name: value / total for name, value in raised.items()}


def round_win_rates(
    losses: Mapping[str, Sequence[float]], blocks: Mapping[str, float], parameters: WinRateParameters
) -> dict[str, float]:
    """Return the win rates of the models that play in one round: the best `sampleMin` by their mean loss.

    A model with an infinite loss, or without any, does not play.
    """
    means = {name: math.fsum(each) / len(each) for name, each in losses.items() if each}
    finite = [name for name, mean in means.items() if math.isfinite(mean)]
    field = sorted(finite, key=lambda name: (means[name], blocks[name], name))[: parameters.sample_min]
    playing = {name: losses[name] for name in sorted(field)}
    # A single model has no matches, and has lost none.
    if len(playing) == 1:
        return dict.fromkeys(playing, 1.0)
    return wins(playing, blocks, advantage=parameters.advantage_percent / 100)[1]


def shares(given: PolicyInput, neurons: Mapping[str, Neuron]) -> dict[str, float]:
    """Return shares by hotkey: the softmax of the win rates of each of the last rounds, averaged.

    A round counts `keepPercent` of the next one. Raises PolicyError if no candidate has a win rate.
    """
    del neurons
    parameters = given.parameters.win_rate or WinRateParameters()
    if given.scores and not any(rate is not None for each in given.scores.values() for rate in each.win_rates):
        raise PolicyError(
            "policy WinRate compares the losses of batches, and the last rounds have none: set "
            "spec.competitions[].round.evaluation.scorer to Loss"
        )
    parts: dict[str, list[float]] = {}
    for ago in range(given.rounds):
        rates = {
            hotkey: rate
            for hotkey, candidate in sorted(given.scores.items())
            if ago < len(candidate.win_rates) and (rate := candidate.win_rates[-1 - ago]) is not None
        }
        weight = (parameters.keep_percent / 100) ** ago
        for hotkey, share in softmax(rates, temperature=parameters.temperature_percent / 100).items():
            parts.setdefault(hotkey, []).append(weight * share)
    summed = {hotkey: math.fsum(parts[hotkey]) for hotkey in sorted(parts)}
    total = math.fsum(summed.values())
    return {hotkey: value / total for hotkey, value in summed.items() if value / total > 0} if total else {}
