"""Task sets on disk: the same bytes for the same spec, provenance, and errors a person can act on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.sources import BfclCategory
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.tasks import MANIFEST, TASKS, TaskSetError, build_task_set, read_task_set, read_tasks

FUNCTION = {
    "name": "add",
    "description": "Add two numbers.",
    "parameters": {
        "type": "dict",
        "properties": {
            "b": {"type": "integer", "description": "second"},
            "a": {"type": "integer", "description": "first"},
        },
        "required": ["b", "a"],
    },
}


def line(i: int, **changes: Any) -> str:
    task = {
        "id": f"sum-{i}",
        "category": "sums",
        "messages": [{"role": "user", "content": f"What is {i} + 1? Ümläut"}],
        "functions": [FUNCTION],
        "ground_truth": [{"add": {"a": [i], "b": [1]}}],
    }
    return json.dumps(task | changes) + "\n"


def spec(*sources: dict[str, Any], count: int = 10, seed: str = "0xabc") -> Tasks:
    return Tasks.model_validate({"sources": sources, "count": count, "seed": seed})


def bfcl(*categories: str, weight: int = 1) -> dict[str, Any]:
    return {"bfcl": {"categories": categories}, "weight": weight}


JSONL = {"jsonl": {"volume": {"claimName": "data", "path": "sums.jsonl"}}}


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    path = tmp_path / "sums.jsonl"
    path.write_text("".join(line(i) for i in range(30)))
    return path


def test_a_mix_of_sources(tmp_path: Path, sums: Path) -> None:
    mixed = spec(bfcl("simple_python", "irrelevance", weight=3), JSONL, count=40)
    manifest = build_task_set(mixed, files={1: sums}, out=tmp_path / "out")
    read_back, tasks = read_task_set(tmp_path / "out")
    assert read_back == manifest
    assert [(source.source, source.count) for source in manifest.sources] == [("bfcl", 30), ("jsonl", 10)]
    assert manifest.sources[0].version.startswith("bfcl-eval ")
    assert manifest.sources[1].version.startswith("sha256:")
    assert manifest.sources[1].parameters == JSONL["jsonl"]
    assert manifest.count == len(tasks) == len({task.id for task in tasks}) == 40
    assert manifest.categories == Counter(task.category for task in tasks)
    assert manifest.seed == "0xabc"


def test_sources_are_mixed_and_not_appended(tmp_path: Path, sums: Path) -> None:
    build_task_set(spec(bfcl("simple_python"), JSONL, count=40), files={1: sums}, out=tmp_path)
    sources = [task.source for task in read_tasks(tmp_path)]
    assert len(set(sources[:20])) == len(set(sources[20:])) == 2


def test_the_order_of_a_files_lines_does_not_matter(tmp_path: Path, sums: Path) -> None:
    backwards = tmp_path / "backwards.jsonl"
    backwards.write_text("".join(reversed(sums.read_text().splitlines(keepends=True))))
    first = build_task_set(spec(JSONL), files={0: sums}, out=tmp_path / "a")
    second = build_task_set(spec(JSONL), files={0: backwards}, out=tmp_path / "b")
    assert first.digest == second.digest


def test_another_seed_draws_otherwise(tmp_path: Path, sums: Path) -> None:
    first = build_task_set(spec(JSONL, seed="a"), files={0: sums}, out=tmp_path / "a")
    second = build_task_set(spec(JSONL, seed="b"), files={0: sums}, out=tmp_path / "b")
    assert {task.id for task in read_tasks(tmp_path / "a")} != {task.id for task in read_tasks(tmp_path / "b")}
    assert first.digest != second.digest


BUILD = """
import sys
from pathlib import Path
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.tasks import build_task_set
print(build_task_set(Tasks.model_validate_json(sys.argv[1]), files={1: Path(sys.argv[2])}, out=Path(sys.argv[3])).digest)
"""


def test_the_same_bytes_in_any_process(tmp_path: Path, sums: Path) -> None:
    wanted = spec(bfcl("live_simple", "simple_java", "parallel"), JSONL, count=50)
    written = set()
    for i, environment in enumerate(
        [{"PYTHONHASHSEED": "1", "LC_ALL": "C"}, {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo"}]
    ):
        out = tmp_path / str(i)
        command = [
            sys.executable,
            "-c",
            BUILD,
            wanted.model_dump_json(by_alias=True, exclude_none=True),
            str(sums),
            str(out),
        ]
        subprocess.run(command, check=True, env={**os.environ, **environment}, capture_output=True)
        written.add(((out / TASKS).read_bytes(), (out / MANIFEST).read_bytes()))
    build_task_set(wanted, files={1: sums}, out=tmp_path / "here")
    written.add(((tmp_path / "here" / TASKS).read_bytes(), (tmp_path / "here" / MANIFEST).read_bytes()))
    assert len(written) == 1


def test_building_again_changes_nothing(tmp_path: Path, sums: Path) -> None:
    build_task_set(spec(JSONL), files={0: sums}, out=tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    build_task_set(spec(JSONL), files={0: sums}, out=tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert set(before) == {TASKS, MANIFEST}


def test_functions_keep_the_order_of_their_members(tmp_path: Path, sums: Path) -> None:
    """A prompt shows that order, so sorting keys would change what models are asked."""
    build_task_set(spec(JSONL), files={0: sums}, out=tmp_path / "out")
    assert list(read_tasks(tmp_path / "out")[0].functions[0]["parameters"]["properties"]) == ["b", "a"]
    assert "Ümläut".encode() in (tmp_path / "out" / TASKS).read_bytes()


def test_a_task_of_two_sources_is_drawn_once(tmp_path: Path) -> None:
    overlapping = spec(bfcl("live_relevance"), bfcl("live_relevance", "live_parallel"), count=32)
    manifest = build_task_set(overlapping, files={}, out=tmp_path)
    assert [source.count for source in manifest.sources] == [16, 16]
    assert manifest.categories == {"live_parallel": 16, "live_relevance": 16}


def test_a_thousand_tasks_of_all_categories(tmp_path: Path) -> None:
    manifest = build_task_set(spec(bfcl(*BfclCategory), count=1000), files={}, out=tmp_path)
    assert manifest.count == len(read_tasks(tmp_path)) == 1000
    assert set(manifest.categories) == set(BfclCategory)


def test_too_few_tasks(tmp_path: Path, sums: Path) -> None:
    message = r"tasks.count is 50, but the sources have 46 tasks \(\[0\] bfcl: 16, \[1\] jsonl: 30\)"
    with pytest.raises(TaskSetError, match=message):
        build_task_set(spec(bfcl("live_relevance"), JSONL, count=50), files={1: sums}, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_different_tasks_of_one_id(tmp_path: Path, sums: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text(line(3, category="others"))
    with pytest.raises(
        TaskSetError, match=r"sources\[0\] and tasks.sources\[1\] have different tasks of the same id 'sum-3'"
    ):
        build_task_set(spec(JSONL, JSONL), files={0: sums, 1: other}, out=tmp_path / "out")


@pytest.mark.parametrize("source", [{}, bfcl("multiple") | JSONL], ids=["none", "two"])
def test_a_source_names_exactly_one_origin(tmp_path: Path, source: dict[str, Any]) -> None:
    with pytest.raises(
        TaskSetError, match=r"tasks.sources\[0\]: exactly one of bfcl, jsonl, huggingFace, stream must be set"
    ):
        build_task_set(spec(source), files={}, out=tmp_path)


def test_a_missing_file_names_the_source(tmp_path: Path) -> None:
    with pytest.raises(TaskSetError, match=r"tasks.sources\[1\] \(jsonl\): .*gone.jsonl: No such file"):
        build_task_set(spec(bfcl("multiple"), JSONL), files={1: tmp_path / "gone.jsonl"}, out=tmp_path)
    with pytest.raises(TaskSetError, match=r"tasks.sources\[0\] \(jsonl\): its file was not given"):
        build_task_set(spec(JSONL), files={}, out=tmp_path)


def test_a_tampered_task_set_is_not_read(tmp_path: Path, sums: Path) -> None:
    build_task_set(spec(JSONL), files={0: sums}, out=tmp_path / "out")
    with (tmp_path / "out" / TASKS).open("a") as tasks:
        tasks.write("\n")
    with pytest.raises(TaskSetError, match="was changed: its digest is sha256:"):
        read_task_set(tmp_path / "out")


def test_a_newer_schema_is_not_read(tmp_path: Path, sums: Path) -> None:
    build_task_set(spec(JSONL), files={0: sums}, out=tmp_path / "out")
    path = tmp_path / "out" / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    with pytest.raises(TaskSetError, match="newer version"):
        read_task_set(tmp_path / "out")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [(None, "is not a task set: .*No such file"), ("{}", "is not a task-set manifest: digest: Field required")],
    ids=["no manifest", "empty manifest"],
)
def test_what_is_not_a_task_set(tmp_path: Path, manifest: str | None, message: str) -> None:
    if manifest is not None:
        (tmp_path / MANIFEST).write_text(manifest)
    with pytest.raises(TaskSetError, match=message):
        read_task_set(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": "x"}\n', "tasks.jsonl, line 1: source: Field required"),
        ("\nnot json\n", "tasks.jsonl, line 2: Invalid JSON"),
        (2 * line(1, source="jsonl"), "line 2: the id 'sum-1' occurs twice"),
    ],
    ids=["field", "json", "twice"],
)
def test_tasks_without_a_manifest(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / TASKS
    path.write_text(content)
    with pytest.raises(TaskSetError, match=message):
        read_tasks(path)
