"""Scores of steps to a moving average for each hotkey. Pure.

A hotkey begins at the median of the others, as on the BitAgent subnet; while no hotkey has an average, at the median of
the step. An average belongs to a hotkey and the block of its registration: whoever registers again begins again.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from bitagent_validator.chain.facts import Neuron
from bitagent_validator.state.scores import OnlineMean, OnlineState


def recorded(
    known: OnlineState | None,
    scores: Mapping[str, float],
    *,
    neurons: Mapping[str, Neuron],
    block: int,
    alpha: float,
    pool: str,
    baseline: float,
) -> OnlineState:
    """Return the averages after one more step.

    `scores` are those of the step by hotkey, `neurons` the registered hotkeys, `alpha` the part of a new score, and
    `baseline` the score of the best constant answer to the pool's tasks. Averages of hotkeys that are not registered,
    or were registered again, are dropped.
    """
    kept = {
        hotkey: mean
        for hotkey, mean in (known.means if known else {}).items()
        if hotkey in neurons and neurons[hotkey].registered_at == mean.registered_at
    }
    counted = {hotkey: score for hotkey, score in scores.items() if hotkey in neurons}
    start = statistics.median(mean.mean for mean in kept.values()) if kept else None
    if start is None:
        start = statistics.median(counted.values()) if counted else 0.0
    found = dict(kept)
    for hotkey, score in counted.items():
        before = kept.get(hotkey)
        mean = (1 - alpha) * (before.mean if before else start) + alpha * score
        found[hotkey] = OnlineMean(
            registered_at=neurons[hotkey].registered_at,
            # Six digits: the document stays small, and two machines agree to the last one.
            mean=round(min(1.0, max(0.0, mean)), 6),
            count=(before.count if before else 0) + 1,
            block=block,
        )
    return OnlineState(block=block, pool=pool, baseline=baseline, means=dict(sorted(found.items())))
