"""Which evaluations share a Job: those that are ready now and whose weights fit one engine (`spec.packing`).

Nothing waits for others: a pack is made of what is ready when a slot is free. An evaluation that has failed by itself
is never packed again, and neither are repetitions and controls, which decide whose trouble a failure is. No evaluation
is in two Jobs at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from bitagent_crds.evalround import EvalRoundSpec
from bitagent_crds.evaluation import PackingMode
from bitagent_crds.minermodel import EngineChoices
from bitagent_crds.model_result import ModelResult
from bitagent_operator.observed.objects import ModelObject
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.jobs.packs import open_keys

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


def twins_of(jobs: Iterable[JobObject], *, series: int) -> frozenset[str]:
    """Return the uids of Jobs of a series that repeat an attempt at an evaluation that an earlier Job makes.

    The name of a pack follows from what was ready. So if the answer to its creation was lost and more is ready by then,
    the next one has another name, and the API server has no reason to refuse it.
    """
    begun: set[tuple[str, int]] = set()
    twins = set()
    own = (job for job in jobs if job.series == series)
    for job in sorted(own, key=lambda j: (j.meta.deleting, j.meta.created, j.meta.name)):
        attempts = {(key, job.attempt) for key in job.members or (job.key,)}
        if begun.isdisjoint(attempts):
            begun |= attempts
        else:
            twins.add(job.meta.uid)
    return frozenset(twins)


def repeats_later_job(pack: JobObject, jobs: Mapping[str, Sequence[JobObject]], pods: Sequence[PodObject]) -> bool:
    """Whether a pack's next pod, after one that was ended from outside, evaluates again what a later Job does.

    Two pods would write to one directory. The rest of the pack is put into another one.
    """
    later = {key for key in pack.members if any(job.attempt > pack.attempt for job in jobs.get(key, ()))}
    return bool(later) and not later.isdisjoint(open_keys(pack, pods))
