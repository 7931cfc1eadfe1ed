"""The page's part of the operator's chart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bitagent_leaderboard.main import arguments

ON = {"enabled": True}


@pytest.fixture(scope="module")
def helm(helm_for: Callable[[str], Any]) -> Any:
    return helm_for("bitagent-operator")


@pytest.fixture(scope="module")
def plain(helm: Any) -> list[dict[str, Any]]:
    """The page's objects by default."""
    return render(helm)


def render(helm: Any, **values: Any) -> list[dict[str, Any]]:
    """The page's own objects."""
    rest = values.pop("rest", {})
    rendered = helm.render({"leaderboard": ON | values} | rest)
    component = "app.kubernetes.io/component"
    found: list[dict[str, Any]] = [
        each for each in rendered.objects if each["metadata"].get("labels", {}).get(component) == "leaderboard"
    ]
    return found


def one(objects: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [each for each in objects if each["kind"] == kind]
    return found


def options(objects: list[dict[str, Any]]) -> Any:
    """The command line of the pod, as the program reads it."""
    (container,) = one(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return arguments().parse_args(container["args"])


def test_off_by_default(helm: Any) -> None:
    rendered = helm.render()
    assert not [each for each in rendered.objects if each["metadata"]["name"].endswith("leaderboard")]


def test_objects(helm: Any, plain: list[dict[str, Any]]) -> None:
    kinds = {each["kind"] for each in plain}
    assert kinds == {"ServiceAccount", "Role", "RoleBinding", "Service", "Deployment", "NetworkPolicy"}
    more = {
        "replicas": 2,
        "ingress": {"enabled": True, "host": "board.example.org"},
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}]},
    }
    assert {each["kind"] for each in render(helm, **more)} - kinds == {"PodDisruptionBudget", "Ingress", "HTTPRoute"}


@pytest.mark.parametrize(
    ("service", "expected"),
    [({}, ("ClusterIP", None)), ({"type": "LoadBalancer", "annotations": {"a": "b"}}, ("LoadBalancer", {"a": "b"}))],
    ids=["default", "own"],
)
def test_service(helm: Any, service: dict[str, Any], expected: tuple[str, Any]) -> None:
    found = render(helm, service=service, rest={"metrics": {"service": False}})
    made = one(found, "Service")
    assert (made["spec"]["type"], made["metadata"].get("annotations")) == expected


def test_the_pod_is_restricted(plain: list[dict[str, Any]], unrestricted: Callable[..., list[str]]) -> None:
    assert unrestricted(tuple(plain)) == []


