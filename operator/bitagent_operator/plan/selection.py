"""Which models compete in a round."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bitagent_crds.evalround import ModelSelection
from bitagent_operator.observed import ModelObject

MAX_MODELS = 1024
"""As many results as a status takes."""


@dataclass(frozen=True)
class Selection:
    """The names, sorted, and how many matched before the limit."""

    names: tuple[str, ...]
    matched: int


def select(wanted: ModelSelection, models: Iterable[ModelObject]) -> Selection:
    """The models to freeze. A name that is listed but does not exist is kept: its result will say so."""
    models = list(models)
    present = [m for m in models if not m.spec.suspend and not m.meta.deleting]
    if wanted.names is not None:
        idle = {m.meta.name for m in models if m.spec.suspend}
        names = set(wanted.names) - idle
    else:
        labels = (wanted.match_labels or {}).items()
        names = {m.meta.name for m in present if labels <= m.meta.labels.items()}
    return Selection(tuple(sorted(names)) if len(names) <= MAX_MODELS else (), len(names))
