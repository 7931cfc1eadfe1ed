"""What is kept of each source: everything it has, or of a stream the tasks that may be drawn.

Of a stream only the `count` tasks of the lowest rank can ever be drawn, for a draw takes the lowest ranks and never more than `count`. So a
heap of that size gives the same draw as the whole data would, in memory that does not grow with the data.
"""

from __future__ import annotations

import heapq
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from bitagent_crds.results import Task
from bitagent_evaluator.faults import InfrastructureFault
from bitagent_evaluator.tasks.errors import TaskSetError
from bitagent_evaluator.tasks.sampling import draw_rank
from bitagent_evaluator.tasks.source import Source, where


@dataclass(frozen=True)
class Pool:
    """The tasks of one source."""

    tasks: dict[str, Task]
    """Those that may be drawn, by id, without those that an earlier source has."""
    total: int
    """How many the source has."""


def fill_pools(sources: Sequence[Source], *, count: int, seed: str) -> list[Pool]:
    """Read all sources. A task that two sources have counts as the first one's.

    Raises TaskSetError when a source cannot be read, or when two different tasks share an id; InfrastructureFault when one does not answer.
    """
    seen: dict[str, tuple[int, Task]] = {}
    pools: list[Pool] = []
    for index, source in enumerate(sources):
        try:
            found = source.tasks()
            pool = (
                _whole(found, index, seen)
                if isinstance(found, list)
                else _best(found, index, seen, count=count, seed=seed)
            )
        except TaskSetError as error:
            raise TaskSetError(f"{where(index, source.name)}: {error}") from error
        except InfrastructureFault as error:
            raise InfrastructureFault(error.reason, f"{where(index, source.name)}: {error.message}") from error
        seen |= {task_id: (index, task) for task_id, task in pool.tasks.items()}
        pools.append(pool)
    return pools


def _whole(found: Iterable[Task], index: int, seen: dict[str, tuple[int, Task]]) -> Pool:
    tasks = {task.id: task for task in found if not _is_earlier(task, index, seen)}
    return Pool(tasks, len(tasks))


def _best(found: Iterable[Task], index: int, seen: dict[str, tuple[int, Task]], *, count: int, seed: str) -> Pool:
    """The `count` tasks of the lowest rank; the heap's first is the one to go next."""
    heap: list[tuple[int, str, Task]] = []
    kept: set[str] = set()
    total = 0
    for task in found:
        if _is_earlier(task, index, seen):
            continue
        _refuse_repetition(task.id, kept)
        total += 1
        entry = (-int.from_bytes(draw_rank(task.id, seed=seed, index=index)), task.id, task)
        if len(heap) < count:
            heapq.heappush(heap, entry)
        elif entry[:2] > heap[0][:2]:
            kept.discard(heapq.heapreplace(heap, entry)[1])
        else:
            continue
        kept.add(task.id)
    return Pool({task_id: task for _, task_id, task in sorted(heap, key=lambda entry: entry[1])}, total)


def _refuse_repetition(task_id: str, kept: Container[str]) -> None:
    if task_id in kept:
        raise TaskSetError(f"two rows have the id {task_id!r}: name a column whose texts are unique, or none")


def _is_earlier(task: Task, index: int, seen: dict[str, tuple[int, Task]]) -> bool:
    """Whether an earlier source has the task. Raises TaskSetError where it has another task of that id."""
    if task.id not in seen:
        return False
    earlier, other = seen[task.id]
    if other != task:
        raise TaskSetError(
            f"tasks.sources[{earlier}] and tasks.sources[{index}] have different tasks of the same id {task.id!r}: rename one"
        )
    return True
