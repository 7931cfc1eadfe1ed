"""The BitAgent policy: exp(k x) of a hotkey's score, less exp(k b) of the baseline b, normalised.

The score is mixed from the last complete rounds and, where the competition asks miners online, the moving average of
their answers, half and half unless `onlinePercent` says otherwise; see `eligibility`, which mixes both.

Subtracting the baseline's part makes the pay begin at 0 there: many hotkeys that score a little above the best constant
answer earn little together. The best model may have a part of its own (`winnerPercent`). Newcomers start at the median,
and share `newcomerPercent` at most.
docs/decisions/005-weights-policy-bitagent.md says where this differs from the subnet's own code, and why.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping

from bitagent_crds.policies import BitAgentParameters, WinnerTakesAllParameters
from bitagent_validator.chain.facts import Neuron
from bitagent_validator.policy.interface import PolicyInput
from bitagent_validator.policy.winner_takes_all import find_winner


def shares(given: PolicyInput, neurons: Mapping[str, Neuron]) -> dict[str, float]:
    """Return shares by hotkey; empty if no miner has a score, as there is then no median to start from."""
    parameters = given.parameters.bit_agent or BitAgentParameters()
    floor = math.exp(parameters.steepness * given.baseline)
    # Sorted, so that the sum, and with it the last digit of each share, does not depend on the order of arrival.
    raised = {
        hotkey: math.exp(parameters.steepness * given.scores[hotkey].score) - floor for hotkey in sorted(given.scores)
    }
    total = math.fsum(raised.values())
    if total <= 0:
        return {}
    part = parameters.winner_percent / 100
    paid = {hotkey: value / total * (1 - part) for hotkey, value in raised.items() if value > 0 and part < 1}
    if part:
        winner = find_winner(given.scores, neurons, WinnerTakesAllParameters())
        paid[winner] = paid.get(winner, 0.0) + part
    return with_newcomers(paid, given.newcomers, part=parameters.newcomer_percent / 100)


def with_newcomers(paid: Mapping[str, float], newcomers: frozenset[str], *, part: float) -> dict[str, float]:
    """Return the shares with those of newcomers: the median share each, and `part` of all together at most."""
    if not newcomers or not part or not paid:
        return dict(paid)
    # With n newcomers at the median m before scaling, together n m / (1 + n m) of all.
    median = statistics.median(paid.values())
    each = min(median / (1 + len(newcomers) * median), part / len(newcomers))
    rest = 1 - each * len(newcomers)
    return {hotkey: share * rest for hotkey, share in paid.items()} | dict.fromkeys(sorted(newcomers), each)
