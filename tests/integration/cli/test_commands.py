"""The verbs that read and write the three kinds, and show logs, on a real API server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_cli.parser import Exit

if TYPE_CHECKING:
    from tests.integration.cli.conftest import Cluster

pytestmark = pytest.mark.integration

NOW = "2026-12-01T00:00:00Z"


def condition(kind: str, status: str, reason: str, message: str = "", generation: int = 1) -> dict[str, Any]:
    found = {"type": kind, "status": status, "reason": reason, "message": message}
    return found | {"lastTransitionTime": NOW, "observedGeneration": generation}


FAILED = {
    "observedGeneration": 1,
    "phase": "Failed",
    "startedAt": NOW,
    "finishedAt": NOW,
    "results": [
        {"model": "a", "state": "Succeeded", "reason": "Evaluated", "score": "0.500000", "passed": 1},
        {"model": "b", "state": "InfraFault", "reason": "ImagePullFailed", "message": "no \x1b[2J image"},
    ],
    "conditions": [
        condition("Ready", "False", "InfrastructureFaults"),
        condition("Stalled", "True", "InfrastructureFaults"),
        condition("Failed", "True", "InfrastructureFaults"),
    ],
}


def test_a_model_is_submitted_changed_and_waited_for(cluster: Cluster) -> None:
    first = cluster.run("submit", "acme/tiny", "--label", "team=red", "-o", "name")
    assert (first.code, first.out) == (Exit.DONE, "minermodels.bitagent.io/acme-tiny\n")
    path = cluster.path("minermodels", "acme-tiny")
    made = cluster.api.get(path)
    assert made["spec"]["source"] == {"huggingFace": {"repo": "acme/tiny", "revision": "main"}}
    assert made["metadata"]["labels"] == {"team": "red"}

    def operate() -> None:
        while cluster.api.get(path)["metadata"]["generation"] < 2:
            time.sleep(0.05)
        stale = [condition("Ready", "True", "Fetched", generation=1)]
        cluster.api.merge(f"{path}/status", {"status": {"observedGeneration": 1, "conditions": stale}})
        conditions = [
            condition("Ready", "False", "NoSafetensors", "pickle", 2),
            condition("Stalled", "True", "NoSafetensors", "pickle", 2),
        ]
        cluster.api.merge(f"{path}/status", {"status": {"observedGeneration": 2, "conditions": conditions}})

    worker = threading.Thread(target=operate)
    worker.start()
    changed = cluster.run("submit", "acme/tiny@v2", "--wait", "--timeout", "30")
    worker.join()
    assert changed.code == Exit.NEGATIVE
    assert "NoSafetensors" in changed.err
    assert cluster.api.get(path)["spec"]["source"]["huggingFace"]["revision"] == "v2"


def test_a_submission_that_is_refused_or_managed_elsewhere(cluster: Cluster) -> None:
    assert cluster.run("submit", "no-slash").code == Exit.USAGE
    dry = cluster.run("submit", "acme/tiny", "--dry-run", "--prompt-format", "ChatMl")
    assert (dry.code, "would be submitted" in dry.out) == (Exit.DONE, True)
    assert "did you mean ChatML?" in dry.err
    assert cluster.api.get(cluster.path("minermodels"))["items"] == []
    other = {"source": {"huggingFace": {"repo": "acme/tiny", "revision": "v9"}}}
    model = {"apiVersion": "bitagent.io/v1alpha1", "kind": "MinerModel", "metadata": {"name": "acme-tiny"}}
    cluster.api.apply(cluster.path("minermodels", "acme-tiny"), model | {"spec": other})
    conflict = cluster.run("submit", "acme/tiny")
    assert (conflict.code, "managed elsewhere" in conflict.err) == (Exit.FAILED, True)
    bad_label = cluster.run("submit", "acme/other", "--label", "a=b c")
    assert bad_label.code == Exit.FAILED
    assert "metadata.labels" in bad_label.err


def test_lists(cluster: Cluster) -> None:
    assert "there are no EvalRounds" in cluster.run("rounds").err
    cluster.round("one", FAILED, labels={"bitagent.io/validator": "v"})
    cluster.round("two")
    table = cluster.run("rounds").out.splitlines()
    assert [line.split()[0] for line in table] == ["NAME", "one", "two"]
    assert "Failed" in table[1]
    assert "VALIDATOR" in cluster.run("rounds", "-o", "wide").out
    assert cluster.run("rounds", "-l", "bitagent.io/validator=v", "-o", "name").out.split() == [
        "evalrounds.bitagent.io/one"
    ]
    alone = json.loads(cluster.run("rounds", "one", "-o", "json").out)
    assert (alone["kind"], alone["metadata"]["name"]) == ("EvalRound", "one"), "as kubectl, and plan --from-round"
    listed = json.loads(cluster.run("rounds", "one", "two", "-o", "json").out)
    assert [(item["kind"], item["metadata"]["name"]) for item in listed["items"]] == [
        ("EvalRound", "one"),
        ("EvalRound", "two"),
    ]
    assert cluster.namespace in cluster.run("rounds", "-A").out
    missing = cluster.run("models", "none")
    assert (missing.code, "there is no MinerModel none" in missing.err) == (Exit.FAILED, True)


def test_a_leaderboard(cluster: Cluster) -> None:
    assert "has results yet" in cluster.run("leaderboard").err
    cluster.round("one", FAILED)
    shown = cluster.run("leaderboard")
    assert [line.split()[0] for line in shown.out.splitlines()[1:]] == ["RANK", "a", "b"]
    document = json.loads(cluster.run("leaderboard", "one", "-o", "json").out)
    assert [result["model"] for result in document["results"]] == ["a", "b"]


def test_a_story(cluster: Cluster) -> None:
    obj = cluster.round("one", FAILED)
    event = {
        "metadata": {"name": "e1"}, "reason": "RoundFailed", "message": "it failed", "type": "Warning",
        "involvedObject": {
            "kind": "EvalRound", "name": "one", "namespace": cluster.namespace, "uid": obj["metadata"]["uid"],
            "apiVersion": "bitagent.io/v1alpha1",
        },
        "firstTimestamp": NOW, "lastTimestamp": NOW,
    }  # fmt: skip
    cluster.api.create(cluster.path("events"), event)
    shown = cluster.run("explain", "er", "one")
    assert shown.code == Exit.DONE
    assert "bitagent retry" in shown.out
    assert "RoundFailed: it failed" in shown.out
    assert "\x1b" not in shown.out
    document = json.loads(cluster.run("explain", "er", "one", "-o", "json").out)
    assert {each["reason"] for each in document["advice"]} == {"InfrastructureFaults", "ImagePullFailed"}
    absent = cluster.run("explain", "mm", "one")
    assert (absent.code, "there is no MinerModel one" in absent.err) == (Exit.FAILED, True)


def test_a_failed_round_is_retried_once(cluster: Cluster) -> None:
    cluster.round("fine", {"phase": "Running"})
    refused = cluster.run("retry", "fine")
    assert (refused.code, "has not failed" in refused.err) == (Exit.FAILED, True)
    cluster.round("one", FAILED)
    assert cluster.run("retry", "one").code == Exit.DONE
    assert cluster.api.get(cluster.path("evalrounds", "one"))["spec"]["retry"] == 1
    again = cluster.run("retry", "one")
    assert (again.code, "already" in again.err) == (Exit.FAILED, True)


def test_logs_of_all_pods_of_an_object(cluster: Cluster) -> None:
    cluster.round("r")
    cluster.kubelet.logs = {"main": "first\n\x1b[31mred\x1b[0m\n"}
    pod = {"spec": {"containers": [{"name": "main", "image": "x"}]}}
    for name in ("p1", "p2"):
        cluster.api.create(
            cluster.path("pods"), pod | {"metadata": {"name": name, "labels": {"bitagent.io/round": "r"}}}
        )
    deadline = time.monotonic() + 60
    while (done := cluster.run("logs", "er/r")).out.count("first") < 2:
        assert time.monotonic() < deadline, done
        time.sleep(0.1)
    assert done.out.splitlines()[:2] == ["p1/main first", "p1/main \\x1b[31mred\\x1b[0m"]
    assert cluster.run("logs", "nothing").code == Exit.FAILED
    assert cluster.run("logs", "r", "--since", "soon").code == Exit.USAGE
    cluster.make("minermodels", {"metadata": {"name": "r"}, "spec": {"source": {"huggingFace": {"repo": "a/b"}}}})
    several = cluster.run("logs", "r")
    assert (several.code, "er/r or mm/r" in several.err) == (Exit.FAILED, True)


def interruptible() -> None:
    """Undo what a shell does to processes in the background, which ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_logs_are_followed_to_pods_that_start_later(cluster: Cluster) -> None:
    cluster.round("r")
    cluster.kubelet.logs = {"main": "first\nlast"}
    words = ["logs", "r", "--follow", "-n", cluster.namespace, "--kubeconfig", str(cluster.kubeconfig)]
    command = [sys.executable, "-m", "bitagent_cli.main", *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible
    )
    assert process.stdout is not None
    for name in ("p1", "p2"):
        pod = {"metadata": {"name": name, "labels": {"bitagent.io/round": "r"}}}
        cluster.api.create(cluster.path("pods"), pod | {"spec": {"containers": [{"name": "main", "image": "x"}]}})
        assert [process.stdout.readline() for _ in range(2)] == [f"{name}/main first\n", f"{name}/main last\n"]
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in said) == (Exit.FAILED, False), said


