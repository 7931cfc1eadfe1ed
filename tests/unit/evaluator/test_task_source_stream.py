"""The newest samples of a growing file and of Weights & Biases runs."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.results import Task
from bitagent_crds.sources import StreamSource
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.faults import InfrastructureFault
from bitagent_evaluator.tasks import TASKS, TaskSetError, build_task_set
from bitagent_evaluator.tasks.data import tail, wandb
from bitagent_evaluator.tasks.source import Inputs
from bitagent_evaluator.tasks.stream import StreamTasks

COLUMNS = {"question": "prompt", "reference": "response"}


def line(i: int, size: int = 10) -> bytes:
    return json.dumps({"prompt": f"prompt {i}", "response": f"answer {i} " + "x" * size}).encode() + b"\n"


def read(url: str, newest: int, **more: Any) -> list[Task]:
    source = StreamSource.model_validate({"url": url, "newest": newest, "rows": "Columns", "columns": COLUMNS, **more})
    return StreamTasks(source, Inputs()).tasks()


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
def test_as_many_as_wanted_or_there_are(website: Any, size: int, newest: int) -> None:
    website.files["/s.jsonl"] = b"".join(line(i, size) for i in range(1000))
    tasks = read(f"{website.url}/s.jsonl", newest)
    assert prompts(tasks) == [f"prompt {i}" for i in range(999, max(-1, 999 - newest), -1)]


def test_only_the_end_is_fetched(website: Any) -> None:
    website.files["/s.jsonl"] = b"".join(line(i, 3000) for i in range(1000))
    read(f"{website.url}/s.jsonl", 50)
    assert website.asked == [("/s.jsonl", f"bytes=-{tail.FIRST_BYTES}")]


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


def test_a_repeated_sample_counts_once_and_broken_lines_are_left_out(website: Any, caplog: Any) -> None:
    website.files["/s.jsonl"] = line(1) + line(2) + b"no JSON\n" + line(2)
    assert prompts(read(f"{website.url}/s.jsonl", 9)) == ["prompt 2", "prompt 1"]
    assert "1 lines are no JSON objects" in caplog.text


def test_of_samples_with_one_id_the_newest_counts(website: Any) -> None:
    rows = [{"n": n, "prompt": f"prompt {i}", "response": "yes"} for i, n in enumerate("abab")]
    website.files["/s.jsonl"] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    source = {"url": f"{website.url}/s.jsonl", "rows": "Columns", "columns": {"id": "n", **COLUMNS}}
    stream = StreamTasks(StreamSource.model_validate(source), Inputs())
    assert prompts(stream.tasks()) == ["prompt 3", "prompt 2"]
    assert stream.skipped == {"with the id of a newer one": 2}


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
    monkeypatch.setattr(tail, "MAX_BYTES", 1_000_000)
    website.files["/s.jsonl"] = b"".join(line(i, 3000) for i in range(1000))
    website.ranges = ranges
    with pytest.raises(TaskSetError, match="more than 1000000 bytes: lower newest"):
        read(f"{website.url}/s.jsonl", 1000)


def test_a_server_that_sends_more_than_was_asked_for(website: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    website.files["/s.jsonl"] = b"".join(line(i, 3000) for i in range(1000))
    monkeypatch.setattr(website, "more", 5, raising=True)
    with pytest.raises(TaskSetError, match="does not send the parts that it is asked for"):
        read(f"{website.url}/s.jsonl", 50)


class Service:
    """A stand-in of the public GraphQL interface: runs oldest first, rows by run."""

    def __init__(self, runs: dict[str, list[dict[str, Any]]], *, key: str = "") -> None:
        self.runs = runs
        self.credential = "Basic " + base64.b64encode(f"api:{key}".encode()).decode() if key else ""
        self.pages = 0

    def __call__(self, body: dict[str, Any], credential: str) -> dict[str, Any]:
        query, variables = body["query"], body["variables"]
        if (variables["entity"], variables["project"]) != ("acme", "samples") or credential != self.credential:
            return {"data": {"project": None}}
        return {"data": {"project": self._runs(variables) if "runs(" in query else self._history(variables)}}

    def _runs(self, variables: dict[str, Any]) -> dict[str, Any]:
        newest = list(reversed(self.runs))
        start = int(variables["cursor"] or 0)
        end = start + variables["perPage"]
        edges = []
        for name in newest[start:end]:
            rows = self.runs[name]
            edges.append({"node": {"name": name, "historyKeys": {"lastStep": rows[-1]["_step"]} if rows else None}})
        return {"runs": {"edges": edges, "pageInfo": {"endCursor": str(end), "hasNextPage": end < len(newest)}}}

    def _history(self, variables: dict[str, Any]) -> dict[str, Any]:
        self.pages += 1
        rows = self.runs[variables["run"]]
        found = [row for row in rows if variables["minStep"] <= row["_step"] < variables["maxStep"]]
        assert len(found) <= variables["pageSize"]
        return {"run": {"history": [json.dumps(row) for row in found]}}


def logged(run: int, steps: int) -> list[dict[str, Any]]:
    """Every third row is a sample, as between metrics."""
    rows: list[dict[str, Any]] = [{"_step": step, "loss": 0.5} for step in range(steps)]
    for step in range(0, steps, 3):
        rows[step] |= {"prompts.5": f"run {run} step {step}", "responses": {"5": "yes"}}
    return rows


def project(website: Any, newest: int, *, key: str | None = None, columns: dict[str, str] | None = None) -> list[Task]:
    source = {
        "wandb": {"entity": "acme", "project": "samples", "endpoint": website.url},
        "newest": newest,
        "rows": "Columns",
        "columns": columns or {"question": "prompts.5", "reference": "responses.5"},
    }
    return StreamTasks(StreamSource.model_validate(source), Inputs(key=key)).tasks()


def test_runs_newest_first(website: Any) -> None:
    website.answer = service = Service({f"run-{i}": logged(i, 1300) for i in range(120)})
    tasks = project(website, 500)
    expected = [f"run {run} step {step}" for run in (119, 118) for step in range(1299, -1, -3)][:500]
    assert prompts(tasks) == expected
    assert service.pages == -(-1300 // wandb.STEPS_PER_PAGE) + 1
    assert {path for path, _ in website.asked} == {"/graphql"}


def test_runs_that_logged_nothing_and_pages_of_runs(website: Any) -> None:
    website.answer = Service({"old": logged(0, 4), **{f"empty-{i}": [] for i in range(60)}})
    assert prompts(project(website, 10)) == ["run 0 step 3", "run 0 step 0"]


def test_pages_of_runs_without_end(website: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb, "MAX_PAGES", 3)
    empty = {
        "edges": [{"node": {"name": "r", "historyKeys": None}}],
        "pageInfo": {"endCursor": "1", "hasNextPage": True},
    }
    website.answer = lambda body, credential: {"data": {"project": {"runs": empty}}}
    with pytest.raises(TaskSetError, match="has no rows with"):
        project(website, 10)
    assert len(website.asked) == 3


def test_a_row_without_end_is_not_of_the_known_form(website: Any) -> None:
    service = Service({"run": logged(0, 4)})

    def answer(body: dict[str, Any], credential: str) -> dict[str, Any]:
        told = service(body, credential)
        return told if "runs(" in body["query"] else {"data": {"project": {"run": {"history": ["[" * 100_000]}}}}

    website.answer = answer
    with pytest.raises(TaskSetError, match="not of the known form"):
        project(website, 10)


def test_a_private_project_needs_the_key(website: Any) -> None:
    website.answer = Service({"run": logged(0, 4)}, key="secret")
    assert len(project(website, 10, key="secret")) == 2
    with pytest.raises(TaskSetError, match="acme/samples does not exist, or is private"):
        project(website, 10)


def test_columns_that_no_run_logs(website: Any) -> None:
    website.answer = Service({"run": logged(0, 4)})
    with pytest.raises(TaskSetError, match="has no rows with question, answers"):
        project(website, 10, columns={"question": "question", "reference": "answers"})


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"errors": [{"message": "permission denied"}]}, "samples: permission denied"),
        ([], "no GraphQL interface"),
        ({"data": {"project": {"runs": {"edges": [{}]}}}}, "not of the known form .KeyError"),
    ],
    ids=["errors", "another service", "another form"],
)
def test_refusals_are_told(website: Any, answer: Any, message: str) -> None:
    website.answer = lambda body, credential: answer
    with pytest.raises(TaskSetError, match=message):
        project(website, 10)


def test_an_answer_without_end_is_cut_off(website: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb, "_MAX_ANSWER_BYTES", 1000)
    website.answer = lambda body, credential: ["x"] * 1000
    with pytest.raises(TaskSetError, match="the answer is larger than 1000 bytes"):
        project(website, 10)


def test_an_endpoint_with_a_password() -> None:
    source = {"wandb": {"entity": "acme", "project": "samples", "endpoint": "https://me:secret@127.0.0.1"}}
    with pytest.raises(TaskSetError, match="which the manifest would publish"):
        StreamTasks(StreamSource.model_validate(source), Inputs())


def test_a_service_that_is_down_is_tried_again(website: Any) -> None:
    website.answer = Service({"run": logged(0, 4)})
    website.statuses = [502, 429]
    assert len(project(website, 10)) == 2
    website.statuses = [502] * 5
    with pytest.raises(InfrastructureFault, match="answers 502"):
        project(website, 10)
