"""The rewriter, for clusters and for the local world: reached by the task-set pods that need it, and by nobody else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitagent_operator import naming

FILES = ["examples/rewriter/rewriter.yaml", "local/manifests/rewriter.yaml"]
ASKS = naming.labels(naming.Component.TASK_SET) | {naming.Egress.REWRITER.value: "true"}


@pytest.fixture(params=FILES)
def objects(request: pytest.FixtureRequest, root: Path) -> dict[str, dict[str, Any]]:
    return {o["kind"]: o for o in yaml.safe_load_all((root / request.param).read_text()) if o}


def container(objects: dict[str, Any]) -> dict[str, Any]:
    (only,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = only
    return found


def options(objects: dict[str, Any]) -> dict[str, str]:
    return dict(argument.removeprefix("--").partition("=")[::2] for argument in container(objects)["args"])


def test_pod_is_restricted(objects: dict[str, Any], unrestricted: Callable[..., list[str]]) -> None:
    assert unrestricted(tuple(objects.values())) == []
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False


def test_the_charts_policy_finds_the_pod(objects: dict[str, Any], root: Path) -> None:
    values = yaml.safe_load((root / "charts/bitagent-operator/values.yaml").read_text())
    ((rule),) = values["networkPolicy"]["rewriter"]
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert rule["to"][0]["podSelector"]["matchLabels"].items() <= labels.items()
    assert [p["port"] for p in rule["ports"]] == [p["containerPort"] for p in container(objects)["ports"]] == [8000]


def test_only_task_set_pods_with_a_rewrite_come_in(objects: dict[str, Any]) -> None:
    spec = objects["NetworkPolicy"]["spec"]
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= labels.items()
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    ((peer,),) = [rule["from"] for rule in spec["ingress"]]
    wanted = peer["podSelector"]["matchLabels"].items()
    assert wanted <= ASKS.items()
    for component in naming.Component:
        assert not wanted <= naming.labels(component).items()


def test_the_service_is_the_address_in_the_round(objects: dict[str, Any], root: Path) -> None:
    service, (port,) = objects["Service"], objects["Service"]["spec"]["ports"]
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    address = f"http://{service['metadata']['name']}.{service['metadata']['namespace']}:{port['port']}/v1"
    _, round_ = yaml.safe_load_all((root / "examples/altered/evalrounds.yaml").read_text())
    (rewrite,) = [a["rewrite"] for a in round_["spec"]["tasks"]["alterations"] if "rewrite" in a]
    assert (rewrite["url"], rewrite["model"]) == (address, options(objects)["served-model-name"])


def test_the_local_one_has_no_way_out(root: Path) -> None:
    (policy,) = [
        o
        for o in yaml.safe_load_all((root / "local/manifests/rewriter.yaml").read_text())
        if o["kind"] == "NetworkPolicy"
    ]
    assert "egress" not in policy["spec"]


def test_ports_of_probes_and_server_agree(objects: dict[str, Any]) -> None:
    own = container(objects)
    probes = [own[p]["httpGet"] for p in ("startupProbe", "readinessProbe")]
    assert {p["path"] for p in probes} == {"/health"}
    assert {p["port"] for p in probes} == {port["name"] for port in own["ports"]}
    assert int(options(objects)["port"]) == own["ports"][0]["containerPort"]
