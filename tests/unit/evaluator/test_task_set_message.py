"""What a task set says of itself in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_crds.jobs import TaskSetJob, TaskSetSummary
from bitagent_crds.results import AlterationManifest, SourceManifest, TaskSetManifest
from bitagent_evaluator.jobs.task_set import handle
from bitagent_evaluator.tasks.message import describe

SOURCE = SourceManifest(source="bfcl", version="1", parameters={}, count=1)


def manifest(count: int, sources: int, *alterations: AlterationManifest) -> TaskSetManifest:
    return TaskSetManifest(
        digest="sha256:" + "1" * 64,
        count=count,
        seed="1",
        sources=[SOURCE] * sources,
        alterations=list(alterations),
        categories={},
        builder="b",
    )


def altered(name: str, applied: int, **skipped: int) -> AlterationManifest:
    return AlterationManifest(name=name, parameters={}, applied=applied, skipped=skipped)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(manifest(1, 1), "1 task from 1 source", id="one"),
        pytest.param(manifest(1000, 3), "1000 tasks from 3 sources", id="no alterations"),
        pytest.param(
            manifest(1000, 3, altered("Rewrite", 812, too_similar=85, value_lost=103)),
            "1000 tasks from 3 sources; Rewrite changed 812 of 1000 (103 value_lost, 85 too_similar)",
            id="most frequent reason first",
        ),
        pytest.param(
            manifest(10, 2, altered("ToolShuffle", 10), altered("Irrelevance", 2, not_chosen=6, expects_no_call=2)),
            "10 tasks from 2 sources; ToolShuffle changed 10 of 10; Irrelevance changed 2 of 10 (2 expects_no_call)",
            id="what percent left out is no reason",
        ),
        pytest.param(
            manifest(4, 1, altered("Rewrite", 0, b=2, a=2)),
            "4 tasks from 1 source; Rewrite changed 0 of 4 (2 a, 2 b)",
            id="nothing changed, equal counts by name",
        ),
    ],
)
def test_describe(found: TaskSetManifest, expected: str) -> None:
    assert describe(found) == expected


def test_the_job_says_it(tmp_path: Path) -> None:
    tasks = {"sources": [{"bfcl": {"categories": ["multiple"]}}], "count": 5, "seed": "1"}
    tasks["alterations"] = [{"toolShuffle": {}}]
    summary = handle(TaskSetJob.model_validate({"tasks": tasks, "outDir": str(tmp_path)})).summary
    assert isinstance(summary, TaskSetSummary)
    assert summary.message.startswith("5 tasks from 1 source; ToolShuffle changed ")
