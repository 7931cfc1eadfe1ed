"""Volumes of single models: how large one is, and which give way to another one.

As in a shared cache, models in use are never removed; those that were evaluated go first, then those used longest ago,
but none that was used within the hour, except of a hotkey whose own share is full. A claim that a pod mounts stays
until the pod is gone, whatever is deleted: Kubernetes protects it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bitagent_crds.jobs import CacheRoom
from bitagent_crds.names import CACHE_LABEL, cache_id
from bitagent_operator.observed.objects import ModelObject, RoundObject
from bitagent_operator.observed.workloads import JobObject, PodObject
from bitagent_operator.plan.identity import cached_directory, source_directory
from bitagent_operator.plan.inputs import ModelVolume

FRESH = timedelta(hours=1)
"""A model used more recently than this is not removed before it was evaluated: a round may be about to mount it."""
MEBIBYTE = 1 << 20
SPARE_BYTES = 256 * MEBIBYTE
SPARE_PERCENT = 10
"""Room of a file system for itself, beside the files: ext4 of a few gigabytes takes up to 9.4 percent, of which 5 are
kept for root."""
SMALLEST_BYTES = 1 << 30
"""Smallest volume that is asked for; several providers make none that is smaller."""


def volume_bytes(size: int) -> int:
    """Return the size of a volume for files of this size, in whole mebibytes."""
    needed = max(size + size * SPARE_PERCENT // 100 + SPARE_BYTES, SMALLEST_BYTES)
    return -(-needed // MEBIBYTE) * MEBIBYTE


@dataclass(frozen=True)
class Room:
    """What gives way to a new volume."""

    delete: tuple[ModelVolume, ...] = ()
    full: str = ""
    """What there is no room in; empty if there is room."""


def make_room(
    volumes: Iterable[ModelVolume],
    *,
    needed: int,
    limit: int,
    room: CacheRoom,
    busy: frozenset[str],
    used: Mapping[str, datetime],
    now: datetime,
) -> Room:
    """Return which volumes are deleted so that one of `needed` bytes fits: into its hotkey's share, and into `limit`.

    `limit` 0: unlimited. `room`: what the operator knows of the models; `busy`: those that a Job or pod uses; `used`:
    when the others were used last. Nothing is deleted in vain, and nothing more for a volume whose claim is refused
    until one that was deleted for it is gone.
    """
    if not limit:
        return Room()
    done, own, kept = set(room.done), set(room.same_hotkey), {*room.in_use, *busy}
    volumes = [each for each in volumes if not each.deleting or each.id in kept]
    last = {each.uid: max(each.created, used.get(each.id, each.created)) for each in volumes}
    free = [each for each in volumes if each.id not in kept and not each.deleting]
    free.sort(key=lambda each: (each.id not in done, last[each.uid], each.id))
    excess = sum(each.bytes for each in volumes if each.id in own) + needed - room.share_bytes
    leaving = _enough([each for each in free if each.id in own], excess if room.share_bytes else 0)
    if leaving is None:
        return Room(full=f"its hotkey's share of {room.share_bytes} bytes")
    rest = [each for each in free if each not in leaving and (each.id in done or now - last[each.uid] >= FRESH)]
    excess = sum(each.bytes for each in volumes) + needed - limit - sum(each.bytes for each in leaving)
    more = _enough(rest, excess)
    if more is None:
        return Room(full=f"the {limit} bytes of all models' volumes")
    return Room(delete=(*leaving, *more))


def _enough(volumes: Sequence[ModelVolume], excess: int) -> list[ModelVolume] | None:
    """Return the first volumes that together have `excess` bytes; None if all of them have fewer."""
    chosen: list[ModelVolume] = []
    for each in volumes:
        if excess <= 0:
            break
        chosen.append(each)
        excess -= each.bytes
    return chosen if excess <= 0 else None


def busy_ids(jobs: Iterable[JobObject], pods: Iterable[PodObject]) -> frozenset[str]:
    """Return the ids of the models whose volume a Job or a pod uses."""
    running = [job.meta for job in jobs if job.ended is None]
    running += [pod.meta for pod in pods if pod.phase not in ("Succeeded", "Failed")]
    return frozenset(meta.labels[CACHE_LABEL] for meta in running if CACHE_LABEL in meta.labels)


def last_used(models: Iterable[ModelObject], rounds: Iterable[RoundObject]) -> dict[str, datetime]:
    """Return when the files of each model were fetched or evaluated last, by its id."""
    found: dict[str, datetime] = {}

    def seen(directory: str, at: datetime) -> None:
        name = cache_id(directory)
        found[name] = max(at, found.get(name, at))

    for model in models:
        if model.status.resolved is not None:
            seen(source_directory(model.spec.source, model.status.resolved.commit), model.status.resolved.at)
    for observed in rounds:
        for result in observed.status.results:
            if result.finished_at is not None and result.repo is not None and result.commit is not None:
                seen(cached_directory(result), result.finished_at)
    return found
