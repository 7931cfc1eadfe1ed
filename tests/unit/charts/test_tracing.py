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
    assert 4318 not in ports(rendered)


def test_the_operator_knows_the_collector_and_reaches_it(helm: Any) -> None:
    rendered = helm.render({"tracing": {"endpoint": "http://collector.monitoring:4318"}})
    assert environment(rendered)[VARIABLE] == "http://collector.monitoring:4318"
    assert 4318 in ports(rendered)


def test_rules_of_ones_own(helm: Any) -> None:
    rules = [{"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}], "ports": [{"protocol": "TCP", "port": 443}]}]
    values = {"tracing": {"endpoint": "https://c"}, "networkPolicy": {"tracing": rules}}
    egress = helm.render(values).one("NetworkPolicy", "bitagent-operator-operator")["spec"]["egress"]
    assert egress[-1:] == rules


@pytest.mark.parametrize("endpoint", ["collector:4318", "http://", 7], ids=["no scheme", "no host", "no text"])
def test_refused(helm: Any, endpoint: object) -> None:
    assert "tracing" in helm.refusal({"tracing": {"endpoint": endpoint}})
