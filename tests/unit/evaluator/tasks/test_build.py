"""Building: the same bytes for the same spec, provenance, and specs that cannot be met."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.task_set import AlterationManifest, SourceManifest, TaskSetManifest
from bitagent_crds.tasks import BfclCategory, Tasks
from bitagent_evaluator.tasks.build import build_task_set, describe_task_set
from bitagent_evaluator.tasks.files import MANIFEST, TASKS, TaskSetError, read_task_set, read_tasks

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


def test_another_seed_draws_other_tasks(tmp_path: Path, sums: Path) -> None:
    first = build_task_set(spec(JSONL, seed="a"), files={0: sums}, out=tmp_path / "a")
    second = build_task_set(spec(JSONL, seed="b"), files={0: sums}, out=tmp_path / "b")
    assert {task.id for task in read_tasks(tmp_path / "a")} != {task.id for task in read_tasks(tmp_path / "b")}
    assert first.digest != second.digest


BUILD = """
import sys
from pathlib import Path
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.tasks.build import build_task_set
build_task_set(Tasks.model_validate_json(sys.argv[1]), files={1: Path(sys.argv[2])}, out=Path(sys.argv[3]))
"""


PROCESSES = [{"PYTHONHASHSEED": "1", "LC_ALL": "C"}, {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo"}]


def test_the_same_bytes_in_any_process(tmp_path: Path, sums: Path) -> None:
    mixed = spec(bfcl("live_simple", "simple_java", "parallel"), JSONL, count=50)
    build_task_set(mixed, files={1: sums}, out=tmp_path / "here")
    outs = [tmp_path / "here"]
    for environment in PROCESSES:
        outs.append(tmp_path / environment["PYTHONHASHSEED"])
        command = [sys.executable, "-c", BUILD, json.dumps(mixed.to_wire()), str(sums), str(outs[-1])]
        subprocess.run(command, check=True, env={**os.environ, **environment}, capture_output=True)
    assert len({((out / TASKS).read_bytes(), (out / MANIFEST).read_bytes()) for out in outs}) == 1


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
    with pytest.raises(TaskSetError, match=r"sources\[0\] and tasks.sources\[1\] .* the same id 'sum-3'"):
        build_task_set(spec(JSONL, JSONL), files={0: sums, 1: other}, out=tmp_path / "out")


SOURCE = SourceManifest(source="bfcl", version="1", parameters={}, count=1)


def manifest_of(count: int, sources: int, *alterations: AlterationManifest) -> TaskSetManifest:
    return TaskSetManifest(
        digest="sha256:" + "1" * 64,
        count=count,
        seed="1",
        sources=[SOURCE] * sources,
        alterations=list(alterations),
        categories={},
        builder="b",
    )


def effect(name: str, applied: int, **skipped: int) -> AlterationManifest:
    return AlterationManifest(name=name, parameters={}, applied=applied, skipped=skipped)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(manifest_of(1, 1), "1 task from 1 source", id="one"),
        pytest.param(manifest_of(1000, 3), "1000 tasks from 3 sources", id="no alterations"),
        pytest.param(
            manifest_of(1000, 3, effect("Rewrite", 812, too_similar=85, value_lost=103)),
            "1000 tasks from 3 sources; Rewrite changed 812 of 1000 (103 value_lost, 85 too_similar)",
            id="most frequent reason first",
        ),
        pytest.param(
            manifest_of(10, 2, effect("ToolShuffle", 10), effect("Irrelevance", 2, not_chosen=6, expects_no_call=2)),
            "10 tasks from 2 sources; ToolShuffle changed 10 of 10; Irrelevance changed 2 of 10 (2 expects_no_call)",
            id="tasks left out by percent are not counted",
        ),
        pytest.param(
            manifest_of(4, 1, effect("Rewrite", 0, b=2, a=2)),
            "4 tasks from 1 source; Rewrite changed 0 of 4 (2 a, 2 b)",
            id="nothing changed, equal counts by name",
        ),
    ],
)
def test_describe(found: TaskSetManifest, expected: str) -> None:
    assert describe_task_set(found) == expected


def _shards(folder: Path, *numbers: int) -> dict[int, Path]:
    files = {index: folder / f"sums-{number:05}-of-00003.jsonl" for index, number in enumerate(numbers)}
    for index, path in files.items():
        path.write_text("".join(line(100 * index + i) for i in range(9)))
    return files


def test_a_shard_that_is_not_given_beside_others_is_an_error(tmp_path: Path) -> None:
    files = _shards(tmp_path, 0, 2)
    with pytest.raises(TaskSetError, match=r"sums-00001-of-00003\.jsonl"):
        build_task_set(spec(JSONL, JSONL), files=files, out=tmp_path / "out")
    files = _shards(tmp_path, 0, 1, 2)
    assert build_task_set(spec(JSONL, JSONL, JSONL), files=files, out=tmp_path / "out").count == 10


def test_one_shard_alone_is_pointed_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    build_task_set(spec(JSONL, count=5), files=_shards(tmp_path, 1), out=tmp_path / "out")
    assert ["sums-00000-of-00003.jsonl" in record.getMessage() for record in caplog.records] == [True]
