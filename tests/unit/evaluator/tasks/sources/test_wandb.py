"""The newest samples of the runs of a Weights & Biases project."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.task_set import Task
from bitagent_crds.tasks import StreamSource
from bitagent_evaluator.support.faults import FetchError
from bitagent_evaluator.tasks.files import TaskSetError
from bitagent_evaluator.tasks.sources import wandb
from bitagent_evaluator.tasks.sources.base import SourceInputs
from bitagent_evaluator.tasks.sources.stream import StreamTasks


def prompts(tasks: list[Task]) -> list[str]:
    return [task.messages[0]["content"] for task in tasks]


class Service:
    """The public GraphQL API: `runs` are rows by run, the oldest run first."""

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
    return StreamTasks(StreamSource.model_validate(source), SourceInputs(key=key)).tasks()


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
        known = service(body, credential)
        return known if "runs(" in body["query"] else {"data": {"project": {"run": {"history": ["[" * 100_000]}}}}

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
        ([], "not that of a GraphQL interface"),
        ({"data": {"project": {"runs": {"edges": [{}]}}}}, "not of the known form .KeyError"),
    ],
    ids=["errors", "another service", "another form"],
)
def test_what_is_refused(website: Any, answer: Any, message: str) -> None:
    website.answer = lambda body, credential: answer
    with pytest.raises(TaskSetError, match=message):
        project(website, 10)


def test_an_answer_without_end_is_cut_off(website: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb, "_MAX_ANSWER_BYTES", 1000)
    website.answer = lambda body, credential: ["x"] * 1000
    with pytest.raises(FetchError) as error:
        project(website, 10)
    assert error.value.reason is Reason.TASKS_FAILED


def test_an_endpoint_with_a_password() -> None:
    source = {"wandb": {"entity": "acme", "project": "samples", "endpoint": "https://me:secret@127.0.0.1"}}
    with pytest.raises(TaskSetError, match="which the manifest would publish"):
        StreamTasks(StreamSource.model_validate(source), SourceInputs())


def test_a_service_that_is_down_is_tried_again(website: Any) -> None:
    website.answer = Service({"run": logged(0, 4)})
    website.statuses = [502, 429]
    assert len(project(website, 10)) == 2
    website.statuses = [502] * 5
    with pytest.raises(FetchError, match="answers 502") as error:
        project(website, 10)
    assert error.value.reason is Reason.INFRASTRUCTURE_FAULT
