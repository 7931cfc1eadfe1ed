"""Files of a round: a pod is made, commands run in it for real, and it is removed whatever happens."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_cli.parser import Exit

if TYPE_CHECKING:
    from tests.integration.cli.conftest import Cluster

pytestmark = pytest.mark.integration

RECORDED = Path(__file__).parents[2] / "golden" / "recorded" / "results"


def digest(file: Path) -> str:
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


@pytest.fixture
def volume(cluster: Cluster, tmp_path: Path) -> Path:
    """The folder of a round on the artifact volume, with real results."""
    folder = tmp_path / "volume"
    shutil.copytree(RECORDED / "calls", folder / "tasks")
    for key, name in (("k1", "calls-tiny-fc-1200"), ("k2", "calls-tiny-fc-400")):
        shutil.copytree(RECORDED / name, folder / "results" / key)
    pages = tmp_path / "pages"
    programs = {name: str(Path(sys.executable).parent / name) for name in ("bitagent-eval", "python3")}
    cluster.kubelet.replaced = {"/round": str(folder), "/tmp/pages": str(pages), **programs}
    return folder


def status(folder: Path) -> dict[str, Any]:
    keys = {"a": "k1", "b": "k2"}
    manifests = {model: folder / "results" / key / "manifest.json" for model, key in keys.items()}
    results: list[dict[str, Any]] = [
        {"model": model, "state": "Succeeded", "key": key, "resultDigest": digest(manifests[model])}
        for model, key in keys.items()
    ]
    results.append({"model": "c", "state": "Rejected", "reason": "NoSafetensors"})
    task_set = {"digest": digest(folder / "tasks" / "tasks.jsonl"), "count": 2, "uri": "pvc://files/rounds/u/tasks"}
    return {
        "phase": "Complete",
        "artifacts": "pvc://files/rounds/u",
        "image": "registry.example.org/evaluator@sha256:1",
        "taskSet": task_set,
        "results": results,
    }


def test_the_files_of_a_round(cluster: Cluster, volume: Path, tmp_path: Path) -> None:
    cluster.round("r", status(volume))
    (volume / "tasks" / "link").symlink_to("/etc/passwd")
    os.mkfifo(volume / "results" / "k1" / "pipe")
    target = tmp_path / "here" / "r"
    done = cluster.run("fetch", "r", str(target))
    assert (done.code, "Traceback" in done.err) == (Exit.DONE, False), done.err
    assert (target / "tasks" / "tasks.jsonl").read_bytes() == (volume / "tasks" / "tasks.jsonl").read_bytes()
    assert {path.name for path in (target / "results").iterdir()} == {"k1", "k2"}
    assert not (target / "tasks" / "link").exists()
    assert not (target / "results" / "k1" / "pipe").exists()
    assert json.loads((target / "round.json").read_text())["metadata"]["name"] == "r"
    (pod,) = cluster.kubelet.made
    spec = pod["spec"]
    claim = next(v["persistentVolumeClaim"] for v in spec["volumes"] if "persistentVolumeClaim" in v)
    assert claim == {"claimName": "files", "readOnly": True}
    assert spec["containers"][0]["image"] == "registry.example.org/evaluator@sha256:1"
    assert spec["containers"][0]["volumeMounts"][0]["subPath"] == "rounds/u"
    assert spec["automountServiceAccountToken"] is False
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "EvalRound"
    left = cluster.api.get(cluster.path("pods"))["items"]
    assert all("deletionTimestamp" in each["metadata"] for each in left)
    again = cluster.run("fetch", "r", str(target))
    assert (again.code, "is not empty" in again.err) == (Exit.FAILED, True)


def test_one_model_without_tasks_and_a_bound(cluster: Cluster, volume: Path, tmp_path: Path) -> None:
    cluster.round("r", status(volume))
    done = cluster.run("fetch", "r", str(tmp_path / "one"), "--model", "b", "--no-tasks")
    assert done.code == Exit.DONE
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["results", "round.json"]
    assert [path.name for path in (tmp_path / "one" / "results").iterdir()] == ["k2"]
    small = cluster.run("fetch", "r", str(tmp_path / "two"), "--max-bytes", "1000")
    assert (small.code, "--max-bytes" in small.err) == (Exit.FAILED, True)
    refused = cluster.run("fetch", "r", str(tmp_path / "three"), "--model", "c")
    assert (refused.code, "NoSafetensors" in refused.err) == (Exit.FAILED, True)


def test_other_bytes_than_the_round_recorded_are_said(cluster: Cluster, volume: Path, tmp_path: Path) -> None:
    cluster.round("r", status(volume))
    (volume / "results" / "k1" / "manifest.json").write_text("{}")
    done = cluster.run("fetch", "r", str(tmp_path / "r"))
    assert (done.code, "is not what the round recorded" in done.err) == (Exit.NEGATIVE, True)


def test_a_report_is_made_in_the_pod(cluster: Cluster, volume: Path, tmp_path: Path) -> None:
    cluster.round("r", status(volume))
    page = tmp_path / "r.html"
    done = cluster.run("report", "r", "--out", str(page))
    assert done.code == Exit.DONE, done.err
    assert page.read_text().lower().startswith("<!doctype html>")
    assert [words[0] for words in cluster.kubelet.commands] == ["mkdir", "bitagent-eval", "python3"]
    assert not list(tmp_path.glob(".report-*"))


def test_a_pod_that_cannot_run_is_removed(cluster: Cluster, volume: Path, tmp_path: Path) -> None:
    cluster.kubelet.keeps = lambda pod: {"reason": "ImagePullBackOff", "message": "no such image"}
    cluster.round("r", status(volume))
    done = cluster.run("fetch", "r", str(tmp_path / "r"), "--timeout", "2")
    assert (done.code, "no such image" in done.err) == (Exit.FAILED, True)
    assert all("deletionTimestamp" in pod["metadata"] for pod in cluster.api.get(cluster.path("pods"))["items"])


def interruptible() -> None:
    """Undo what a shell does to processes in the background, which ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupted_command_removes_its_pod(cluster: Cluster, volume: Path, tmp_path: Path) -> None:
    cluster.kubelet.keeps = lambda pod: {"reason": "ContainerCreating", "message": ""}
    cluster.round("r", status(volume))
    words = ["fetch", "r", str(tmp_path / "r"), "-n", cluster.namespace, "--kubeconfig", str(cluster.kubeconfig)]
    command = [sys.executable, "-m", "bitagent_cli.main", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible)
    assert process.stderr is not None
    assert "reads files" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, "stopped" in said) == (Exit.FAILED, True), said
    assert all("deletionTimestamp" in pod["metadata"] for pod in cluster.api.get(cluster.path("pods"))["items"])


def test_removed_files_are_named_with_their_archive(cluster: Cluster, tmp_path: Path) -> None:
    archive = {"uri": "s3://b/r", "digest": "sha256:" + "0" * 64, "at": "2026-12-01T00:00:00Z"}
    files = {"freeBytes": 1, "checkedAt": "2026-12-01T00:00:00Z", "removedAt": "2026-12-01T00:00:00Z"}
    cluster.round("r", {"artifacts": "pvc://files/rounds/u", "archive": archive, "files": files})
    done = cluster.run("fetch", "r", str(tmp_path / "r"))
    assert (done.code, "its archive is s3://b/r" in done.err) == (Exit.FAILED, True)
    assert not (tmp_path / "r").exists()
