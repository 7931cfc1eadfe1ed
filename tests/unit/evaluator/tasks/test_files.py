"""The files of a task set: written and read back, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task, TaskSetManifest
from bitagent_crds.texts import digest_of
from bitagent_evaluator.tasks.files import (
    MANIFEST,
    TASKS,
    TaskSetError,
    encode_tasks,
    read_task_set,
    read_tasks,
    write_task_set,
)


def task(number: int) -> Task:
    return Task(
        id=f"t{number}",
        source="jsonl",
        category="c",
        messages=[{"role": "user", "content": "Ümläut"}],
        functions=[{"name": "f", "description": "", "parameters": {"required": [], "properties": {}}}],
        expects=Expects.NO_CALL,
    )


def write(out: Path) -> TaskSetManifest:
    """Write a task set of three tasks."""
    content = encode_tasks(map(task, range(3)))
    manifest = TaskSetManifest(
        digest=digest_of(content), count=3, seed="1", sources=[], alterations=[], categories={"c": 3}, builder="b"
    )
    write_task_set(out, content, manifest)
    return manifest


def test_what_was_written_is_read(tmp_path: Path) -> None:
    manifest = write(tmp_path / "out")
    assert read_task_set(tmp_path / "out") == (manifest, [task(0), task(1), task(2)])
    assert read_tasks(tmp_path / "out") == read_tasks(tmp_path / "out" / TASKS) == [task(0), task(1), task(2)]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {TASKS, MANIFEST}


def test_the_encoding_is_utf_8_without_spaces_in_the_order_of_the_source() -> None:
    (line,) = encode_tasks([task(1)]).splitlines()
    assert line.startswith(
        '{"id":"t1","source":"jsonl","category":"c","messages":[{"role":"user","content":"Ümläut"}]'.encode()
    )
    assert b'"parameters":{"required":[],"properties":{}}' in line


def test_a_tampered_task_set_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "out")
    with (tmp_path / "out" / TASKS).open("a") as tasks:
        tasks.write("\n")
    with pytest.raises(TaskSetError, match="was changed: its digest is sha256:"):
        read_task_set(tmp_path / "out")


def test_a_newer_schema_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "out")
    path = tmp_path / "out" / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    with pytest.raises(TaskSetError, match="newer version"):
        read_task_set(tmp_path / "out")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [(None, "is not a task set: .*No such file"), ("{}", "is not a task-set manifest: digest: Field required")],
    ids=["no manifest", "empty manifest"],
)
def test_a_directory_that_is_not_a_task_set(tmp_path: Path, manifest: str | None, message: str) -> None:
    if manifest is not None:
        (tmp_path / MANIFEST).write_text(manifest)
    with pytest.raises(TaskSetError, match=message):
        read_task_set(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": "x"}\n', "tasks.jsonl, line 1: source: Field required"),
        ("\nnot json\n", "tasks.jsonl, line 2: Invalid JSON"),
        (2 * encode_tasks([task(1)]).decode(), "line 2: the id 't1' occurs twice"),
    ],
    ids=["field", "json", "twice"],
)
def test_tasks_without_a_manifest(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / TASKS
    path.write_text(content)
    with pytest.raises(TaskSetError, match=message):
        read_tasks(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TaskSetError, match="No such file"):
        read_tasks(tmp_path / TASKS)