def test_what_may_not_be_read_stops_nothing_else(cluster: Cluster, reader_kubeconfig: Path) -> None:
    cluster.round("one", FAILED)
    shown = cluster.run("explain", "er", "one", kubeconfig=reader_kubeconfig)
    assert shown.code == Exit.DONE
    assert "InfrastructureFaults" in shown.out
    assert "not read" in shown.out
    refused = cluster.run("retry", "one", kubeconfig=reader_kubeconfig)
    assert (refused.code, "you may not do that" in refused.err) == (Exit.FAILED, True)


def test_messages_without_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    config = json.loads(cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    gone = tmp_path / "gone"
    gone.write_text(json.dumps(config))
    no_answer = cluster.run("rounds", kubeconfig=gone)
    assert (no_answer.code, "does not answer" in no_answer.err) == (Exit.FAILED, True)
    assert "Traceback" not in no_answer.err
    missing = cluster.run("rounds", "--context", "other")
    assert (missing.code, "there is no context other" in missing.err) == (Exit.FAILED, True)
    absent = cluster.run("rounds", kubeconfig=tmp_path / "none")
    assert (absent.code, "cannot be used" in absent.err) == (Exit.FAILED, True)
    config = json.loads(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "wrong"}
    wrong = tmp_path / "wrong"
    wrong.write_text(json.dumps(config))
    outsider = cluster.run("rounds", kubeconfig=wrong)
    assert (outsider.code, "credentials" in outsider.err) == (Exit.FAILED, True)
