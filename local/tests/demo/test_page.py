"""Where the demo says that its public page is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bitagent_local.cluster.host import SOURCES
from bitagent_local.demo import __main__ as demo
from bitagent_local.demo import page
from bitagent_local.demo.kubectl import Kubectl
from bitagent_local.demo.stack import Stack

SERVICE = '{"spec": {"clusterIP": "10.97.1.2"}}'


@pytest.fixture
def made(tmp_path: Path) -> Stack:
    """A cluster whose kubectl answers with what the files `rollout` and `get` beside it say, and fails without."""
    binary = tmp_path / "kubectl"
    binary.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\nexec cat {tmp_path}/"$1"\n')
    binary.chmod(0o755)
    return Stack(Kubectl(binary, tmp_path / "kubeconfig"), tmp_path / "helm", tmp_path / "python")


@pytest.mark.parametrize(
    ("local", "address", "command"),
    [
        pytest.param(True, "http://10.97.1.2/", "ssh -L 8000:10.97.1.2:80", id="the local node"),
        pytest.param(
            False,
            "http://127.0.0.1:8000/",
            "kubectl port-forward -n bitagent svc/bitagent-operator-leaderboard 8000:80",
            id="another cluster",
        ),
    ],
)
def test_a_page_that_is_ready_has_an_address_of_this_machine(
    made: Stack, tmp_path: Path, local: bool, address: str, command: str
) -> None:
    (tmp_path / "rollout").write_text("rolled out")
    (tmp_path / "get").write_text(SERVICE)
    text = page.lines(made, local=local)
    assert address in text.split()
    assert command in text
    assert f"deploy/{page.NAME} -n bitagent --timeout={page.WAIT_SECONDS}s" in (tmp_path / "asked").read_text()


@pytest.mark.parametrize("missing", ["rollout", "get"])
def test_a_page_that_is_not_ready_is_said_to_be_so(made: Stack, tmp_path: Path, missing: str) -> None:
    (tmp_path / "rollout").write_text("rolled out")
    (tmp_path / "get").write_text(SERVICE)
    (tmp_path / missing).unlink()
    text = page.lines(made, local=True, seconds=1)
    assert "not ready" in text
    assert "http://" not in text


@pytest.mark.parametrize("verb", ["up", "status"])
@pytest.mark.parametrize("status", [0, 1], ids=["a round is shown", "no round is shown"])
def test_the_demo_ends_with_the_page_and_its_status_is_that_of_the_round(
    made: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: str, status: int
) -> None:
    monkeypatch.setenv("KUBECONFIG", "")
    monkeypatch.setattr(demo, "local_world", lambda phases: made)
    monkeypatch.setattr(demo, "existing", lambda: made)
    monkeypatch.setattr(demo, "show", lambda made, **_: status)
    monkeypatch.setattr(page, "lines", lambda made, **_: "the page")
    assert demo.main([verb]) == status
    assert capsys.readouterr().out.rstrip().endswith("the page")


@pytest.mark.parametrize("name", ["values-local.yaml", "values-cluster.yaml"])
def test_the_demos_release_has_the_page_open_to_this_machine(name: str) -> None:
    values = yaml.safe_load((SOURCES.parent / "examples" / "demo" / name).read_text())
    chart = yaml.safe_load((SOURCES.parent / "charts" / "bitagent-operator" / "values.yaml").read_text())
    assert (chart["leaderboard"] | values["leaderboard"])["enabled"] is True
    assert {"ipBlock": {"cidr": "0.0.0.0/0"}} in (chart["leaderboard"] | values["leaderboard"])["from"]
