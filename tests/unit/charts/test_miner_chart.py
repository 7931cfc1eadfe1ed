"""The miner's chart: values become the arguments that `bitagent-miner serve` takes, and mistakes are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from bitagent_miner.main import arguments
from bitagent_miner.settings import Settings, settings

HOTKEY = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"
MODEL = {"model": {"url": "http://vllm:8000/v1", "name": "me/m"}}


@pytest.fixture(scope="module")
def helm(helm_for: Callable[[str], Any]) -> Any:
    return helm_for("bitagent-miner")


def merged(**changes: Any) -> dict[str, Any]:
    return {**MODEL, **changes, "model": {**MODEL["model"], **changes.get("model", {})}}


def served(helm: Any, **changes: Any) -> Settings:
    (container,) = helm.render(merged(**changes)).one("Deployment")["spec"]["template"]["spec"]["containers"]
    return settings(arguments().parse_args(container["args"]), {})


def test_lint_finds_nothing(helm: Any) -> None:
    assert "0 chart(s) failed" in helm.lint(MODEL)


def test_defaults_are_those_of_the_program(helm: Any) -> None:
    of_chart, plain = served(helm), ["serve", "--model-url", "http://vllm:8000/v1", "--model", "me/m"]
    of_program = settings(arguments().parse_args(plain), {})
    assert of_chart == of_program


def test_values_reach_the_program(helm: Any, tmp_path: Any) -> None:
    found = served(
        helm,
        netuid=76,
        submit="me/m@main",
        runModel="me/other",
        announce={"address": "2001:db8::1"},
        service={"port": 9000},
        callers={"who": "registered", "minimumStake": 1000000, "allow": [HOTKEY], "deny": [HOTKEY]},
        limits={
            **{
                "timeoutSeconds": 7.5,
                "parallel": 2,
                "queue": 3,
                "ratePerMinute": 6,
                "connections": 0,
                "totalConnections": 7,
            },
            "refreshSeconds": 60,
        },
        model={"maxTokens": 99, "temperature": 0.5, "tools": "native"},
    )
    assert (found.netuid, found.names.submitted, found.names.running) == (76, "me/m@main", "me/other")
    assert found.address is not None
    assert found.address.axon == "[2001:db8::1]:9000"
    assert (found.rules.callers, found.rules.minimum_stake) == ("registered", 1e6)
    assert (found.rules.allow, found.rules.deny) == (frozenset([HOTKEY]), frozenset([HOTKEY]))
    assert (found.timeout_seconds, found.parallel, found.queue) == (7.5, 2, 3)
    assert (found.rate_per_minute, found.refresh_seconds, found.connections) == (6, 60, 0)
    assert found.total_connections == 7
    assert (found.model.max_tokens, found.model.temperature, found.model.mode) == (99, 0.5, "native")


def test_pods_are_restricted(helm: Any, unrestricted: Any) -> None:
    assert unrestricted(helm.render(MODEL).objects) == []


def test_a_slow_start_is_not_ended(helm: Any) -> None:
    (container,) = helm.render(MODEL).one("Deployment")["spec"]["template"]["spec"]["containers"]
    startup, liveness = container["startupProbe"], container["livenessProbe"]
    assert startup["httpGet"] == liveness["httpGet"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 300


def test_secrets_are_files_and_only_their_keys(helm: Any) -> None:
    pod = helm.render(merged(model={"keySecretRef": {"name": "openai", "key": "token"}})).one("Deployment")
    volumes = {each["name"]: each.get("secret") for each in pod["spec"]["template"]["spec"]["volumes"]}
    assert volumes["hotkey"]["items"] == [{"key": "hotkey", "path": "hotkey"}]
    assert (volumes["model-key"]["secretName"], volumes["model-key"]["items"][0]["key"]) == ("openai", "token")
    assert "env" not in pod["spec"]["template"]["spec"]["containers"][0]
    assert pod["spec"]["strategy"] == {"type": "Recreate"}


def test_only_validators_reach_the_pod_and_it_reaches_no_private_address(helm: Any) -> None:
    policy = helm.render(MODEL).one("NetworkPolicy")["spec"]
    assert policy["ingress"] == [{"ports": [{"protocol": "TCP", "port": 8091}]}]
    blocked = [net for to in policy["egress"][1]["to"] for net in to["ipBlock"]["except"]]
    assert {"10.0.0.0/8", "169.254.0.0/16", "127.0.0.0/8", "fc00::/7"} <= set(blocked)
    peers = [{"namespaceSelector": {}}]
    more = helm.render(merged(networkPolicy={"metricsFrom": peers, "egress": [{"to": peers}]})).one("NetworkPolicy")
    assert more["spec"]["ingress"][1] == {"from": peers, "ports": [{"protocol": "TCP", "port": 8080}]}
    assert more["spec"]["egress"][-1] == {"to": peers}
    assert helm.render(merged(networkPolicy={"enabled": False})).all("NetworkPolicy") == []


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({}, id="no model"),
        pytest.param(merged(model={"url": "vllm:8000"}), id="no address"),
        pytest.param(merged(typo=1), id="unknown value"),
        pytest.param(merged(callers={"allow": ["5x"]}), id="no hotkey"),
        pytest.param(merged(announce={"address": "miner.example"}), id="a name"),
        pytest.param(merged(submit="model"), id="no repository"),
        pytest.param(merged(chain={"endpoints": ["http://x"]}), id="no websocket"),
        pytest.param(merged(limits={"parallel": 0}), id="nothing at once"),
    ],
)
def test_mistakes_are_refused(helm: Any, values: dict[str, Any]) -> None:
    assert "schema" in helm.refusal(values)


def test_the_example_of_its_readme_renders(helm: Any, root: Any) -> None:
    text = (root / "charts/bitagent-miner/README.md").read_text()
    example = yaml.safe_load(text.split("```yaml")[1].split("```")[0])
    assert len(helm.render(example).objects) == 3


def test_the_platform_may_assign_the_user(helm: Any) -> None:
    for user, expected in ((None, set[int]()), (70000, {70000})):
        rendered = helm.render(merged(securityContext={"runAsUser": user}, priorityClassName="high"))
        pod = rendered.one("Deployment")["spec"]["template"]["spec"]
        security = pod["securityContext"]
        assert {security[name] for name in ("runAsUser", "runAsGroup", "fsGroup") if name in security} == expected
        assert (security["runAsNonRoot"], pod["priorityClassName"]) == (True, "high")


def test_more_objects(helm: Any) -> None:
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-a"}}
    assert helm.render(merged(extraObjects=[made]), release="m").one("ConfigMap", "m-a")


def test_extension_points(helm: Any) -> None:
    mounts = {"volumes": [{"name": "ca", "configMap": {"name": "ca"}}]}
    mounts |= {"volumeMounts": [{"name": "ca", "mountPath": "/etc/ca"}]}
    environment = {"env": [{"name": "HTTPS_PROXY", "value": "http://p:1"}], "envFrom": [{"secretRef": {"name": "s"}}]}
    shared = {"global": {"imageRegistry": "mirror.internal:5000", "imagePullSecrets": ["theirs"]}}
    own = {"image": {"reference": "registry.example.org/a/miner:1", "pullSecrets": ["mine"]}}
    labels = {"commonLabels": {"team": "a", "app.kubernetes.io/name": "x"}, "runtimeClassName": "sandboxed"}
    monitor = {"metrics": {"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}}
    rendered = helm.render(merged(**mounts, **environment, **shared, **own, **labels, **monitor))
    pod = rendered.one("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == "mirror.internal:5000/a/miner:1"
    assert [each["name"] for each in pod["imagePullSecrets"]] == ["theirs", "mine"]
    assert environment.items() <= container.items()
    assert (pod["volumes"][-1], container["volumeMounts"][-1]) == (mounts["volumes"][0], mounts["volumeMounts"][0])
    assert pod["runtimeClassName"] == "sandboxed"
    assert {o["metadata"]["labels"]["team"] for o in rendered.objects} == {"a"}
    assert {o["metadata"]["labels"]["app.kubernetes.io/name"] for o in rendered.objects} == {"bitagent-miner"}


def test_the_monitor_scrapes_the_pods_port(helm: Any) -> None:
    monitor = {"podMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}
    rendered = helm.render(merged(metrics=monitor))
    found, deployment = rendered.one("PodMonitor"), rendered.one("Deployment")["spec"]
    assert found["metadata"]["labels"]["release"] == "prometheus"
    assert found["spec"]["selector"] == deployment["selector"]
    (endpoint,) = found["spec"]["podMetricsEndpoints"]
    ports = {p["name"]: p["containerPort"] for p in deployment["template"]["spec"]["containers"][0]["ports"]}
    assert ports[endpoint["port"]] == 8080
    assert not helm.render(merged()).all("PodMonitor")
