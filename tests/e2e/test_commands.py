"""`kubectl bitagent` on a real kubelet: files of a round, its report, logs, and what a doctor finds by its probes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kit import Cluster

from bitagent_local.demo.stack import NAMESPACE

pytestmark = pytest.mark.e2e


def bitagent(cluster: Cluster, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a plugin of the real kubectl."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    kubectl = cluster.node.cache / "bin" / "kubectl"
    environment = os.environ | {"PATH": path, "KUBECONFIG": str(cluster.node.kubeconfig)}
    command = [str(kubectl), "bitagent", *words, "-n", NAMESPACE]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


def test_the_files_of_a_round_come_from_the_volume(
    cluster: Cluster, demo_round: dict[str, Any], tmp_path: Path
) -> None:
    name, folder = demo_round["metadata"]["name"], tmp_path / "round"
    done = bitagent(cluster, "fetch", name, str(folder))
    assert done.returncode == 0, done.stderr
    there = cluster.results_dir(demo_round)
    assert (folder / "tasks" / "tasks.jsonl").read_bytes() == (there / "tasks" / "tasks.jsonl").read_bytes()
    assert {p.parent.name for p in folder.glob("results/*/manifest.json")} == {
        p.parent.name for p in there.glob("results/*/manifest.json")
    }
    assert not [pod for pod in cluster.items("pods") if "-files-" in pod["metadata"]["name"] and running(pod)]


def running(pod: dict[str, Any]) -> bool:
    return "deletionTimestamp" not in pod["metadata"]


def test_the_report_is_made_by_the_rounds_own_evaluator(
    cluster: Cluster, demo_round: dict[str, Any], tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    done = bitagent(cluster, "report", demo_round["metadata"]["name"], "--out", str(page))
    assert done.returncode == 0, done.stderr
    assert "tiny-fc-1200" in page.read_text()


def test_a_doctor_sees_that_policies_are_enforced(cluster: Cluster, demo_round: dict[str, Any]) -> None:
    done = bitagent(cluster, "doctor", "--probe", "-o", "json")
    found = json.loads(done.stdout)["findings"]
    levels = {(each["area"], each["text"].split(":")[0]): each["level"] for each in found}
    assert levels["policies", "they are enforced"] == "ok", found
    assert [each["level"] for each in found if each["area"] == "hub"] == ["ok"], found
    assert not [each for each in found if each["level"] == "bad"]
    assert done.returncode == 0


def test_logs_and_the_story_of_a_round(cluster: Cluster, demo_round: dict[str, Any]) -> None:
    name = demo_round["metadata"]["name"]
    assert f"{name}-tasks" in bitagent(cluster, "logs", f"er/{name}").stdout
    story = bitagent(cluster, "explain", "er", name).stdout
    assert "Complete" in story.splitlines()[0]
    assert "where the time went" in story
