"""Which cluster the demo works on."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_local.cluster.node import Node
from bitagent_local.demo.toolchain import foreign_kubeconfig


@pytest.mark.parametrize(
    ("chosen", "foreign"),
    [
        pytest.param("", False, id="none"),
        pytest.param("admin.kubeconfig", False, id="the node's own"),
        pytest.param("link", False, id="a link to it"),
        pytest.param("other", True, id="another"),
    ],
)
def test_the_nodes_own_kubeconfig_means_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: str, foreign: bool
) -> None:
    """Whether the node runs or is gone."""
    monkeypatch.setenv("BITAGENT_STATE", str(tmp_path))
    (tmp_path / "link").symlink_to(Node().kubeconfig)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / chosen) if chosen else "")
    assert foreign_kubeconfig() == (tmp_path / chosen if foreign else None)
