"""A pool of official tasks on a volume, and requests to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.examiner import (
    ExaminerReply,
    ExaminerRequest,
    Pool,
    ScoreRequest,
    TaskRequest,
    TaskSetFiles,
    Timing,
)
from bitagent_crds.names import task_set_path
from bitagent_crds.task_forms import Expects, Language
from bitagent_crds.task_set import Task
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.examiner.server import Examiner
from bitagent_evaluator.parsing.render import render_calls
from bitagent_evaluator.scoring.bfcl import expected_calls
from bitagent_evaluator.tasks.build import build_task_set
from bitagent_evaluator.tasks.files import read_tasks

UID = "5f0c0a52-0000-4000-8000-000000000001"
CATEGORIES = (
    *("simple_python", "multiple", "parallel", "irrelevance", "live_relevance", "simple_java", "simple_javascript"),
    "multi_turn_base",
)


@dataclass(frozen=True)
class Volume:
    """An artifact volume with one task set."""

    root: Path
    pool: Pool
    tasks: dict[str, Task]

    @property
    def files(self) -> TaskSetFiles:
        return TaskSetFiles(round_uid=self.pool.round_uid, digest=self.pool.digest)

    def of(self, scorer: str) -> Pool:
        return self.pool.model_copy(update={"scorer": scorer})

    def first(self, expects: Expects = Expects.CALLS, language: Language = Language.PYTHON, calls: int = 1) -> Task:
        return next(
            task
            for task in self.tasks.values()
            if task.expects is expects
            and task.language is language
            and task.variation is None
            and (expects is not Expects.CALLS or len(task.ground_truth or []) == calls)
        )


def right_answer(task: Task) -> str:
    if task.expects is Expects.NO_CALL:
        return "None of the tools fits."
    return "[f(a=1)]" if task.expects is Expects.ANY_CALL else render_calls(expected_calls(task), task.language)


def score(examiner: Examiner, pool: Pool, task: str, answer: str, timing: Timing | None = None) -> ExaminerReply:
    request = ScoreRequest(pool=pool, task_id=task, answer=answer, timing=timing)
    return examiner.reply(ExaminerRequest(score=request).line())


def ask(examiner: Examiner, pool: Pool, seed: str) -> ExaminerReply:
    return examiner.reply(ExaminerRequest(task=TaskRequest(pool=pool, seed=seed)).line())


def built(root: Path, *, uid: str = UID, count: int = 120, seed: str = "1", **more: Any) -> Volume:
    spec = {"sources": [{"bfcl": {"categories": [each]}} for each in CATEGORIES], "count": count, "seed": seed} | more
    folder = root / task_set_path(uid)
    manifest = build_task_set(Tasks.model_validate(spec), files={}, out=folder)
    pool = Pool(round_uid=uid, digest=manifest.digest)
    return Volume(root, pool, {task.id: task for task in read_tasks(folder)})


@pytest.fixture(scope="session")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    return built(tmp_path_factory.mktemp("artifacts"))
