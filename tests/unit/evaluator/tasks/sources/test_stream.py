"""The newest samples of a growing file, with and without ranges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.task_set import Task
from bitagent_crds.tasks import StreamSource, Tasks
from bitagent_evaluator.support.faults import FetchError
from bitagent_evaluator.tasks.build import build_task_set
from bitagent_evaluator.tasks.files import TASKS, TaskSetError
from bitagent_evaluator.tasks.sources import stream
from bitagent_evaluator.tasks.sources.base import SourceInputs
from bitagent_evaluator.tasks.sources.stream import StreamTasks

COLUMNS = {"question": "prompt", "reference": "response"}


def line(i: int, size: int = 10) -> bytes:
    return json.dumps({"prompt": f"prompt {i}", "response": f"answer {i} " + "x" * size}).encode() + b"\n"


def read(url: str, newest: int, **more: Any) -> list[Task]:
    source = StreamSource.model_validate({"url": url, "newest": newest, "rows": "Columns", "columns": COLUMNS, **more})
    return StreamTasks(source, SourceInputs()).tasks()


def prompts(tasks: list[Task]) -> list[str]:
    return [task.messages[0]["content"] for task in tasks]


NEWEST_THREE = ["prompt 999", "prompt 998", "prompt 997"]


@pytest.mark.parametrize("ranges", [True, False], ids=["server with ranges", "server without"])
def test_the_newest_first(website: Any, ranges: bool) -> None:
    website.files["/s.jsonl"] = b"\n".join(line(i) for i in range(1000))
    website.ranges = ranges
    tasks = read(f"{website.url}/s.jsonl", 3)
    assert prompts(tasks) == NEWEST_THREE
    assert tasks[0].reference == "answer 999 " + "x" * 10
    assert {task.expects for task in tasks} == {"Text"}


@pytest.mark.parametrize("size", [10, 3000], ids=["one part", "many parts"])
@pytest.mark.parametrize("newest", [1, 50, 400, 999, 1000, 5000])
def test_as_many_as_requested_or_there_are(website: Any, size: int, newest: int) -> None:
    website.files["/s.jsonl"] = b"".join(line(i, size) for i in range(1000))
    tasks = read(f"{website.url}/s.jsonl", newest)
    assert prompts(tasks) == [f"prompt {i}" for i in range(999, max(-1, 999 - newest), -1)]


def test_only_the_end_is_fetched(website: Any) -> None:
    website.files["/s.jsonl"] = b"".join(line(i, 3000) for i in range(1000))
    read(f"{website.url}/s.jsonl", 50)
    assert website.asked == [("/s.jsonl", f"bytes=-{stream.FIRST_BYTES}")]


@pytest.mark.parametrize("ranges", [True, False], ids=["server with ranges", "server without"])
@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (b'{"prompt": "prompt 1000", "resp', NEWEST_THREE),
        (line(1000).strip(), ["prompt 1000", *NEWEST_THREE[:2]]),
        (b"\n \n", NEWEST_THREE),
    ],
    ids=["being written", "complete without end", "blank"],
)
def test_the_last_line(website: Any, ranges: bool, last: bytes, expected: list[str]) -> None:
    website.files["/s.jsonl"] = b"".join(line(i) for i in range(1000)) + last
    website.ranges = ranges
    assert prompts(read(f"{website.url}/s.jsonl", 3)) == expected


def test_a_repeated_sample_counts_once_and_broken_lines_are_skipped(website: Any, caplog: Any) -> None:
    website.files["/s.jsonl"] = line(1) + line(2) + b"no JSON\n" + line(2)
    assert prompts(read(f"{website.url}/s.jsonl", 9)) == ["prompt 2", "prompt 1"]
    assert "1 lines are not JSON objects" in caplog.text


def test_of_samples_with_one_id_the_newest_counts(website: Any) -> None:
    rows = [{"n": n, "prompt": f"prompt {i}", "response": "yes"} for i, n in enumerate("abab")]
    website.files["/s.jsonl"] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    source = {"url": f"{website.url}/s.jsonl", "rows": "Columns", "columns": {"id": "n", **COLUMNS}}
    reader = StreamTasks(StreamSource.model_validate(source), SourceInputs())
    assert prompts(reader.tasks()) == ["prompt 3", "prompt 2"]
    assert reader.skipped == {"with the id of a newer one": 2}


def test_ids_follow_from_content(website: Any) -> None:
    website.files["/a"] = line(1) + line(2)
    website.files["/b"] = line(2) + json.dumps(dict(reversed(json.loads(line(1)).items()))).encode() + b"\n"
    first, second = read(f"{website.url}/a", 9), read(f"{website.url}/b", 9)
    assert [task.id for task in first] == [task.id for task in reversed(second)]
    assert all(task.id.startswith("stream:") for task in first)


def test_the_version_is_that_of_what_was_read(website: Any, tmp_path: Path) -> None:
    website.files["/s.jsonl"] = b"".join(line(i) for i in range(30))
    source = {"stream": {"url": f"{website.url}/s.jsonl", "newest": 20, "rows": "Columns", "columns": COLUMNS}}
    spec = Tasks.model_validate({"sources": [source], "count": 10, "seed": "s"})
    first = build_task_set(spec, files={}, out=tmp_path / "a")
    again = build_task_set(spec, files={}, out=tmp_path / "b")
    assert (tmp_path / "a" / TASKS).read_bytes() == (tmp_path / "b" / TASKS).read_bytes()
    assert first == again
    assert first.sources[0].version.startswith("sha256:")
    website.files["/s.jsonl"] = b"".join(line(i) for i in range(5)) + website.files["/s.jsonl"]  # older ones
    assert build_task_set(spec, files={}, out=tmp_path / "c") == first
    website.files["/s.jsonl"] += line(30)
    grown = build_task_set(spec, files={}, out=tmp_path / "d")
    assert (grown.digest, grown.sources[0].version) != (first.digest, first.sources[0].version)


@pytest.mark.parametrize("content", [b"", b"\n\n"], ids=["empty", "blank"])
def test_an_empty_stream(website: Any, content: bytes) -> None:
    website.files["/s.jsonl"] = content
    with pytest.raises(TaskSetError, match="has no rows"):
        read(f"{website.url}/s.jsonl", 3)


@pytest.mark.parametrize("ranges", [True, False], ids=["server with ranges", "server without"])
def test_more_than_memory_should_hold(website: Any, monkeypatch: pytest.MonkeyPatch, ranges: bool) -> None:
    monkeypatch.setattr(stream, "MAX_BYTES", 1_000_000)
    website.files["/s.jsonl"] = b"".join(line(i, 3000) for i in range(1000))
    website.ranges = ranges
    with pytest.raises(TaskSetError, match="more than 1000000 bytes: lower newest"):
        read(f"{website.url}/s.jsonl", 1000)


def test_a_server_that_sends_more_than_was_asked_for(website: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    website.files["/s.jsonl"] = b"".join(line(i, 3000) for i in range(1000))
    monkeypatch.setattr(website, "more", 5, raising=True)
    with pytest.raises(FetchError) as error:
        read(f"{website.url}/s.jsonl", 50)
    assert error.value.reason is Reason.TASKS_FAILED
