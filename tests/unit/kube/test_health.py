"""Probes and metrics."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from aiohttp import ClientSession
from prometheus_client import CollectorRegistry, Counter

from bitagent_kube.health import Health, Parts, serve

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


def part(*, ready: bool = True, late: bool = False, problem: str = "") -> Health:
    health = Health(limit_seconds=1, stalled="it hangs", unready="not yet", ready=ready, clock=lambda: 0)
    if late:
        health.beat()
        health.clock = lambda: 9
    health.problems |= {"p": problem} if problem else {}
    return health


@pytest.mark.parametrize(
    ("parts", "alive", "unreadiness"),
    [
        pytest.param({"a": part(), "b": part()}, True, "", id="all well"),
        pytest.param({"a": part(), "b": part(ready=False)}, True, "b: not yet", id="one is not ready"),
        pytest.param({"a": part(problem="x"), "b": part(problem="y")}, True, "a: x; b: y", id="troubles"),
        pytest.param({"a": part(problem="x")}, True, "x", id="a single one needs no name"),
        pytest.param({"a": part(late=True), "b": part()}, True, "", id="one hangs"),
        pytest.param({"a": part(late=True), "b": part(late=True)}, False, "", id="all hang"),
    ],
)
def test_parts_fail_apart(parts: dict[str, Health], alive: bool, unreadiness: str) -> None:
    found = Parts(parts)
    assert (found.alive, found.unreadiness) == (alive, unreadiness)
    assert "it hangs" in found.stalled


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
