"""One release of the operator for several namespaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bitagent_operator import config

NAMESPACES = ["a", "b"]


@pytest.fixture(scope="module")
def helm(helm_for: Callable[[str], Any]) -> Any:
    return helm_for("bitagent-operator")


@pytest.fixture(scope="module")
def several(helm: Any) -> Any:
    monitors = {kind: {"enabled": True} for kind in ("podMonitor", "serviceMonitor")}
    proxy = {"https": "http://proxy:3128"}
    return helm.render({"watch": {"namespaces": NAMESPACES}, "metrics": monitors, "proxy": proxy})


def by_namespace(rendered: Any, kind: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for each in rendered.all(kind):
        found.setdefault(each["metadata"].get("namespace", "bitagent"), []).append(each)
    return found


def names(objects: list[dict[str, Any]]) -> set[str]:
    return {each["metadata"]["name"] for each in objects}


def test_without_it_all_is_in_the_releases_namespace(helm: Any) -> None:
    rendered = helm.render()
    assert [o["kind"] for o in rendered.objects if "namespace" in o["metadata"]] == []
    assert len(rendered.all("Role")) == len(rendered.all("RoleBinding")) == 1


def test_each_namespace_has_the_same_role_and_none_is_for_the_cluster(helm: Any, several: Any) -> None:
    roles, bindings = by_namespace(several, "Role"), by_namespace(several, "RoleBinding")
    assert list(roles) == list(bindings) == NAMESPACES, "the release's own is not one of them"
    rules = helm.render().one("Role")["rules"]
    assert [role["rules"] for (role,) in roles.values()] == [rules, rules]
    account = several.one("Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    for (binding,) in bindings.values():
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "bitagent"}]
        assert binding["metadata"]["name"] == several.one("Deployment")["metadata"]["name"], "the Lease's owner there"
    assert not several.all("ClusterRole")
    assert not several.all("ClusterRoleBinding")


def test_each_namespace_has_claims_policies_and_a_service(helm: Any, several: Any) -> None:
    usual = helm.render()
    claims = by_namespace(several, "PersistentVolumeClaim")
    assert {n: names(found) for n, found in claims.items()} == {
        n: names(usual.all("PersistentVolumeClaim")) for n in NAMESPACES
    }
    policies = by_namespace(several, "NetworkPolicy")
    own = {"bitagent-operator-operator"}
    assert names(policies["bitagent"]) == own
    assert all(names(policies[n]) == names(usual.all("NetworkPolicy")) - own for n in NAMESPACES)
    services = by_namespace(several, "Service")
    assert names(services["bitagent"]) == {"bitagent-operator-metrics"}
    assert all(names(services[n]) == {"bitagent-operator-validators"} for n in NAMESPACES)


def peers(rendered: Any, namespace: str, name: str, direction: str) -> list[tuple[str, Any]]:
    """Where the peers of the rule for progress are: label of the namespace, or the same, and their component."""
    (policy,) = [p for p in by_namespace(rendered, "NetworkPolicy")[namespace] if p["metadata"]["name"] == name]
    rule, key = policy["spec"][direction][-1], "to" if direction == "egress" else "from"
    return [
        (
            p.get("namespaceSelector", {}).get("matchLabels", {}).get("kubernetes.io/metadata.name", "the same"),
            p["podSelector"]["matchLabels"]["app.kubernetes.io/component"],
        )
        for p in rule[key]
    ]


@pytest.mark.parametrize(
    ("watched", "of_evaluations", "of_the_operator"),
    [
        pytest.param([], {"bitagent": "the same"}, ["the same"], id="one"),
        pytest.param(["a", "b"], {"a": "bitagent", "b": "bitagent"}, ["a", "b"], id="others"),
        pytest.param(
            ["a", "bitagent"], {"a": "bitagent", "bitagent": "the same"}, ["a", "the same"], id="with its own"
        ),
    ],
)
def test_progress_crosses_namespaces(
    helm: Any, watched: list[str], of_evaluations: dict[str, str], of_the_operator: list[str]
) -> None:
    rendered = helm.render({"watch": {"namespaces": watched}})
    for namespace, source in of_evaluations.items():
        found = peers(rendered, namespace, "bitagent-operator-evaluate", "ingress")
        assert found == [(source, "operator")]
    found = peers(rendered, "bitagent", "bitagent-operator-operator", "egress")
    assert found == [(n, "evaluate") for n in of_the_operator]


def test_the_operator_reads_which(several: Any) -> None:
    found = config.parse(several.one("ConfigMap")["data"]["config.yaml"], origin="chart")
    assert (found.namespace, found.watched) == ("bitagent", ("a", "b"))
    (hosts,) = [e["value"] for e in found.jobs.fetch.env if e["name"] == "NO_PROXY"]
    assert {".a", ".b"} <= set(hosts.split(","))


@pytest.mark.parametrize("kind", ["PodMonitor", "ServiceMonitor"])
def test_monitors_look_into_all_and_keep_the_objects_namespace(helm: Any, several: Any, kind: str) -> None:
    spec = several.one(kind)["spec"]
    assert spec["namespaceSelector"] == {"matchNames": ["a", "b", "bitagent"]}
    (endpoint,) = spec["podMetricsEndpoints" if kind == "PodMonitor" else "endpoints"]
    assert endpoint["honorLabels"] is True
    usual = helm.render({"metrics": {kind[0].lower() + kind[1:]: {"enabled": True}}})
    assert "namespaceSelector" not in usual.one(kind)["spec"]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        pytest.param({"watch": {"namespaces": ["a", "a"]}}, "namespaces", id="twice"),
        pytest.param({"watch": {"namespaces": ["A_b"]}}, "namespaces", id="not a name"),
        pytest.param({"watch": {"namespaces": "a"}}, "namespaces", id="not a list"),
        pytest.param({"watch": {"namespace": ["a"]}}, "namespace", id="misspelt"),
        pytest.param(
            {"watch": {"namespaces": ["a"]}, "leaderboard": {"enabled": True}},
            "leaderboard.namespaces",
            id="a page of none",
        ),
        pytest.param(
            {"watch": {"namespaces": ["a"]}, "leaderboard": {"enabled": True, "namespaces": ["a", "b"]}},
            "leaderboard.namespaces",
            id="a page of one that is not watched",
        ),
        pytest.param(
            {
                "watch": {"namespaces": ["a"]},
                "leaderboard": {"enabled": True, "namespaces": ["a"], "artifacts": True},
            },
            "leaderboard.artifacts",
            id="a page with another namespace's volume",
        ),
        pytest.param(
            {"watch": {"namespaces": ["a", "b"]}, "cache": {"volumeName": "pv"}}, "cache.volumeName", id="one cache"
        ),
        pytest.param(
            {"watch": {"namespaces": ["a", "b"]}, "artifacts": {"volumeName": "pv"}},
            "artifacts.volumeName",
            id="one artifact volume",
        ),
    ],
)
def test_refused_values(helm: Any, values: dict[str, Any], named: str) -> None:
    assert named in helm.refusal(values)


def test_the_page_without_its_namespace_names_what_to_add(helm: Any) -> None:
    refused = helm.refusal({"watch": {"namespaces": ["a"]}, "leaderboard": {"enabled": True}}, namespace="here")
    assert "here" in refused
    assert "watch.namespaces" in refused


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"watch": {"namespaces": ["a"]}, "cache": {"volumeName": "pv"}}, id="one namespace"),
        pytest.param(
            {"watch": {"namespaces": ["a", "b"]}, "cache": {"volumeName": "pv", "mode": "VolumePerModel"}},
            id="no claim of the chart's",
        ),
        pytest.param(
            {"watch": {"namespaces": ["a", "b"]}, "cache": {"volumeName": "pv", "existingClaim": "mine"}},
            id="a claim of one's own",
        ),
    ],
)
def test_a_volume_that_one_claim_binds_at_most_is_taken(helm: Any, values: dict[str, Any]) -> None:
    assert helm.render(values).objects
