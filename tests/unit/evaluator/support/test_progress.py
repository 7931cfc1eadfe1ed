"""Progress for another thread: phases, counts, rates, and how long nothing has happened."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from bitagent_crds.progress import EvaluationPhase
from bitagent_evaluator.support.activity import Activity, activity
from bitagent_evaluator.support.progress import ProgressBoard

LOADING, GENERATING, SCORING = EvaluationPhase


@dataclass
class World:
    """A clock and counters that a test moves."""

    now: float = 0.0
    cpu: float = 0.0
    read: int = 0

    def board(self) -> ProgressBoard:
        return ProgressBoard(clock=lambda: self.now, measure=lambda: Activity(self.cpu, self.read))


def test_counts_and_rate_of_what_this_attempt_generates() -> None:
    world = World()
    board = world.board()
    board.start_phase("loading", LOADING)
    world.now = 60
    board.start_phase("generating", GENERATING)
    board.update(100, 400)  # those of an earlier attempt
    world.now = 70
    board.update(150, 400, 2000)
    found = board.document()
    assert (found.phase, found.done, found.total, found.tokens) == (GENERATING, 150, 400, 2000)
    assert (found.tokens_per_second, found.idle_seconds) == (200.0, 0.0)


@pytest.mark.parametrize(
    ("phase", "cpu", "read", "idle"),
    [
        pytest.param(LOADING, 0.1, 0, 100.0, id="asleep, such as in a read that never returns"),
        pytest.param(LOADING, 50.0, 0, 0.0, id="computes"),
        pytest.param(LOADING, 0.1, 1 << 30, 0.0, id="reads weights"),
        pytest.param(SCORING, 50.0, 0, 0.0, id="computes verdicts"),
        pytest.param(GENERATING, 50.0, 1 << 30, 100.0, id="an engine that computes and ends no step"),
    ],
)
def test_work_between_two_looks_is_progress_outside_of_generating(
    phase: EvaluationPhase, cpu: float, read: int, idle: float
) -> None:
    world = World()
    board = world.board()
    board.start_phase("it", phase)
    world.now, world.cpu, world.read = 100.0, cpu, read
    assert board.document().idle_seconds == idle


def test_a_step_of_the_engine_is_progress() -> None:
    world = World()
    board = world.board()
    board.start_phase("generating", GENERATING)
    world.now = 90
    board.step()
    world.now = 100
    assert board.document().idle_seconds == 10.0


def test_the_next_model_begins_with_nothing() -> None:
    world = World()
    board = world.board()
    board.start_model("k1")
    board.start_phase("generating", GENERATING)
    board.update(7, 9, 100)
    world.now = 50
    board.start_model("k2")
    found = board.document()
    assert (found.key, found.phase, found.done, found.tokens, found.tokens_per_second) == ("k2", LOADING, 0, 0, 0.0)
    assert found.idle_seconds == 0.0


def test_what_a_child_computes_counts() -> None:
    before = activity()
    code = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\ninput()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        while activity().cpu_seconds - before.cpu_seconds < 0.25:
            assert child.poll() is None
    finally:
        child.communicate(b"\n")


def test_what_this_process_reads_counts(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(bytes(1 << 20))
    before = activity()
    (tmp_path / "weights").read_bytes()
    assert activity().bytes_read - before.bytes_read >= 1 << 20


def test_without_proc_nothing_is_known(tmp_path: Path) -> None:
    assert activity(proc=tmp_path / "missing") == Activity(0.0, 0)
