"""Processes and cgroups: knowing one's own, and saying why one did not start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bitagent_local.cluster.cgroups import node_cgroups
from bitagent_local.cluster.errors import ClusterError, log_tail
from bitagent_local.cluster.processes import Component, Running, start, wait_ready
from bitagent_local.cluster.records import Record, remember, remembered, started_at


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
        assert next(answers, "all asked") == "all asked"
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
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # It has ended, and nobody has asked how.
    assert started_at(process.pid) is None
    process.wait()
    assert started_at(process.pid) is None


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    for controller in ("pids", "memory", "cpuset"):
        (tmp_path / controller).mkdir()
    (tmp_path / "cpu").symlink_to("memory")
    for name, text in (("cpuset.cpus", "0-1"), ("cpuset.mems", "0")):
        (tmp_path / "cpuset" / name).write_text(text)
        (tmp_path / "cpuset" / "node").mkdir(exist_ok=True)
        (tmp_path / "cpuset" / "node" / name).write_text("")
    return tmp_path


def test_cgroups_of_version_1(version_1: Path) -> None:
    cgroups = node_cgroups("node", mount=version_1)
    assert not cgroups.unified
    assert [path.name for path in cgroups.hierarchies] == ["cpuset", "memory", "pids"]
    cgroups.create()
    cgroups.create()
    assert (version_1 / "memory" / "node").is_dir()
    assert (version_1 / "cpuset" / "node" / "cpuset.cpus").read_text() == "0-1"
    assert cgroups.system == version_1 / "pids" / "node" / "system" / "cgroup.procs"


def test_processes_of_all_groups_are_found(version_1: Path) -> None:
    cgroups = node_cgroups("node", mount=version_1)
    cgroups.create()
    cgroups.system.write_text("11\n12\n")
    pod = version_1 / "pids" / "node" / "kubepods" / "pod1"
    pod.mkdir(parents=True)
    (pod / "cgroup.procs").write_text("21\n")
    assert sorted(cgroups.processes()) == [11, 12, 21]


def test_cgroups_of_version_2_hand_controllers_down(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory rdma pids\n")
    (tmp_path / "node").mkdir()
    (tmp_path / "node" / "cgroup.controllers").write_text("cpu memory pids\n")
    cgroups = node_cgroups("node", mount=tmp_path)
    assert cgroups.unified
    cgroups.create()
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpuset +cpu +io +memory +pids"
    assert (tmp_path / "node" / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert cgroups.system.parent.is_dir()


def test_removal_takes_groups_from_below(version_1: Path) -> None:
    cgroups = node_cgroups("node", mount=version_1)
    (version_1 / "memory" / "node" / "a" / "b").mkdir(parents=True)
    (version_1 / "pids" / "node" / "system").mkdir(parents=True)
    for name in ("cpuset.cpus", "cpuset.mems"):  # The kernel's own files never hinder it.
        (version_1 / "cpuset" / "node" / name).unlink()
    cgroups.remove()
    assert cgroups.existing() == []


def test_a_machine_without_cgroups_is_told(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="neither cgroup v2 nor"):
        node_cgroups("node", mount=tmp_path)
