"""The verbs that bring up a part of the demo, and take it away."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bitagent_local.demo import __main__ as demo
from bitagent_local.demo import images, removal, stack
from bitagent_local.demo.kubectl import Kubectl
from bitagent_local.demo.phases import Phases


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> stack.Stack:
    """A stack whose images are called by their names, and that fails when a tool is run."""
    monkeypatch.setenv("BITAGENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BITAGENT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("KUBECONFIG", "")
    nothing = tmp_path / "nothing"
    found = stack.Stack(Kubectl(nothing, nothing), nothing, nothing)

    def named(phases: Phases, title: str, verb: str, names: list[str]) -> dict[str, str]:
        return {name: f"registry/{name}" for name in names}

    def cluster(phases: Phases, roles: Sequence[str]) -> tuple[stack.Stack, dict[str, str]]:
        return found, images.push_all(phases, roles)

    monkeypatch.setattr(images, "_images", named)
    monkeypatch.setattr(demo, "local_cluster", cluster)
    return found


def test_the_world_alone_is_chain_and_hub(
    made: stack.Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed: list[tuple[Any, str]] = []
    monkeypatch.setattr(stack, "install_world", lambda on, *, image: installed.append((on, image)))
    assert demo.main(["world"]) == 0
    assert installed == [(made, "registry/world")]
    assert "ws://chain.bitagent-world:9944" in capsys.readouterr().out


def test_the_whole_demo_has_an_image_for_each_role(made: stack.Stack, tmp_path: Path) -> None:
    assert images.push_all(Phases(tmp_path)) == {role: f"registry/{name}" for role, name in images.ROLES.items()}


@pytest.mark.parametrize("own", [True, False], ids=["the node's", "another's"])
def test_down_takes_the_node_away_or_asks(
    made: stack.Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    did: list[str] = []
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / ("state/admin.kubeconfig" if own else "theirs")))
    monkeypatch.setattr(demo, "tear_down", lambda node: did.append("node"))
    monkeypatch.setattr(demo, "foreign_stack", lambda kubeconfig: made)
    monkeypatch.setattr(removal, "confirm", lambda kubectl: did.append("asked"))
    monkeypatch.setattr(removal, "remove", lambda stack, report: did.append("removed"))
    assert demo.main(["down"]) == 0
    assert did == (["node"] if own else ["asked", "removed"])
