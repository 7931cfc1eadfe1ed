"""The pod that reads a round's files."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_cli.files.pod import PodSettings, reading_pod, settings_of
from bitagent_kube.objects import ObjectReference

OWNER = ObjectReference("bitagent.io/v1alpha1", "EvalRound", "ns", "r", "u")


def made(settings: PodSettings) -> dict[str, Any]:
    return reading_pod(settings, name="p", owner=OWNER, claim="c", path="rounds/u", image="i")


def test_it_meets_the_restricted_standard_and_has_no_token() -> None:
    spec = made(settings_of({}))["spec"]
    container = spec["containers"][0]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["automountServiceAccountToken"] is False
    assert spec["activeDeadlineSeconds"] <= 3600


def test_it_sees_one_round_read_only() -> None:
    spec = made(settings_of({}))["spec"]
    mount = spec["containers"][0]["volumeMounts"][0]
    assert (mount["subPath"], mount["readOnly"]) == ("rounds/u", True)
    assert spec["volumes"][0]["persistentVolumeClaim"] == {"claimName": "c", "readOnly": True}


def test_it_is_placed_as_the_operators_jobs_are() -> None:
    config = {
        "images": {"evaluator": "e"},
        "imagePullPolicy": "Always",
        "imagePullSecrets": ["s"],
        "securityContext": {"runAsUser": None},
        "jobs": {
            "env": [
                {"name": "A", "value": "1"},
                {"name": "T", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}},
            ],
            "volumes": [{"name": "site", "emptyDir": {}}],
            "volumeMounts": [{"name": "site", "mountPath": "/opt/site"}],
            "labels": {"team": "red"},
            "tolerations": [{"key": "all"}],
            "nodeSelector": {"pool": "cpu"},
            "archive": {"tolerations": [{"key": "archive"}]},
        },
    }
    settings = settings_of(config)
    pod = made(settings)
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    assert settings.image == "e"
    assert spec["imagePullSecrets"] == [{"name": "s"}]
    assert (spec["tolerations"], spec["nodeSelector"]) == ([{"key": "archive"}], {"pool": "cpu"})
    assert [each["name"] for each in container["env"]] == ["HOME", "A"]
    assert container["volumeMounts"][-1]["mountPath"] == "/opt/site"
    assert container["imagePullPolicy"] == "Always"
    assert "runAsUser" not in spec["securityContext"]
    assert pod["metadata"]["labels"]["team"] == "red"


@pytest.mark.parametrize("config", [{}, {"jobs": None}, {"jobs": {"archive": None}, "images": None}])
def test_what_a_configuration_leaves_out(config: dict[str, Any]) -> None:
    assert made(settings_of(config))["spec"]["securityContext"]["runAsUser"] == 65532


def test_the_operator_does_not_take_it_for_one_of_its_own() -> None:
    labels = made(PodSettings(labels={"app.kubernetes.io/managed-by": "bitagent-operator"}))["metadata"]["labels"]
    assert labels["app.kubernetes.io/managed-by"] == "kubectl-bitagent"
