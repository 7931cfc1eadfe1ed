"""Values that are missing have their defaults: `helm upgrade --reuse-values` leaves out those that a chart has new."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Values = dict[str, Any]
MONITORING = ("podMonitor", "serviceMonitor", "prometheusRule", "dashboards")
GIVEN: dict[str, Values] = {
    "bitagent-operator": {
        "images": {"registry": "registry.example.org/mine"},
        "leaderboard": {"enabled": True, "replicas": 2},
        "operator": {"replicas": 2},
        "archive": {"url": "s3://bucket", "secretName": "bitagent-job-archive"},
        "proxy": {"http": "http://proxy:3128"},
        "caBundle": {"configMap": "authorities"},
        "metrics": {
            name: {"enabled": True} for name in ("podMonitor", "serviceMonitor", "prometheusRule", "dashboards")
        },
    },
    "bitagent-miner": {"model": {"url": "http://vllm:8000/v1", "name": "mine"}, "announce": {"address": "203.0.113.7"}},
    "bitagent-validator": {},
}
OF_THE_VALIDATORS_CHART = ("name", "labels", "annotations", "models", "taskFiles", "validators", "extraObjects")


def sections(chart: Path, depth: int) -> Values:
    """Return the sections of a chart's values down to `depth`, without a value in them.

    Helm cannot tell a user that null removes from one that is missing: only the absence of its section is a default.
    """
    made: Values = {}
    for path in yaml.safe_load((chart / "files/defaults.yaml").read_text()):
        section = made
        for name in path.split(".")[:-1][:depth]:
            section = section.setdefault(name, {})
    return made


@pytest.fixture
def with_defaults(helm_for: Callable[[str], Any], tmp_path: Path) -> Callable[[str, Values], Any]:
    """Function: a chart with other defaults, which is how Helm reuses the values of a release."""

    def changed(chart: str, defaults: Values) -> Any:
        helm = helm_for(chart)
        copy = tmp_path / chart
        shutil.copytree(helm.chart, copy, dirs_exist_ok=True)
        (copy / "values.yaml").write_text(yaml.safe_dump(defaults))
        helm.chart = copy
        return helm

    return changed


@pytest.mark.parametrize("depth", [0, 1, 2], ids=["all", "members of sections", "members of their sections"])
@pytest.mark.parametrize("chart", ["bitagent-operator", "bitagent-miner"])
def test_a_missing_value_is_its_default(
    helm_for: Callable[[str], Any], with_defaults: Callable[[str, Values], Any], chart: str, depth: int
) -> None:
    whole = helm_for(chart)
    left = with_defaults(chart, sections(whole.chart, depth))
    assert left.render(GIVEN[chart]).objects == whole.render(GIVEN[chart]).objects


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"rbac": {"create": False}}, id="false"),
        pytest.param({"modelsPerHotkey": 0}, id="0"),
        pytest.param({"networkPolicy": {"metricsFrom": []}}, id="an empty list"),
    ],
)
def test_an_empty_value_that_is_given_stays(
    helm_for: Callable[[str], Any], with_defaults: Callable[[str, Values], Any], given: Values
) -> None:
    chart = "bitagent-operator"
    whole = helm_for(chart)
    found = whole.render(given).objects
    assert found != whole.render().objects
    assert with_defaults(chart, {}).render(given).objects == found


def test_a_missing_value_of_the_validators_chart_is_its_default(
    helm_for: Callable[[str], Any], with_defaults: Callable[[str, Values], Any]
) -> None:
    chart = "bitagent-validator"
    values = yaml.safe_load((helm_for(chart).chart / "values.yaml").read_text())
    spec = {key: value for key, value in values.items() if key not in OF_THE_VALIDATORS_CHART}
    found = with_defaults(chart, spec).render().objects
    assert found == helm_for(chart).render().objects
    required = {key: spec[key] for key in ("netuid", "chain", "wallet", "competitions")}
    (validator,) = with_defaults(chart, required).render().objects
    assert validator["spec"] == required, "the API server has the defaults of the others"


@pytest.mark.parametrize("chart", ["bitagent-operator", "bitagent-miner"])
def test_every_template_begins_with_the_defaults(root: Path, chart: str) -> None:
    line = f'{{{{- include "{chart.removeprefix("bitagent-")}.defaulted" . }}}}\n'
    templates = [path for path in (root / "charts" / chart / "templates").rglob("*") if path.is_file()]
    assert [p.name for p in templates if not p.name.startswith("_") and not p.read_text().startswith(line)] == []


@pytest.mark.parametrize("chart", ["bitagent-operator", "bitagent-miner"])
def test_the_user_that_null_removed_does_not_come_back(helm_for: Callable[[str], Any], chart: str) -> None:
    rendered = helm_for(chart).render({**GIVEN[chart], "securityContext": {"runAsUser": None}})
    assert all("runAsUser" not in d["spec"]["template"]["spec"]["securityContext"] for d in rendered.all("Deployment"))
