"""Requests to the rewriter: how many are made, in flight at once and shared, and what faults of the endpoint mean."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.task_set import Task
from bitagent_evaluator.support.faults import InfrastructureFault
from bitagent_evaluator.tasks.build import build_task_set
from bitagent_evaluator.tasks.files import MANIFEST


def questions(make_task: Any, count: int) -> list[Task]:
    return [make_task(f"Is it warm in town, and how warm, number {i}?", id=f"t{i}") for i in range(count)]


def test_no_request_is_made_for_tasks_that_are_not_chosen(
    endpoint: Any, reword_politely: Any, alter: Any, make_task: Any
) -> None:
    altered, manifest = alter(questions(make_task, 60), percent=25)
    assert manifest.skipped.keys() == {"not_chosen"}
    assert 5 < manifest.applied == len(endpoint.requests) < 30
    assert [bool(t.alterations) for t in altered] == [t.messages[0]["content"].startswith("Could") for t in altered]


def test_requests_are_concurrent_within_bounds(endpoint: Any, replies: Any, alter: Any, make_task: Any) -> None:
    def slowly(request: Any) -> Any:
        time.sleep(0.02)
        return replies.completion("")

    endpoint.script = slowly
    alter(questions(make_task, 30), concurrency=4)
    assert 1 < endpoint.most_open <= 4


def test_equal_turns_share_a_response(
    endpoint: Any, replies: Any, reword_politely: Any, alter: Any, paris: Task
) -> None:
    endpoint.script = lambda request: replies.completion(
        f"{reword_politely(request.question)} {'Really. ' * len(endpoint.requests)}"
    )
    altered, _ = alter([paris.model_copy(update={"id": f"t{i}"}) for i in range(8)])
    assert len({task.messages[0]["content"] for task in altered}) == len(endpoint.requests) == 1


def test_single_failures_are_counted(
    endpoint: Any, replies: Any, reword_politely: Any, alter: Any, make_task: Any
) -> None:
    def reply(request: Any) -> Any:
        bad = {"1": replies.error(400), "2": replies.error(500), "3": replies.raw(body=b"<html>")}
        return bad.get(request.question[-2], replies.completion(reword_politely(request.question)))

    endpoint.script = reply
    altered, manifest = alter(questions(make_task, 6))
    assert manifest.skipped == {"request_failed": 3}
    assert [bool(task.alterations) for task in altered] == [True, False, False, False, True, True]
    requests = Counter(request.question[-2] for request in endpoint.requests)
    assert (requests["1"], requests["2"], requests["3"]) == (1, 6, 6), (
        "a refusal is final, anything else gets 3 attempts for each of 2 tries"
    )


def test_a_hanging_request_is_counted(
    endpoint: Any, replies: Any, reword_politely: Any, alter: Any, make_task: Any
) -> None:
    endpoint.script = lambda request: (
        replies.raw(hang=True) if "Oslo" in request.question else replies.completion(reword_politely(request.question))
    )
    tasks = [make_task("Is it warm in Rome?", id="a"), make_task("Is it warm in Oslo?", id="b")]
    _, manifest = alter(tasks, timeoutSeconds=1, tries=1)
    assert (manifest.applied, manifest.skipped) == (1, {"request_failed": 1})


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (401, None, "answered 401"),
        (404, None, "no model rewriter"),
        (429, None, "answered 429"),
        (503, None, "answered 503"),
        (500, None, "16 requests failed one after the other"),
        (200, b"<html>", "16 requests failed one after the other"),
        (400, None, "no request was answered"),
    ],
)
def test_an_endpoint_without_any_response_fails_the_build(
    endpoint: Any, replies: Any, spec: Any, tmp_path: Path, status: int, body: Any, message: str
) -> None:
    endpoint.reply_with(replies.raw(status, body) if body else replies.error(status, "no model rewriter here"))
    with pytest.raises(InfrastructureFault, match=message):
        build_task_set(spec(), files={}, out=tmp_path)
    assert not (tmp_path / MANIFEST).exists()
