"""Task sets from which online tasks are drawn: read from the artifact volume, checked by digest, and kept.

The number of a step chooses a task, in an order that follows from the digest of the task set: each task that can be
asked and judged once, then again from the first. So two validators with one task set ask the same task at the same
step, and what miners learn by the feedback to one task is not asked again soon. Without a number, a seed chooses: its
SHA-256, modulo the number of tasks, in the order of the file. Tasks of rounds that run are left out of either order at
the time of the question: which rounds run is not known when the pool is built.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from pydantic import ValidationError

from bitagent_crds.examiner import ExaminerReason, Pool, TaskSetFiles
from bitagent_crds.names import task_set_path
from bitagent_crds.task_set import Task
from bitagent_crds.texts import digest_of
from bitagent_evaluator.examiner.questions import question
from bitagent_evaluator.examiner.rows import Marks, marks, marks_of
from bitagent_evaluator.scoring.suitability import obstacle
from bitagent_evaluator.tasks.files import TASKS

POOL_BYTES = 64 << 20
"""Largest tasks.jsonl: a few hundred tasks take less than a megabyte."""
KEPT_BYTES = 128 << 20
"""Size of the task sets that are kept in memory, together."""
KEPT_POOLS = 16
"""Task sets that are kept at most: those of eight competitions, and the ones before them."""
KEPT_ROUNDS, KEPT_MARKS = 32, 1 << 18
"""Task sets of rounds that run, and marks of their tasks, that are kept at most: about 25 MB."""
T = TypeVar("T")


class RequestRefused(Exception):
    """A request that has no task or verdict, with the reason of the reply."""

    def __init__(self, reason: ExaminerReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True)
class LoadedPool:
    """The tasks of one pool that can be asked and judged, as lines of JSON by id, in the order of the file."""

    lines: dict[str, bytes]
    size: int
    """Bytes of the lines."""
    digest: str
    """Of the task set."""
    marks: dict[str, Marks] = field(default_factory=dict)
    """What each task is recognised by."""

    def draw(self, seed: str, number: int | None = None, *, running: Marks = frozenset()) -> Task:
        """Return the task of a step's number; without one, that which a seed chooses.

        `running` are marks of tasks that must not be drawn. Raises RequestRefused if no other is left.
        """
        ids = [id_ for id_ in self.lines if running.isdisjoint(self.marks.get(id_, ()))]
        if not ids:
            text = (
                f"each of the {len(self.lines)} tasks of the pool that can be asked is also one of a round that runs: "
                "give tasks.sources more rows, or the rounds fewer tasks"
            )
            raise RequestRefused(ExaminerReason.POOL_IN_USE, text)
        if number is not None:
            ids.sort(key=lambda id_: hashlib.sha256(f"{self.digest} {id_}".encode()).digest())
            return self.task(ids[number % len(ids)])
        return self.task(ids[int.from_bytes(hashlib.sha256(seed.encode()).digest()) % len(ids)])

    def task(self, id_: str) -> Task:
        """Return a task by its id. Raises RequestRefused."""
        line = self.lines.get(id_)
        if line is None:
            raise RequestRefused(ExaminerReason.TASK_MISSING, f"the pool has no task {id_!r} that can be asked")
        return Task.model_validate_json(line)


class _Kept(Generic[T]):
    """What was read last, by a key; the oldest is dropped beyond the maximum."""

    def __init__(self, *, too_many: Callable[[Sequence[T]], bool]) -> None:
        self._too_many = too_many
        self._kept: OrderedDict[tuple[str, str], T] = OrderedDict()

    def get(self, key: tuple[str, str], read: Callable[[], T]) -> T:
        """Return what is kept under the key, or else what `read` returns."""
        if key not in self._kept:
            self._kept[key] = read()
            while len(self._kept) > 1 and self._too_many(list(self._kept.values())):
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


class Pools:
    """The pools that were used last, and the marks of rounds that run. Not for several threads at once."""

    def __init__(self, artifacts: Path) -> None:
        """`artifacts`: root of the artifact volume."""
        self._artifacts = artifacts
        self._pools: _Kept[LoadedPool] = _Kept(
            too_many=lambda kept: len(kept) > KEPT_POOLS or sum(each.size for each in kept) > KEPT_BYTES
        )
        self._rounds: _Kept[Marks] = _Kept(
            too_many=lambda kept: len(kept) > KEPT_ROUNDS or sum(map(len, kept)) > KEPT_MARKS
        )

    def get(self, pool: Pool) -> LoadedPool:
        """Return a pool. Raises RequestRefused."""
        return self._pools.get((pool.digest, pool.scorer), lambda: load(self._artifacts, pool))

    def running(self, rounds: Sequence[TaskSetFiles]) -> Marks:
        """Return the marks of all tasks of these rounds. Raises RequestRefused."""
        found = [self._rounds.get((each.digest, ""), partial(self._marks, each)) for each in rounds]
        return frozenset().union(*found)

    def _marks(self, files: TaskSetFiles) -> Marks:
        path, found = self._artifacts / task_set_path(files.round_uid) / TASKS, hashlib.sha256()

        def lines(file: BinaryIO) -> Iterator[bytes]:
            for line in file:
                found.update(line)
                yield line

        try:
            with path.open("rb") as file:
                marked = marks_of(lines(file))
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            why = error.strerror if isinstance(error, OSError) else "a line cannot be read as a task"
            text = f"the tasks of round {files.round_uid}, which runs, cannot be read: {why}"
            raise RequestRefused(ExaminerReason.ROUND_UNREADABLE, text) from None
        if f"sha256:{found.hexdigest()}" != files.digest:
            text = f"the tasks of round {files.round_uid}, which runs, are not those of its status"
            raise RequestRefused(ExaminerReason.ROUND_UNREADABLE, text)
        return marked


def load(artifacts: Path, pool: Pool) -> LoadedPool:
    """Read a pool's task set. Raises RequestRefused."""
    content = _content(artifacts / task_set_path(pool.round_uid) / TASKS, pool)
    if digest_of(content) != pool.digest:
        text = f"the tasks of round {pool.round_uid} have the digest {digest_of(content)}, not {pool.digest}"
        raise RequestRefused(ExaminerReason.POOL_CHANGED, text)
    try:
        lines = dict(_askable(content, pool))
    except ValidationError:
        text = f"a line of the tasks of round {pool.round_uid} cannot be read: have examiner and operator one version?"
        raise RequestRefused(ExaminerReason.POOL_CHANGED, text) from None
    if not lines:
        text = f"no task of round {pool.round_uid} can be asked by one message and judged by scorer {pool.scorer}"
        raise RequestRefused(ExaminerReason.POOL_UNSUITABLE, text)
    found = {id_: marks(json.loads(line)) for id_, line in lines.items()}
    return LoadedPool(lines, sum(map(len, lines.values())), pool.digest, found)


def _content(path: Path, pool: Pool) -> bytes:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= POOL_BYTES:
                return file.read(POOL_BYTES)
    except FileNotFoundError:
        text = f"there are no tasks of round {pool.round_uid} on the artifact volume"
        raise RequestRefused(ExaminerReason.POOL_MISSING, text) from None
    except OSError as error:
        text = f"the tasks of round {pool.round_uid} cannot be read: {error.strerror}"
        raise RequestRefused(ExaminerReason.POOL_MISSING, text) from None
    text = f"the tasks of round {pool.round_uid} have {size} bytes, allowed {POOL_BYTES}"
    raise RequestRefused(ExaminerReason.POOL_TOO_LARGE, text)


def _askable(content: bytes, pool: Pool) -> Iterator[tuple[str, bytes]]:
    for line in content.split(b"\n"):
        if not line.strip():
            continue
        task = Task.model_validate_json(line)
        if not obstacle(pool.scorer, task) and question(task) is not None:
            yield task.id, line
