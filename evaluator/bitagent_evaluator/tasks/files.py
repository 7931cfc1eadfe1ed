"""The files of a task set: `tasks.jsonl` and `manifest.json`.

`tasks.jsonl` has one canonical encoding: UTF-8, no spaces, members in the order of the contract. Inside messages and functions the order
of the source is kept, because a prompt shows it. Its SHA-256 is the identity of the task set.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from bitagent_crds.results import SCHEMA_VERSION, Task, TaskSetManifest
from bitagent_evaluator.tasks.errors import TaskSetError

TASKS = "tasks.jsonl"
MANIFEST = "manifest.json"


def encode_tasks(tasks: Iterable[Task]) -> bytes:
    """The canonical bytes of tasks.jsonl."""
    lines = (
        json.dumps(task.model_dump(mode="json"), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        for task in tasks
    )
    return "".join(line + "\n" for line in lines).encode()


def digest_of(content: bytes) -> str:
    """A contract digest."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def write_task_set(out: Path, content: bytes, manifest: TaskSetManifest) -> None:
    """Write both files, the manifest last and each whole: a directory with a manifest has the tasks that it describes."""
    out.mkdir(parents=True, exist_ok=True)
    _write(out / TASKS, content)
    _write(out / MANIFEST, (manifest.model_dump_json(indent=2) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_task_set(directory: Path) -> tuple[TaskSetManifest, list[Task]]:
    """Read a task set and check that manifest and tasks agree. Raises TaskSetError."""
    try:
        manifest = TaskSetManifest.model_validate_json((directory / MANIFEST).read_bytes())
        content = (directory / TASKS).read_bytes()
    except OSError as error:
        raise TaskSetError(f"{directory} is not a task set: {error.filename}: {error.strerror}") from error
    except ValidationError as error:
        raise TaskSetError(f"{directory / MANIFEST} is not a task-set manifest: {_first(error)}") from error
    if manifest.schema_version > SCHEMA_VERSION:
        raise TaskSetError(
            f"{directory} was written by a newer version (schema {manifest.schema_version}, this one reads {SCHEMA_VERSION}): upgrade"
        )
    if digest_of(content) != manifest.digest:
        raise TaskSetError(
            f"{directory / TASKS} was changed: its digest is {digest_of(content)}, the manifest says {manifest.digest}"
        )
    return manifest, _decode_tasks(directory / TASKS, content)


def read_tasks(path: Path) -> list[Task]:
    """The tasks of a task-set directory or of a tasks.jsonl alone. Raises TaskSetError."""
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
            raise TaskSetError(f"{path}, line {number}: {_first(error)}") from error
        if task.id in tasks:
            raise TaskSetError(f"{path}, line {number}: the id {task.id!r} occurs twice")
        tasks[task.id] = task
    return list(tasks.values())


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in found["loc"])
    return f"{where}: {found['msg']}" if where else found["msg"]
