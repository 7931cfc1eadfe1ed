"""Which tasks are drawn, and in which order. Pure, and a function of the seed alone.

Every choice is a sort by a SHA-256 of seed and name, so it does not hang on a random generator's algorithm, on hash seeds or on the order
in which a file lists its lines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def rank(*parts: str) -> bytes:
    """A number as good as random that follows from the parts. Parts are length-prefixed, so ("ab", "c") differs from ("a", "bc")."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()


def shares(count: int, weights: Sequence[int], available: Sequence[int]) -> list[int]:
    """How many tasks each source gives: by weight with largest remainders, never more than it has.

    What a dry source cannot give goes to the others, again by weight; among equal remainders the earlier source gets the task. The sum is
    `count`, or everything there is if that is less.
    """
    given = [0] * len(weights)
    rest = min(count, sum(available))
    while rest:
        open_sources = [i for i, have in enumerate(available) if given[i] < have]
        total = sum(weights[i] for i in open_sources)
        exact = {i: divmod(rest * weights[i], total) for i in open_sources}
        by_remainder = sorted(open_sources, key=lambda i: (-exact[i][1], i))
        extra = set(by_remainder[: rest - sum(whole for whole, _ in exact.values())])
        for i in open_sources:
            wanted = exact[i][0] + (i in extra)
            taken = min(wanted, available[i] - given[i])
            given[i] += taken
            rest -= taken
    return given


def draw_rank(task_id: str, *, seed: str, index: int) -> bytes:
    """What a draw sorts by; `index` is the source's place in the spec."""
    return rank("draw", seed, str(index), task_id)


def draw(ids: Sequence[str], count: int, *, seed: str, index: int) -> list[str]:
    """`count` of the ids, without repetition: those of the lowest rank."""
    return sorted(ids, key=lambda task_id: (draw_rank(task_id, seed=seed, index=index), task_id))[:count]


def order(ids: Sequence[str], *, seed: str) -> list[str]:
    """All of the ids, mixed."""
    return sorted(ids, key=lambda task_id: (rank("order", seed, task_id), task_id))
