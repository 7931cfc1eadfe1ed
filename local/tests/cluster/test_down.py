"""Tearing down what is not there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bitagent_local.cluster.down import tear_down
from bitagent_local.cluster.node import Node


@pytest.mark.skipif(shutil.which("ip") is None, reason="needs the ip command")
def test_teardown_removes_only_a_nodes_folder(tmp_path: Path) -> None:
    node = Node(cache=tmp_path / "cache", state=tmp_path / "precious", scope="no-such-node")
    node.state.mkdir()
    (node.state / "file").write_text("kept")
    tear_down(node)
    assert (node.state / "file").read_text() == "kept"
