"""Cgroups of version 1 and 2, on folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_local.cluster.cgroups import node_cgroups
from bitagent_local.cluster.host import ClusterError


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
    for name in ("cpuset.cpus", "cpuset.mems"):  # On a real cgroup the kernel's files do not prevent removal.
        (version_1 / "cpuset" / "node" / name).unlink()
    cgroups.remove()
    assert cgroups.existing() == []


def test_a_machine_without_cgroups_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="neither cgroup v2 nor"):
        node_cgroups("node", mount=tmp_path)
