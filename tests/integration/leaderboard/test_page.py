"""The page on a real API server: what it may, what it shows, and that a change reaches an open page."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_leaderboard.main import main
from bitagent_local.cluster.control_plane import ControlPlane
from tests import leaderboard_objects as objects

pytestmark = pytest.mark.integration

Start = Callable[..., Any]
Wait = Callable[..., Any]


def test_a_change_becomes_an_event_and_another_page(start_page: Start, eventually: Wait) -> None:
    page = start_page()
    assert "There is no Validator" in page.get("")
    running = objects.round_("demo-tools-0", [objects.pending(1, 10, 400), objects.pending(2)], phase="Running")
    with urllib.request.urlopen(f"{page.address}/events", timeout=60) as events:
        assert events.readline() == b"retry: 5000\n"
        for each in (objects.model(1), objects.model(2), objects.validator(), running):
            page.put(each)
        assert "demo-tools-0" in eventually(lambda: names(events) or None, what="an event names a change")
        eventually(lambda: "10 of 400" in page.get("rounds/demo-tools-0/"), what="progress is shown")

        results = [objects.scored(1, 0.75, 1), objects.scored(2, 0.5, 2)]
        done = objects.round_("demo-tools-0", results)
        page.write_status(done)
        while "demo-tools-0" not in names(events):
            pass
        rows = eventually(
            lambda: [r for r in page.json("api/v1/rounds/demo-tools-0.json")["results"] if r["score"]],
            what="scores are shown",
        )
    assert [(row["rank"], row["model"], row["score"]) for row in rows] == [
        (1, "model-1", "0.750000"),
        (2, "model-2", "0.500000"),
    ]
    assert f"{objects.SEED}-demo-tools-0" in page.get("rounds/demo-tools-0/round.json")

    weights = objects.validator(weights={1: "0.90000000", 2: "0.10000000"}, rounds=["demo-tools-0"])
    page.write_status(weights)
    found = eventually(lambda: page.json("api/v1/validators/demo.json")["weights"], what="weights are shown")
    assert [(each["weight"], each["results"][0]["model"]) for each in found] == [
        ("0.90000000", "model-1"),
        ("0.10000000", "model-2"),
    ]
    path = f"/apis/bitagent.io/v1alpha1/namespaces/{page.namespace}/evalrounds/demo-tools-0"
    page.plane.api.delete(path)
    eventually(lambda: not page.json("api/v1/rounds.json")["rounds"], what="a deleted round is gone")


def test_several_namespaces_each_by_the_rights_in_it(start_page: Start, eventually: Wait) -> None:
    first, second = start_page(), start_page()
    for number, page in enumerate((first, second)):
        page.put(objects.model(number, "same"))
    page = start_page(beside=[first.namespace, second.namespace])
    for number, each in enumerate((first, second)):
        hotkey = page.json(f"namespaces/{each.namespace}/api/v1/models/same.json")["hotkey"]
        assert hotkey == objects.hotkey(number)
    with urllib.request.urlopen(f"{page.address}/namespaces/{second.namespace}/events", timeout=60) as events:
        assert events.readline() == b"retry: 5000\n"
        first.put(objects.model(7, "other"))
        second.put(objects.model(8, "mine"))
        seen = eventually(lambda: names(events) or None, what="an event names a change")
    assert seen == "models/mine"
    listed = page.json("api/v1/namespaces.json")["namespaces"]
    assert [(each["name"], each["read"], each["models"]) for each in listed] == [
        (page.namespace, True, 0),
        (first.namespace, True, 2),
        (second.namespace, True, 2),
    ]


def test_a_namespace_that_may_not_be_read_does_not_hold_the_others_up(
    plane: ControlPlane, start_page: Start, eventually: Wait
) -> None:
    """As after the removal of its RoleBinding."""
    metadata = {"name": "board-forbidden"}
    plane.api.create("/api/v1/namespaces", {"metadata": metadata})
    page = start_page("--namespace", metadata["name"])
    listed = page.json("api/v1/namespaces.json")["namespaces"]
    assert [(each["name"], each["read"]) for each in listed] == [(page.namespace, True), (metadata["name"], False)]
    page.put(objects.model(1))
    eventually(
        lambda: page.json(f"namespaces/{page.namespace}/api/v1/models.json")["models"], what="the other is followed"
    )


def names(events: Any) -> str:
    """The names of the next event, or nothing of a comment."""
    line: bytes = events.readline()
    return " ".join(json.loads(line.removeprefix(b"data: "))["names"]) if line.startswith(b"data: ") else ""


def test_manifests_are_read_when_a_round_completes(start_page: Start, tmp_path: Path, eventually: Wait) -> None:
    page = start_page("--artifacts", str(tmp_path / "volume"))
    (tmp_path / "volume").mkdir()
    page.put(objects.model(1))
    done = objects.round_("demo-tools-0", [objects.scored(1, 0.75, 1)])
    stored = page.put(objects.round_("demo-tools-0", [objects.pending(1)], phase="Running"))
    done["metadata"]["uid"] = stored["metadata"]["uid"]
    objects.put_manifest(tmp_path / "volume", done, 1, objects.manifest(1, 0.75))
    page.write_status(done)
    found = eventually(
        lambda: next((r for r in page.json("api/v1/rounds/demo-tools-0.json")["results"] if r["interval"]), None),
        what="the interval is shown",
    )
    assert found["interval"] == [0.71, 0.79]
    assert found["categories"]["irrelevance"]["score"] == "0.750000"


def test_the_role_reads_three_kinds_and_nothing_else(start_page: Start) -> None:
    page = start_page()
    account = f"system:serviceaccount:{page.namespace}:page"

    def may(verb: str, kind: str) -> bool:
        command = page.plane.kubectl("-n", page.namespace, "auth", "can-i", verb, kind, f"--as={account}")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip() == "yes"

    assert all(may(verb, kind) for verb in ("get", "list", "watch") for kind in ("evalrounds", "validators"))
    assert not [
        (verb, kind)
        for verb, kind in (
            ("get", "secrets"),
            ("get", "configmaps"),
            ("get", "pods"),
            ("patch", "evalrounds"),
            ("create", "minermodels"),
        )
        if may(verb, kind)
    ]


def test_a_restricted_namespace_takes_the_charts_objects_without_a_warning(
    plane: ControlPlane, rendered: Callable[..., list[objects.Obj]]
) -> None:
    metadata = {"name": "restricted-page", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    plane.api.create("/api/v1/namespaces", {"metadata": metadata})
    made = rendered(
        *("leaderboard.replicas=2", "leaderboard.artifacts=true", "leaderboard.url=https://b.example"),
        *("leaderboard.ingress.enabled=true", "leaderboard.ingress.host=b.example"),
    )
    (pod,) = [each["spec"]["template"]["spec"] for each in made if each["kind"] == "Deployment"]
    made.append({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": pod})
    made = [each for each in made if each["kind"] != "RoleBinding"]  # it names the release's namespace
    options = ("--server-side", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "-f", "-")
    command = plane.kubectl("-n", "restricted-page", "apply", *options)
    # The pod's account exists in no dry run.
    plane.api.create(
        "/api/v1/namespaces/restricted-page/serviceaccounts", {"metadata": {"name": pod["serviceAccountName"]}}
    )
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
    done = subprocess.run(command, input=listed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_ends_at_sigterm_though_readers_are_connected(start_page: Start) -> None:
    page = start_page()
    with urllib.request.urlopen(f"{page.address}/events", timeout=60) as events:
        events.readline()
        page.program.send_signal(signal.SIGTERM)
        assert page.program.wait(60) == 0


def test_an_export_of_the_cluster(start_page: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = start_page()
    page.put(objects.model(1))
    page.put(objects.round_("demo-tools-0", [objects.scored(1, 0.75, 1)]))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(page.plane.kubeconfig))
    assert main(["export", str(tmp_path / "out"), "--namespace", page.namespace]) == 0
    assert "model-1" in (tmp_path / "out/rounds/demo-tools-0/index.html").read_text()
