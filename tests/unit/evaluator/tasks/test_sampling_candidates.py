"""A stream gives the same draw as the whole data would, in memory that does not grow with it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.tasks.files import TaskSetError
from bitagent_evaluator.tasks.sampling import draw, read_candidates


def task(name: str, text: str = "") -> Task:
    return Task(
        id=name,
        source="x",
        category="x",
        messages=[{"role": "user", "content": text}],
        functions=[],
        expects=Expects.NO_CALL,
    )


class Held:
    """A source that gives a list, or the same one by one."""

    name = "held"
    version = "1"
    parameters: dict[str, Any] = {}

    def __init__(self, tasks: list[Task], *, streams: bool) -> None:
        self._tasks = tasks
        self._streams = streams

    def tasks(self) -> list[Task] | Iterator[Task]:
        return iter(self._tasks) if self._streams else list(self._tasks)


IDS = st.lists(st.text(min_size=1, max_size=4), unique=True, max_size=60)


@given(IDS, IDS, st.integers(1, 40), st.text(max_size=3))
def test_the_same_draw(first: list[str], second: list[str], count: int, seed: str) -> None:
    whole = read_candidates(
        [Held([task(name) for name in ids], streams=False) for ids in (first, second)], count=count, seed=seed
    )
    mixed = read_candidates(
        [Held([task(name) for name in ids], streams=i == 0) for i, ids in enumerate((first, second))],
        count=count,
        seed=seed,
    )
    assert mixed[0].total == whole[0].total == len(first)
    assert len(mixed[0].tasks) == min(count, len(first))
    for n in range(count + 1):
        drawn = draw(list(mixed[0].tasks), n, seed=seed, index=0)
        assert drawn == draw(list(whole[0].tasks), n, seed=seed, index=0)
    assert not set(mixed[1].tasks) & set(mixed[0].tasks)


@given(IDS, st.integers(1, 40))
def test_a_stream_leaves_out_what_an_earlier_source_has(ids: list[str], count: int) -> None:
    pools = read_candidates(
        [Held([task(name) for name in ids[::2]], streams=False), Held([task(name) for name in ids], streams=True)],
        count=count,
        seed="s",
    )
    assert pools[1].total == len(ids[1::2])
    assert set(pools[1].tasks) <= set(ids[1::2])


def test_a_repeated_id_in_a_stream() -> None:
    with pytest.raises(TaskSetError, match=r"sources\[0\] \(held\): two rows have the id 'a'"):
        read_candidates([Held([task("a"), task("b"), task("a")], streams=True)], count=9, seed="s")


@pytest.mark.parametrize("streams", [True, False])
def test_different_tasks_of_one_id(streams: bool) -> None:
    sources = [Held([task("a")], streams=True), Held([task("a", "other")], streams=streams)]
    with pytest.raises(TaskSetError, match="have different tasks of the same id 'a'"):
        read_candidates(sources, count=9, seed="s")


BUILD = """
import resource, sys
from pathlib import Path
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.tasks.build import build_task_set
spec = Tasks.model_validate_json(sys.argv[1])
manifest = build_task_set(spec, files={0: Path(sys.argv[2])}, out=Path(sys.argv[3]))
print(manifest.digest, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def build(file: Path, out: Path) -> tuple[str, int]:
    """Digest and megabytes of a build in a process of its own."""
    source = {"configMap": {"name": "c", "key": "k"}, "rows": "Columns", "columns": {"question": "q", "reference": "a"}}
    spec = json.dumps({"sources": [{"jsonl": source}], "count": 100, "seed": "s"})
    command = [sys.executable, "-c", BUILD, spec, str(file), str(out)]
    digest, megabytes = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return digest, int(megabytes)


def test_memory_does_not_grow_with_the_data(tmp_path: Path) -> None:
    def write(name: str, rows: int) -> Path:
        path, filling = tmp_path / name, "x" * 6_000
        with path.open("w") as file:
            file.writelines(f'{{"q": "question {i}", "a": "{filling}"}}\n' for i in range(rows))
        return path

    _, small = build(write("small.jsonl", 2_000), tmp_path / "a")
    file = write("large.jsonl", 20_000)
    _, large = build(file, tmp_path / "b")
    assert file.stat().st_size > 100_000_000
    assert large - small < 20, (small, large)
