"""Task sets from which online tasks are drawn: read from the artifact volume, checked by digest, and kept.

The number of a step chooses a task, in an order that follows from the digest of the task set: each task that can be
asked and judged once, then again from the first. So two validators with one task set ask the same task at the same
step, and what miners learn by the feedback to one task is not asked again soon. Without a number, a seed chooses: its
SHA-256, modulo the number of tasks, in the order of the file.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from bitagent_crds.examiner import ExaminerReason, Pool
from bitagent_crds.fields import digest_of
from bitagent_crds.names import task_set_path
from bitagent_crds.task_set import Task
from bitagent_evaluator.examiner.questions import question
from bitagent_evaluator.scoring.suitability import obstacle
from bitagent_evaluator.tasks.files import TASKS

POOL_BYTES = 64 << 20
"""Largest tasks.jsonl: a few hundred tasks take less than a megabyte."""
KEPT_BYTES = 128 << 20
"""Size of the task sets that are kept in memory, together."""
KEPT_POOLS = 16
"""Task sets that are kept at most: those of eight competitions, and the ones before them."""


class Refused(Exception):
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

    def draw(self, seed: str, number: int | None = None) -> Task:
        """Return the task of a step's number; without one, that which a seed chooses."""
        ids = list(self.lines)
        if number is not None:
            ids.sort(key=lambda id_: hashlib.sha256(f"{self.digest} {id_}".encode()).digest())
            return self.task(ids[number % len(ids)])
        return self.task(ids[int.from_bytes(hashlib.sha256(seed.encode()).digest()) % len(ids)])

    def task(self, id_: str) -> Task:
        """Return a task by its id. Raises Refused."""
        line = self.lines.get(id_)
        if line is None:
            raise Refused(ExaminerReason.TASK_MISSING, f"the pool has no task {id_!r} that can be asked")
        return Task.model_validate_json(line)


class Pools:
    """The pools that were used last. Not for several threads at once."""

    def __init__(self, artifacts: Path) -> None:
        """`artifacts`: root of the artifact volume."""
        self._artifacts = artifacts
        self._kept: OrderedDict[tuple[str, str], LoadedPool] = OrderedDict()

    def get(self, pool: Pool) -> LoadedPool:
        """Return a pool. Raises Refused."""
        key = (pool.digest, pool.scorer)
        found = self._kept.get(key)
        if found is None:
            found = load(self._artifacts, pool)
            self._kept[key] = found
            self._drop_oldest()
        self._kept.move_to_end(key)
        return found

    def _drop_oldest(self) -> None:
        while len(self._kept) > 1 and (
            len(self._kept) > KEPT_POOLS or sum(each.size for each in self._kept.values()) > KEPT_BYTES
        ):
            self._kept.popitem(last=False)


def load(artifacts: Path, pool: Pool) -> LoadedPool:
    """Read a pool's task set. Raises Refused."""
    content = _content(artifacts / task_set_path(pool.round_uid) / TASKS, pool)
    if digest_of(content) != pool.digest:
        text = f"the tasks of round {pool.round_uid} have the digest {digest_of(content)}, not {pool.digest}"
        raise Refused(ExaminerReason.POOL_CHANGED, text)
    try:
        lines = dict(_askable(content, pool))
    except ValidationError:
        text = f"a line of the tasks of round {pool.round_uid} cannot be read: have examiner and operator one version?"
        raise Refused(ExaminerReason.POOL_CHANGED, text) from None
    if not lines:
        text = f"no task of round {pool.round_uid} can be asked by one message and judged by scorer {pool.scorer}"
        raise Refused(ExaminerReason.POOL_UNSUITABLE, text)
    return LoadedPool(lines, sum(map(len, lines.values())), pool.digest)


def _content(path: Path, pool: Pool) -> bytes:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= POOL_BYTES:
                return file.read(POOL_BYTES)
    except FileNotFoundError:
        text = f"there are no tasks of round {pool.round_uid} on the artifact volume"
        raise Refused(ExaminerReason.POOL_MISSING, text) from None
    except OSError as error:
        text = f"the tasks of round {pool.round_uid} cannot be read: {error.strerror}"
        raise Refused(ExaminerReason.POOL_MISSING, text) from None
    text = f"the tasks of round {pool.round_uid} have {size} bytes, allowed {POOL_BYTES}"
    raise Refused(ExaminerReason.POOL_TOO_LARGE, text)


def _askable(content: bytes, pool: Pool) -> Iterator[tuple[str, bytes]]:
    for line in content.split(b"\n"):
        if not line.strip():
            continue
        task = Task.model_validate_json(line)
        if not obstacle(pool.scorer, task) and question(task) is not None:
            yield task.id, line
