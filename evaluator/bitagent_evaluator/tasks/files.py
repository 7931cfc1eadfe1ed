"""The files of a task set, `tasks.jsonl` and `manifest.json`, and the comparison of two task sets.

`tasks.jsonl` has one canonical encoding: UTF-8, no spaces, members in the order of the contract. Inside messages and
functions the order of the source is kept, because a prompt shows it. The SHA-256 of the file identifies the task set.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bitagent_crds.schema import SCHEMA_VERSION
from bitagent_crds.task_set import Task, TaskSetManifest
from bitagent_crds.texts import digest_of
from bitagent_evaluator.support.faults import first_error
from bitagent_evaluator.support.files import write_atomically


class TaskSetError(Exception):
    """Raised when a task set cannot be built or read; the message says what to change."""


TASKS = "tasks.jsonl"
MANIFEST = "manifest.json"


def encode_tasks(tasks: Iterable[Task]) -> bytes:
    """Return the canonical bytes of tasks.jsonl."""
    lines = (
        json.dumps(task.model_dump(mode="json"), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        for task in tasks
    )
    return "".join(line + "\n" for line in lines).encode()


def write_task_set(out: Path, content: bytes, manifest: TaskSetManifest) -> None:
    """Write both files atomically, the manifest last: a directory with a manifest has the tasks that it describes."""
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / TASKS, content)
    write_manifest(out, manifest)


def write_manifest(out: Path, manifest: TaskSetManifest) -> None:
    """Write the manifest atomically."""
    write_atomically(out / MANIFEST, (manifest.model_dump_json(indent=2) + "\n").encode())


def read_task_set(directory: Path) -> tuple[TaskSetManifest, list[Task]]:
    """Read a task set. Raises TaskSetError if a file is missing or malformed, or manifest and tasks do not agree."""
    try:
        manifest = TaskSetManifest.model_validate_json((directory / MANIFEST).read_bytes())
        content = (directory / TASKS).read_bytes()
    except OSError as error:
        raise TaskSetError(
            f"{directory} is not a task set: {error.filename}: {error.strerror}; `bitagent-eval tasks build` makes one"
        ) from error
    except ValidationError as error:
        raise TaskSetError(f"{directory / MANIFEST} is not a task-set manifest: {first_error(error)}") from error
    if manifest.schema_version > SCHEMA_VERSION:
        raise TaskSetError(
            f"{directory} was written by a newer version (schema {manifest.schema_version}, this one reads "
            f"{SCHEMA_VERSION}): upgrade"
        )
    if digest_of(content) != manifest.digest:
        raise TaskSetError(
            f"{directory / TASKS} was changed: its digest is {digest_of(content)}, the manifest says "
            f"{manifest.digest}; build the set again"
        )
    return manifest, _decode_tasks(directory / TASKS, content)


def read_tasks(path: Path) -> list[Task]:
    """Read the tasks of a task-set directory, or of a tasks.jsonl alone. Raises TaskSetError if that fails."""
    if path.is_dir():
        return read_task_set(path)[1]
    try:
        return _decode_tasks(path, path.read_bytes())
    except OSError as error:
        raise TaskSetError(f"{path}: {error.strerror}") from error


def _decode_tasks(path: Path, content: bytes) -> list[Task]:
    tasks: dict[str, Task] = {}
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            task = Task.model_validate_json(line)
        except ValidationError as error:
            raise TaskSetError(f"{path}, line {number}: {first_error(error)}") from error
        if task.id in tasks:
            raise TaskSetError(
                f"{path}, line {number}: the id {task.id!r} occurs twice: give each task an id of its own"
            )
        tasks[task.id] = task
    return list(tasks.values())


@dataclass(frozen=True)
class ChangedTask:
    """A task that differs between the two sets."""

    id: str
    fields: tuple[str, ...]
    """The members that differ, except `alterations` and `parent`."""
    alterations: tuple[tuple[str, ...], tuple[str, ...]]
    """Names of the alterations in the first and in the second set, in order."""
    parent_is_other: bool
    """Whether one is the parent of the other."""


@dataclass(frozen=True)
class TaskSetDifference:
    """Differences of the second of two task sets from the first."""

    only_first: tuple[str, ...]
    """Ids, sorted."""
    only_second: tuple[str, ...]
    """Ids, sorted."""
    changed: tuple[ChangedTask, ...]
    """By id, sorted."""
    same: int
    """Number of equal tasks."""
    reordered: bool
    """Whether the tasks of both sets are in another order."""

    def to_json(self) -> dict[str, Any]:
        """Return all members as JSON types."""
        return asdict(self)


def compare_task_sets(first: Sequence[Task], second: Sequence[Task]) -> TaskSetDifference:
    """Compare tasks by id."""
    a, b = {task.id: task for task in first}, {task.id: task for task in second}
    both = sorted(a.keys() & b.keys())
    changed = tuple(_compare(a[task_id], b[task_id]) for task_id in both if a[task_id] != b[task_id])
    return TaskSetDifference(
        only_first=tuple(sorted(a.keys() - b.keys())),
        only_second=tuple(sorted(b.keys() - a.keys())),
        changed=changed,
        same=len(both) - len(changed),
        reordered=[task_id for task_id in a if task_id in b] != [task_id for task_id in b if task_id in a],
    )


def _compare(a: Task, b: Task) -> ChangedTask:
    compared = [field for field in Task.model_fields if field not in ("alterations", "parent")]
    return ChangedTask(
        id=a.id,
        fields=tuple(field for field in compared if getattr(a, field) != getattr(b, field)),
        alterations=(tuple(r.name for r in a.alterations), tuple(r.name for r in b.alterations)),
        parent_is_other=a.parent == b or b.parent == a,
    )
