"""Which evaluations share a Job: those that are ready now and whose weights fit one engine (`spec.packing`).

Nothing waits for others: a pack is made of what is ready when a slot is free. An evaluation that has failed by itself
is never packed again, and neither are repetitions and controls, which decide whose trouble a failure is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from bitagent_crds.evalround import EvalRoundSpec
from bitagent_crds.evaluation import PackingMode
from bitagent_crds.minermodel import EngineChoices
from bitagent_crds.model_result import ModelResult
from bitagent_operator.observed.objects import ModelObject

_T = TypeVar("_T")


def family_of(entry: ModelResult, model: ModelObject | None, spec: EvalRoundSpec) -> str | None:
    """Return a name that is equal for evaluations that may share an engine; None for one that shares none.

    A model that is split over several GPUs is never exchanged in an engine. The facts must be those of the commit that
    is evaluated.
    """
    if spec.packing is None or spec.packing.mode is not PackingMode.SAME_ARCHITECTURE:
        return None
    facts = model.status.resolved if model is not None else None
    if facts is None or facts.commit != entry.commit or facts.engine_shape is None:
        return None
    if spec.workload.resources.gpus > 1:
        return None
    choices = (entry.engine or EngineChoices()).model_dump_json(by_alias=True, exclude_defaults=True)
    return f"{facts.engine_shape} {choices}"


def packs(ready: Sequence[_T], family: Callable[[_T], object | None], *, max_models: int) -> list[list[_T]]:
    """Return what is ready in groups that share a Job, each in the order given, in the order of their first.

    A family with more members than a pack may have is split evenly.
    """
    families: dict[object, list[_T]] = {}
    for each in ready:
        name = family(each)
        families.setdefault(object() if name is None else name, []).append(each)
    groups = [group for members in families.values() for group in _split(members, max_models)]
    place = {id(each): n for n, each in enumerate(ready)}
    return sorted(groups, key=lambda group: place[id(group[0])])


def _split(members: list[_T], most: int) -> list[list[_T]]:
    count = -(-len(members) // most)
    sizes = [len(members) // count + (n < len(members) % count) for n in range(count)]
    starts = [sum(sizes[:n]) for n in range(count)]
    return [members[start : start + size] for start, size in zip(starts, sizes, strict=True)]
