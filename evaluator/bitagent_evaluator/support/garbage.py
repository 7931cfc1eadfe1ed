"""How often Python looks for unreachable objects."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_ALLOCATIONS = 50_000
"""New objects between two collections of the youngest; Python's own number is 700."""


@contextmanager
def rare_collections() -> Iterator[None]:
    """Collect garbage rarely while a block makes many objects that stay, of which collections would find none.

    Building a large task set spends an eighth of its time on them otherwise.
    """
    youngest, *older = gc.get_threshold()
    gc.set_threshold(max(youngest, _ALLOCATIONS), *older)
    try:
        yield
    finally:
        gc.set_threshold(youngest, *older)
