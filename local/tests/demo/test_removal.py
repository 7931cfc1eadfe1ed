"""What the demo removes from a cluster that stays, and what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bitagent_local.cluster.host import ClusterError
from bitagent_local.demo.kubectl import Kubectl
from bitagent_local.demo.removal import (
    RELEASE_NAME,
    RELEASE_NAMESPACE,
    Definition,
    confirm,
    parse_definition,
    reason_to_keep,
)

CRD = "minermodels.bitagent.io"
OWN = ("bitagent", "bitagent-operator")


@pytest.mark.parametrize(
    ("release", "objects", "reason"),
    [
        pytest.param(OWN, {}, "", id="the demo's alone"),
        pytest.param(OWN, {"prod": 2, "lab": 1}, "1 in lab, 2 in prod", id="has objects of others"),
        pytest.param(("prod", "bitagent-operator"), {}, "release bitagent-operator in namespace prod", id="another's"),
        pytest.param(("bitagent", "mine"), {}, "release mine in namespace bitagent", id="another release beside it"),
        pytest.param(None, {}, "not installed by Helm", id="by hand"),
    ],
)
def test_definitions_that_something_else_needs_stay(
    release: tuple[str, str] | None, objects: dict[str, int], reason: str
) -> None:
    found = reason_to_keep(Definition(CRD, release, objects))
    assert reason in found and bool(found) is bool(reason)


@pytest.mark.parametrize(
    ("annotations", "release"),
    [
        ({RELEASE_NAMESPACE: "bitagent", RELEASE_NAME: "bitagent-operator"}, OWN),
        ({RELEASE_NAME: "bitagent-operator"}, None),
        (None, None),
    ],
    ids=["of a release", "half", "none"],
)
def test_a_definition_names_its_release_and_counts_its_objects(annotations: Any, release: Any) -> None:
    metadata = {"name": CRD} | ({} if annotations is None else {"annotations": annotations})
    found = parse_definition({"metadata": metadata}, ["prod", "lab", "prod"])
    assert found == Definition(CRD, release, {"prod": 2, "lab": 1})


@pytest.fixture
def kubectl(tmp_path: Path) -> Kubectl:
    """One that knows the cluster of its kubeconfig, and nothing else."""
    binary = tmp_path / "kubectl"
    binary.write_text(
        '#!/bin/sh\ncase "$*" in *view*) echo https://prod:6443;; *context*) echo prod;; *) exit 1;; esac\n'
    )
    binary.chmod(0o755)
    return Kubectl(binary, tmp_path / "kubeconfig")


@pytest.mark.parametrize(
    ("environment", "answer", "agreed"),
    [
        pytest.param({"YES": "1"}, None, True, id="agreed beforehand"),
        pytest.param({}, "y", True, id="yes"),
        pytest.param({}, "", False, id="no answer"),
        pytest.param({"YES": "0"}, "no", False, id="no"),
        pytest.param({}, None, False, id="without a terminal"),
    ],
)
def test_a_removal_names_the_cluster_and_asks(
    kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], answer: str | None, agreed: bool
) -> None:
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115 - no terminal
    asked: list[str] = []

    def reply(question: str) -> str:
        asked.append(question)
        return answer or ""

    ask: Callable[[str], str] | None = None if answer is None else reply
    if agreed:
        confirm(kubectl, environment=environment, ask=ask)
    else:
        with pytest.raises(ClusterError):
            confirm(kubectl, environment=environment, ask=ask)
    assert all("https://prod:6443" in question and str(kubectl.kubeconfig) in question for question in asked)
