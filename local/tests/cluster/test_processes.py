"""Processes of components: why one did not start, and which one is which."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bitagent_local.cluster.host import ClusterError
from bitagent_local.cluster.processes import (
    Component,
    Record,
    Running,
    log_tail,
    remember,
    remembered,
    start,
    started_at,
    wait_ready,
)


def component(tmp_path: Path, code: str) -> Component:
    return Component("thing", [sys.executable, "-c", code], tmp_path / "log" / "thing.log")


def test_a_component_that_ends_is_reported_with_its_log(tmp_path: Path) -> None:
    running = start(component(tmp_path, "print('no port'); raise SystemExit(3)"))
    with pytest.raises(ClusterError, match=r"thing: it ended with status 3; its log is .*thing\.log:\n    no port"):
        wait_ready(running, lambda: "not yet", seconds=20)


def test_a_component_that_is_late_is_reported_with_what_is_missing(tmp_path: Path) -> None:
    running = start(component(tmp_path, "import time; time.sleep(60)"))
    try:
        with pytest.raises(ClusterError, match=r"not ready within 0\.1 s: no answer"):
            wait_ready(running, lambda: "no answer", seconds=0.1)
    finally:
        running.process.kill()
        running.process.wait()


def test_waiting_ends_when_nothing_is_missing(tmp_path: Path) -> None:
    running = start(component(tmp_path, "import time; time.sleep(60)"))
    answers = iter(["first", "second", None])
    try:
        wait_ready(running, lambda: next(answers), seconds=20)
        assert next(answers, "exhausted") == "exhausted"
    finally:
        running.process.kill()
        running.process.wait()


def test_a_prefix_becomes_the_component(tmp_path: Path) -> None:
    made = component(tmp_path, "import os; print(os.getpid())")
    running: Running = start(made, prefix=["env", "X=1"])
    running.process.wait()
    assert made.log.read_text().strip() == str(running.pid)


def test_log_tail_of_nothing(tmp_path: Path) -> None:
    assert log_tail(tmp_path / "none") == ""


def test_records_tell_processes_apart(tmp_path: Path) -> None:
    remember(tmp_path, "me", os.getpid())
    (record,) = remembered(tmp_path)
    assert record.alive()
    assert not Record("me", record.pid, record.started - 1).alive()


def test_what_is_left_of_a_process_is_not_alive() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # It has ended, and its status was not read.
    assert started_at(process.pid) is None
    process.wait()
    assert started_at(process.pid) is None
