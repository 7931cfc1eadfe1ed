"""Builds with cached responses: no request is repeated, and the bytes are the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.task_set import Task
from bitagent_evaluator.alterations.base import AlterationContext
from bitagent_evaluator.alterations.rewrite_cache import REWRITES, RewriteCache
from bitagent_evaluator.support.faults import InfrastructureFault
from bitagent_evaluator.tasks.build import build_task_set
from bitagent_evaluator.tasks.files import MANIFEST, TASKS, TaskSetError, read_task_set


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_rebuild_makes_no_request_and_writes_the_same_bytes(
    endpoint: Any, replies: Any, reword_politely: Any, spec: Any, tmp_path: Path
) -> None:
    """The endpoint never answers the same way twice, cuts responses off, refuses and fails."""

    def reply(request: Any) -> Any:
        kind = len(request.question) % 7
        if kind in (1, 2):
            return replies.error(400 if kind == 1 else 500)
        rewording = f"{reword_politely(request.question)} (thought {'so ' * len(endpoint.requests)})"
        return replies.completion(rewording, cut_off=kind == 3)

    endpoint.script = reply
    manifest = build_task_set(spec(), files={}, out=tmp_path / "a")
    first = contents(tmp_path / "a")
    assert first.keys() == {TASKS, MANIFEST, REWRITES}
    assert manifest.files.keys() == {REWRITES}
    assert manifest.alterations[0].applied > 0 and manifest.alterations[0].skipped["request_failed"] > 0
    assert read_task_set(tmp_path / "a")[0] == manifest
    made = len(endpoint.requests)
    build_task_set(spec(), files={}, out=tmp_path / "b", rewrites=tmp_path / "a" / REWRITES)
    build_task_set(spec(), files={}, out=tmp_path / "a")
    assert contents(tmp_path / "b") == first == contents(tmp_path / "a")
    backwards = b"".join(first[REWRITES].splitlines(keepends=True)[::-1])
    (tmp_path / "other.jsonl").write_bytes(b'{"key":"unused","text":"x"}\n' + backwards)
    build_task_set(spec(), files={}, out=tmp_path / "c", rewrites=tmp_path / "other.jsonl")
    assert contents(tmp_path / "c") == first
    assert len(endpoint.requests) == made


def test_a_build_that_failed_is_continued(
    endpoint: Any, replies: Any, reword_politely: Any, spec: Any, tmp_path: Path
) -> None:
    polite = endpoint.script
    build_task_set(spec(), files={}, out=tmp_path / "whole")
    questions = {request.question for request in endpoint.requests}
    endpoint.requests.clear()
    endpoint.script = lambda request: replies.error(401) if len(endpoint.requests) > 8 else polite(request)
    with pytest.raises(InfrastructureFault, match="401"):
        build_task_set(spec(concurrency=1), files={}, out=tmp_path / "parts")
    cached = (tmp_path / "parts" / REWRITES).read_bytes()
    assert len(cached.splitlines()) == 8
    (tmp_path / "parts" / REWRITES).write_bytes(cached + b'{"key": "torn')
    endpoint.requests.clear()
    endpoint.script = polite
    build_task_set(spec(), files={}, out=tmp_path / "parts")
    assert len({request.question for request in endpoint.requests}) == len(questions) - 8
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_only_missing_responses_are_requested(endpoint: Any, reword_politely: Any, spec: Any, tmp_path: Path) -> None:
    build_task_set(spec(percent=50), files={}, out=tmp_path / "half")
    made = len(endpoint.requests)
    manifest = build_task_set(spec(), files={}, out=tmp_path / "all", rewrites=tmp_path / "half" / REWRITES)
    assert 0 < made < len(endpoint.requests) == manifest.count


@pytest.mark.parametrize(
    "changed",
    [{"model": "other"}, {"temperature": "0.5"}, {"maxTokens": 7}, {"seed": "other"}],
    ids=lambda changed: next(iter(changed)),
)
def test_another_request_is_not_answered_from_the_cache(
    endpoint: Any, reword_politely: Any, alter: Any, paris: Task, changed: dict[str, Any]
) -> None:
    context = AlterationContext(rewrites=RewriteCache())
    for parameters in ({}, {}, changed, {"minSimilarity": "0.1", "percent": 99}):
        alter([paris], context=context, **parameters)
    assert len(endpoint.requests) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), ("{}\n", r"other.jsonl, line 1: not a rewriter's response")],
    ids=["missing", "other"],
)
def test_a_file_that_cannot_be_reused(spec: Any, tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "other.jsonl").write_text(content)
    with pytest.raises(TaskSetError, match=message):
        build_task_set(spec(), files={}, out=tmp_path / "out", rewrites=tmp_path / "other.jsonl")


def test_without_a_rewriter_there_is_no_file(spec: Any, tmp_path: Path) -> None:
    manifest = build_task_set(spec().model_copy(update={"alterations": []}), files={}, out=tmp_path)
    assert contents(tmp_path).keys() == {TASKS, MANIFEST}
    assert not manifest.files and '"files"' not in (tmp_path / MANIFEST).read_text()
