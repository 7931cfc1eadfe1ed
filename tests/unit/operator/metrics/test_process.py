"""What a process exports of the namespaces that it watches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bitagent_operator.metrics.counters import Metrics
from bitagent_operator.metrics.process import process_registry


def test_samples_have_their_namespace() -> None:
    a, b = Metrics(), Metrics()
    a.leader.set(1)
    b.request("GET", 200)
    registry = process_registry({"a": a.registry, "b": b.registry})
    assert registry.get_sample_value("bitagent_operator_leader", {"namespace": "a"}) == 1
    assert registry.get_sample_value("bitagent_operator_leader", {"namespace": "b"}) == 0
    requests = {"namespace": "b", "method": "GET", "code": "200"}
    assert registry.get_sample_value("bitagent_operator_api_requests_total", requests) == 1


def test_a_family_of_several_namespaces_is_exported_once() -> None:
    text = generate_latest(process_registry({n: Metrics().registry for n in ("a", "b")})).decode()
    types = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(types) == len(set(types))
    assert "bitagent_operator_evaluation_phase_seconds" in types


def test_the_process_has_no_namespace() -> None:
    text = generate_latest(process_registry({"a": Metrics().registry})).decode()
    assert "\nprocess_resident_memory_bytes " in text
    assert "bitagent_operator_build_info{version=" in text


class Failing(Collector):
    """Metrics of an object that they cannot be made of."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("before", "made before the error", value=1)
        raise ValueError("a bug")


def test_an_error_in_one_namespace_costs_no_metrics_of_another(caplog: pytest.LogCaptureFixture) -> None:
    good, bad = Metrics(), CollectorRegistry()
    good.leader.set(1)
    registry = process_registry({"bad": bad, "good": good.registry})
    bad.register(Failing())
    for _ in range(2):
        assert registry.get_sample_value("bitagent_operator_leader", {"namespace": "good"}) == 1
        assert registry.get_sample_value("before", {"namespace": "bad"}) == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"], "logged once"
