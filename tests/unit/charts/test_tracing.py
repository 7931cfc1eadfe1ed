"""Traces: where the operator sends them, and that it may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture(scope="module")
def helm(helm_for: Callable[[str], Any]) -> Any:
    return helm_for("bitagent-operator")


def environment(rendered: Any) -> dict[str, str]:
    (container,) = rendered.one("Deployment")["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


def ports(rendered: Any) -> set[int]:
    """Ports that the operator may connect to."""
    rules = rendered.one("NetworkPolicy", "bitagent-operator-operator")["spec"]["egress"]
    return {port["port"] for rule in rules for port in rule["ports"]}


def test_without_an_endpoint_there_are_none(helm: Any) -> None:
    rendered = helm.render()
    assert VARIABLE not in environment(rendered)
    assert ports(rendered) == {53, 443, 6443, 8081}


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [
        pytest.param("http://collector.monitoring:4318", 4318, id="the usual port"),
        pytest.param("http://collector.monitoring:14318/v1/custom:1", 14318, id="another port and a path"),
        pytest.param("http://[fd00::7]:4319", 4319, id="IPv6"),
        pytest.param("http://collector.monitoring", 80, id="http"),
        pytest.param("https://collector.monitoring/otlp", 443, id="https"),
    ],
)
def test_the_operator_knows_the_collector_and_reaches_it(helm: Any, endpoint: str, port: int) -> None:
    rendered = helm.render({"tracing": {"endpoint": endpoint}})
    assert environment(rendered)[VARIABLE] == endpoint
    rules = rendered.one("NetworkPolicy", "bitagent-operator-operator")["spec"]["egress"]
    assert rules[-1] == {"to": [{"namespaceSelector": {}}], "ports": [{"protocol": "TCP", "port": port}]}


def test_rules_of_ones_own(helm: Any) -> None:
    rules = [{"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}], "ports": [{"protocol": "TCP", "port": 443}]}]
    values = {"tracing": {"endpoint": "https://c"}, "networkPolicy": {"tracing": rules}}
    egress = helm.render(values).one("NetworkPolicy", "bitagent-operator-operator")["spec"]["egress"]
    assert egress[-1:] == rules


def test_rules_of_ones_own_apply_to_an_endpoint_of_the_environment(helm: Any) -> None:
    rules = [{"to": [{"namespaceSelector": {}}], "ports": [{"protocol": "TCP", "port": 4319}]}]
    assert 4319 in ports(helm.render({"networkPolicy": {"tracing": rules}}))


def test_without_rules_the_collector_is_not_reached(helm: Any) -> None:
    values = {"tracing": {"endpoint": "http://c:4318"}, "networkPolicy": {"tracing": []}}
    assert 4318 not in ports(helm.render(values))


@pytest.mark.parametrize("endpoint", ["collector:4318", "http://", 7], ids=["no scheme", "no host", "no text"])
def test_refused(helm: Any, endpoint: object) -> None:
    assert "tracing" in helm.refusal({"tracing": {"endpoint": endpoint}})
