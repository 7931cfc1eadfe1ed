"""McNemar's exact test: do two models pass different shares of the same tasks?"""

from __future__ import annotations


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Two-sided p-value: how likely is so uneven a split of the tasks that one model alone passed, if the models are equal?

    Under equality the smaller count is binomial with probability one half. 1.0 without such tasks.
    """
    trials = only_first + only_second
    ways = tail = 1  # of choosing k of the trials, and of at most k
    for k in range(1, min(only_first, only_second) + 1):
        ways = ways * (trials - k + 1) // k
        tail += ways
    return min(1.0, 2 * tail / (1 << trials))
