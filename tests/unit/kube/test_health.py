"""Probes and metrics."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from aiohttp import ClientSession
from prometheus_client import CollectorRegistry, Counter

from bitagent_kube.health import Health, serve

Ports = Callable[[], int]


def test_it_is_alive_until_heartbeats_stay_away() -> None:
    now = 0.0
    health = Health(limit_seconds=300, stalled="", unready="", clock=lambda: now)
    now = 10_000
    assert health.alive, "before the first heartbeat the start-up decides"
    health.beat()
    now += 299
    assert health.alive
    health.beat()
    now += 299
    assert health.alive
    now += 1
    assert not health.alive


async def test_probes_and_metrics_are_served(unused_tcp_port_factory: Ports) -> None:
    now, ports = 0.0, (unused_tcp_port_factory(), unused_tcp_port_factory())
    health = Health(limit_seconds=300, stalled="it hangs", unready="not yet", clock=lambda: now)
    registry = CollectorRegistry()
    Counter("things_total", "Things.", registry=registry)
    async with serve(health, registry, health_port=ports[0], metrics_port=ports[1]), ClientSession() as web:

        async def get(port: int, path: str) -> tuple[int, str]:
            answer = await web.get(f"http://127.0.0.1:{port}{path}")
            return answer.status, await answer.text()

        assert await get(ports[0], "/readyz") == (503, "not yet")
        health.ready = True
        health.beat()
        assert await get(ports[0], "/readyz") == (200, "ok")
        health.problems |= {"a": "a is missing", "b": "b fails"}
        assert await get(ports[0], "/readyz") == (503, "a is missing; b fails")
        health.problems.clear()
        assert await get(ports[0], "/healthz") == (200, "ok")
        now = 301
        assert await get(ports[0], "/healthz") == (503, "it hangs")
        status, text = await get(ports[1], "/metrics")
        assert (status, "things_total" in text) == (200, True)
        assert (await get(ports[0], "/metrics"))[0] == 404, "on a port of its own"
    with pytest.raises(OSError, match="onnect"):
        async with ClientSession() as web:
            await web.get(f"http://127.0.0.1:{ports[0]}/healthz")


async def test_a_port_that_is_taken_is_an_error_and_frees_the_other(unused_tcp_port_factory: Ports) -> None:
    first, second = unused_tcp_port_factory(), unused_tcp_port_factory()
    health = Health(limit_seconds=300, stalled="", unready="")
    async with serve(health, CollectorRegistry(), health_port=first, metrics_port=second):
        with pytest.raises(OSError, match="in use"):
            async with serve(health, CollectorRegistry(), health_port=unused_tcp_port_factory(), metrics_port=second):
                pass