def test_a_slow_start_is_not_ended(plain: list[dict[str, Any]]) -> None:
    (container,) = one(plain, "Deployment")["spec"]["template"]["spec"]["containers"]
    startup, liveness = container["startupProbe"], container["livenessProbe"]
    assert startup["httpGet"] == liveness["httpGet"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 300


def test_the_role_reads_three_kinds(plain: list[dict[str, Any]]) -> None:
    objects = plain
    kinds = ["minermodels", "evalrounds", "validators"]
    assert one(objects, "Role")["rules"] == [
        {"apiGroups": ["bitagent.io"], "resources": kinds, "verbs": ["get", "list", "watch"]}
    ]
    account = one(objects, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    assert (
        one(objects, "RoleBinding")["subjects"][0]["name"]
        == account
        == one(objects, "ServiceAccount")["metadata"]["name"]
    )


def test_each_namespace_that_is_shown_has_a_role(helm: Any) -> None:
    """And none that is only operated: what everybody may see is named."""
    watched = {"watch": {"namespaces": ["a", "b", "c"]}}
    objects = render(helm, namespaces=["a", "b"], rest=watched)
    for kind in ("Role", "RoleBinding"):
        assert [each["metadata"]["namespace"] for each in objects if each["kind"] == kind] == ["a", "b"]
    for binding in (each for each in objects if each["kind"] == "RoleBinding"):
        account = {"kind": "ServiceAccount", "name": one(objects, "ServiceAccount")["metadata"]["name"]}
        assert binding["subjects"] == [account | {"namespace": "bitagent"}]
    others = [each for each in objects if each["kind"] not in ("Role", "RoleBinding")]
    assert all("namespace" not in each["metadata"] for each in others), "the page is in the release's namespace"
    assert options(objects).namespace == ["a", "b"]


def test_without_a_choice_only_the_releases_namespace_is_shown(helm: Any) -> None:
    objects = render(helm, rest={"watch": {"namespaces": ["a", "bitagent"]}})
    assert options(objects).namespace == ["bitagent"]
    assert "namespace" not in one(objects, "Role")["metadata"]


def test_the_operator_is_not_what_the_page_selects(plain: list[dict[str, Any]]) -> None:
    objects = plain
    selector = one(objects, "Deployment")["spec"]["selector"]["matchLabels"]
    assert [selector, selector] == [each["spec"]["selector"] for each in objects if each["kind"] == "Service"]
    assert selector == one(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    assert selector.items() <= one(objects, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    assert selector["app.kubernetes.io/component"] == "leaderboard"


VALUES = {
    "url": "https://board.example.org/x",
    "basePath": "/board",
    "tasks": False,
    "title": "a b",
    "maxReaders": 5,
    "archiveUrl": "https://files.example.org/x",
    "artifacts": True,
}
REST = {"archive": {"url": "s3://bucket/x", "secretName": "s3"}, "hub": {"endpoint": "https://hub.example.org"}}


def test_values_reach_the_program(helm: Any, plain: list[dict[str, Any]]) -> None:
    found = options(plain)
    assert (found.namespace, found.artifacts, found.without_tasks, found.site) == (["bitagent"], [], False, None)
    assert (found.hub, found.archive) == ("https://huggingface.co", None)
    found = options(render(helm, **VALUES, rest=REST))
    assert (found.site, found.base_path, found.title) == ("https://board.example.org/x", "/board", "a b")
    assert (found.without_tasks, found.max_readers, found.hub) == (True, 5, "https://hub.example.org")
    assert (found.archive.stored, found.archive.public) == ("s3://bucket/x", "https://files.example.org/x")


def test_a_hub_inside_the_cluster_is_not_linked(helm: Any) -> None:
    found = options(render(helm, rest={"hub": {"endpoint": "http://hub.internal"}}))
    assert found.hub == "https://huggingface.co"


def test_the_artifact_volume_is_mounted_read_only_if_asked_for(helm: Any, plain: list[dict[str, Any]]) -> None:
    mounted = render(helm, artifacts=True)
    pod = one(mounted, "Deployment")["spec"]["template"]["spec"]
    (volume,) = [each for each in pod["volumes"] if each["name"] == "artifacts"]
    (mount,) = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "artifacts"]
    assert volume["persistentVolumeClaim"]["readOnly"]
    assert mount["readOnly"]
    (artifacts,) = options(mounted).artifacts
    assert (artifacts.namespace, str(artifacts.folder)) == ("bitagent", mount["mountPath"])
    without = one(plain, "Deployment")["spec"]["template"]["spec"]
    assert [each["name"] for each in without["volumes"]] == ["tmp"]


def test_prometheus_finds_the_pods(helm: Any, plain: list[dict[str, Any]]) -> None:
    labelled = [each for each in plain if each["metadata"]["labels"].get("bitagent.io/metrics") == "true"]
    assert [each["spec"]["ports"][0]["targetPort"] for each in labelled] == ["metrics"]
    monitor = helm.render({"leaderboard": ON, "metrics": {"podMonitor": {"enabled": True}}}).one("PodMonitor")
    (expression,) = monitor["spec"]["selector"]["matchExpressions"]
    assert "leaderboard" in expression["values"]


def test_who_may_connect(helm: Any) -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]
    spec = one(render(helm, **{"from": peers}), "NetworkPolicy")["spec"]
    assert spec["ingress"][0] == {"from": peers, "ports": [{"protocol": "TCP", "port": 8000}]}
    assert {port["port"] for rule in spec["egress"] for port in rule["ports"]} == {53, 443, 6443}


def test_ingress_and_route_lead_to_the_service(helm: Any) -> None:
    values = {
        "basePath": "/board",
        "ingress": {"enabled": True, "host": "h.example", "tlsSecretName": "cert", "className": "nginx"},
        "httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}], "hostnames": ["h.example"]},
    }
    objects = render(helm, **values)
    (service,) = [
        each["metadata"]["name"]
        for each in objects
        if each["kind"] == "Service" and each["spec"]["ports"][0]["name"] == "http"
    ]
    ingress = one(objects, "Ingress")["spec"]
    (path,) = ingress["rules"][0]["http"]["paths"]
    assert (path["path"], path["backend"]["service"]["name"]) == ("/board", service)
    assert ingress["tls"] == [{"hosts": ["h.example"], "secretName": "cert"}]
    (rule,) = one(objects, "HTTPRoute")["spec"]["rules"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/board"}}]
    assert rule["backendRefs"] == [{"name": service, "port": 80}]


@pytest.mark.parametrize(
    "values",
    [
        {"url": "http://x.org"},
        {"namespaces": ["A"]},
        {"namespaces": "bitagent"},
        {"url": "https://user@x.org"},
        {"basePath": "board"},
        {"from": []},
        {"ingress": {"enabled": True}},
        {"httpRoute": {"enabled": True}},
        {"unknown": 1},
    ],
    ids=str,
)
def test_refused_values(helm: Any, values: dict[str, Any]) -> None:
    assert helm.refusal({"leaderboard": ON | values})
