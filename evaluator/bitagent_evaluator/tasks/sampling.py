"""The tasks of each source that may be drawn, which of them are drawn, and in which order.

Every choice is a sort by a SHA-256 of seed and name. It depends on no random generator's algorithm, no hash seed of
Python and no order in which a file lists its lines.

Of a stream only the `count` tasks of the lowest rank can be drawn, since a draw takes the lowest ranks and at most
`count` tasks. A heap of that size gives the same draw as all of the data, in memory that does not grow with it.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bitagent_crds.task_set import Task
from bitagent_evaluator.support.faults import FetchError, InfrastructureFault
from bitagent_evaluator.tasks.files import TaskSetError
from bitagent_evaluator.tasks.sources.base import SourceReader, source_label


def rank(*parts: str) -> bytes:
    """Return 32 pseudo-random bytes for the parts. These are length-prefixed, so ("ab", "c") and ("a", "bc") differ."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()


def shares(count: int, weights: Sequence[int], available: Sequence[int]) -> list[int]:
    """Return how many tasks each source gives: by weight with largest remainders, never more than it has.

    What an exhausted source cannot give goes to the others, again by weight; of equal remainders, the earlier source
    gets the task. The sum is `count`, or the sum of `available` if that is less.
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
            share = exact[i][0] + (i in extra)
            taken = min(share, available[i] - given[i])
            given[i] += taken
            rest -= taken
    return given


def draw_rank(task_id: str, *, seed: str, index: int) -> bytes:
    """Return the key that a draw sorts by; `index` is the source's place in the spec."""
    return rank("draw", seed, str(index), task_id)


def draw(ids: Sequence[str], count: int, *, seed: str, index: int) -> list[str]:
    """Return the `count` ids of the lowest rank, or all if there are fewer."""
    return sorted(ids, key=lambda task_id: (draw_rank(task_id, seed=seed, index=index), task_id))[:count]


def order(ids: Sequence[str], *, seed: str) -> list[str]:
    """Return all ids in random order."""
    return sorted(ids, key=lambda task_id: (rank("order", seed, task_id), task_id))


@dataclass(frozen=True)
class CandidateSet:
    """Tasks of one source that sampling may draw."""

    tasks: dict[str, Task]
    """By id, without the tasks that an earlier source has, too."""
    total: int
    """Number of tasks that the source has, those not kept included."""


Seen = Mapping[str, tuple[int, Task]]
"""Tasks of earlier sources by id, with the index of the source."""


def read_candidates(sources: Sequence[SourceReader], *, count: int, seed: str) -> list[CandidateSet]:
    """Read all sources. A task that two sources have counts as the first one's.

    Raises TaskSetError if a source cannot be read or two different tasks share an id, InfrastructureFault if a server
    does not answer.
    """
    seen: dict[str, tuple[int, Task]] = {}
    candidates: list[CandidateSet] = []
    for index, source in enumerate(sources):
        try:
            tasks = source.tasks()
            if isinstance(tasks, list):
                own = _keep_all(tasks, index, seen)
            else:
                own = _keep_lowest_ranks(tasks, index, seen, count=count, seed=seed)
        except TaskSetError as error:
            raise TaskSetError(f"{source_label(index, source.name)}: {error}") from error
        except FetchError as error:
            message = f"{source_label(index, source.name)}: {error.message}"
            if error.reason.fault.final:
                raise TaskSetError(message) from error
            raise InfrastructureFault(error.reason, message) from error
        seen |= {task_id: (index, task) for task_id, task in own.tasks.items()}
        candidates.append(own)
    return candidates


def _keep_all(tasks: Iterable[Task], index: int, seen: Seen) -> CandidateSet:
    own = {task.id: task for task in tasks if not _is_seen(task, index, seen)}
    return CandidateSet(own, len(own))


def _keep_lowest_ranks(tasks: Iterable[Task], index: int, seen: Seen, *, count: int, seed: str) -> CandidateSet:
    """Keep the `count` tasks of the lowest rank in a heap whose first entry has the highest."""
    heap: list[tuple[int, str, Task]] = []
    kept: set[str] = set()
    total = 0
    for task in tasks:
        if _is_seen(task, index, seen):
            continue
        if task.id in kept:
            raise TaskSetError(f"two rows have the id {task.id!r}: name a column whose texts are unique, or none")
        total += 1
        entry = (-int.from_bytes(draw_rank(task.id, seed=seed, index=index)), task.id, task)
        if len(heap) < count:
            heapq.heappush(heap, entry)
        elif entry[:2] > heap[0][:2]:
            kept.discard(heapq.heapreplace(heap, entry)[1])
        else:
            continue
        kept.add(task.id)
    return CandidateSet({task_id: task for _, task_id, task in sorted(heap, key=lambda entry: entry[1])}, total)


def _is_seen(task: Task, index: int, seen: Seen) -> bool:
    """Return whether an earlier source has the task. Raises TaskSetError if it has another task of the same id."""
    if task.id not in seen:
        return False
    earlier, other = seen[task.id]
    if other != task:
        raise TaskSetError(
            f"tasks.sources[{earlier}] and tasks.sources[{index}] have different tasks of the same id {task.id!r}: "
            "rename one"
        )
    return True
