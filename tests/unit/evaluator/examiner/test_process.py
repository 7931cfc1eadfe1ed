"""The real examiner, as its container runs it: official tasks, a scorer that is killed, processes that stay behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.unit.evaluator.examiner.conftest import right_answer

from bitagent_crds.examiner import (
    REPLY_BYTES,
    ExaminerReason,
    ExaminerReply,
    ExaminerRequest,
    Pool,
    ScoreRequest,
    TaskRequest,
    bounded_answer,
)
from bitagent_crds.task_forms import Language

if TYPE_CHECKING:
    from tests.unit.evaluator.examiner.conftest import Volume


class Examiner:
    """The process, and one connection to it."""

    def __init__(self, root: Path, path: Path) -> None:
        command = [sys.executable, "-m", "bitagent_evaluator.cli.app", "examiner"]
        environment = os.environ | {"A_SECRET": "s3cret"}
        self.process = subprocess.Popen(
            [*command, "--socket", str(path), "--artifacts", str(root)], env=environment, stderr=subprocess.PIPE
        )
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        until(path.exists)
        until(lambda: self._socket.connect_ex(str(path)) == 0)
        self._lines = self._socket.makefile("rwb")

    def send(self, request: ExaminerRequest) -> ExaminerReply:
        self._lines.write(request.line())
        self._lines.flush()
        return ExaminerReply.read(self._lines.readline(REPLY_BYTES + 1), limit=REPLY_BYTES)

    def task(self, pool: Pool, seed: str) -> ExaminerReply:
        return self.send(ExaminerRequest(task=TaskRequest(pool=pool, seed=seed)))

    def score(self, pool: Pool, task: str, answer: str) -> ExaminerReply:
        request = ScoreRequest(pool=pool, task_id=task, answer=bounded_answer(answer))
        return self.send(ExaminerRequest(score=request))

    def children(self) -> list[int]:
        return children_of(self.process.pid)

    def close(self) -> None:
        self._lines.close()
        self._socket.close()
        self.process.kill()
        self.process.communicate()


def children_of(pid: int) -> list[int]:
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text().split()]


def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)  # the state of another process: there is no event to wait for


@pytest.fixture
def examiner(volume: Volume, tmp_path: Path) -> Iterator[Examiner]:
    made = Examiner(volume.root, tmp_path / "examiner.sock")
    yield made
    made.close()


def scored(reply: ExaminerReply) -> float | None:
    return reply.verdict.score if reply.verdict is not None else None


def test_official_tasks_from_end_to_end(examiner: Examiner, volume: Volume) -> None:
    for seed in map(str, range(20)):
        asked = examiner.task(volume.pool, seed)
        assert asked.task is not None
        task = volume.tasks[asked.task.id]
        if task.language is Language.PYTHON:
            assert scored(examiner.score(volume.pool, task.id, right_answer(task))) == 1.0
        assert scored(examiner.score(volume.pool, task.id, "\x00" * (1 << 20))) == 0.0


def test_a_killed_scorer_is_replaced(examiner: Examiner, volume: Volume) -> None:
    task = volume.first()
    assert scored(examiner.score(volume.pool, task.id, right_answer(task))) == 1.0
    (scorer,) = examiner.children()
    assert b"s3cret" not in Path(f"/proc/{scorer}/environ").read_bytes()
    os.kill(scorer, signal.SIGKILL)
    assert scored(examiner.score(volume.pool, task.id, right_answer(task))) == 1.0
    assert scorer not in examiner.children()


def test_scorers_that_cannot_start_are_an_error_by_name(volume: Volume, tmp_path: Path) -> None:
    """Every process is killed before it answers, as where the container has no memory left."""
    examiner = Examiner(volume.root, tmp_path / "examiner.sock")
    pid = examiner.process.pid
    killer = subprocess.Popen([sys.executable, "-c", _KILLER, str(pid)], stdout=subprocess.PIPE, text=True)
    try:
        assert killer.stdout is not None
        killer.stdout.readline()
        reply = examiner.score(volume.pool, volume.first().id, "x")
        assert reply.error is not None
        assert reply.error.reason is ExaminerReason.SCORER_LOST
        assert examiner.task(volume.pool, "1").task is not None, "the examiner lives"
    finally:
        killer.kill()
        killer.communicate()
        examiner.close()


_KILLER = """
import os, signal, sys, time
from pathlib import Path
print("ready", flush=True)
while True:
    for file in Path(f"/proc/{sys.argv[1]}/task").glob("*/children"):
        try:
            for child in file.read_text().split():
                os.kill(int(child), signal.SIGKILL)
        except OSError:
            continue
    time.sleep(0.005)
"""


def test_sandboxes_of_a_killed_scorer_do_not_stay_behind(examiner: Examiner, volume: Volume) -> None:
    """A scorer compares Java in a process of its own, which the examiner inherits when the scorer is killed."""
    task = volume.first(language=Language.JAVA)
    examiner.score(volume.pool, task.id, right_answer(task))
    (scorer,) = examiner.children()
    (inner,) = children_of(scorer)
    os.kill(scorer, signal.SIGKILL)
    until(lambda: inner in examiner.children())
    until(lambda: "State:\tZ" in Path(f"/proc/{inner}/status").read_text())
    examiner.score(volume.pool, task.id, right_answer(task))
    assert inner not in examiner.children()
    assert len(examiner.children()) == 1


def test_it_ends_when_the_pod_does(examiner: Examiner, volume: Volume) -> None:
    examiner.score(volume.pool, volume.first().id, "x")
    (scorer,) = examiner.children()
    examiner.process.send_signal(signal.SIGTERM)
    assert examiner.process.wait(60) == 0
    until(lambda: not Path(f"/proc/{scorer}").exists())
