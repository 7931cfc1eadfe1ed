"""Logs, probes and metrics."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TYPE_CHECKING

import pytest
from aiohttp import ClientSession
from prometheus_client import generate_latest

from bitagent_operator.health import MISSED_LISTS, Health, serve
from bitagent_operator.logs import JsonFormatter
from bitagent_operator.metrics import Metrics, StateCollector
from bitagent_operator.store import Store

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make


def test_a_log_line_is_one_json_object() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.LogRecord("x", logging.WARNING, "f", 1, "model %s", ("é",), sys.exc_info())
    line = JsonFormatter().format(record)
    entry = json.loads(line)
    assert "\n" not in line
    assert (entry["level"], entry["message"]) == ("warning", "model é")
    assert "two\nlines" in entry["traceback"]


def test_health_follows_the_full_lists() -> None:
    health = Health(relist_seconds=10)
    assert (health.ready, health.alive) == (False, True)
    health.synced()
    assert (health.ready, health.alive) == (True, True)
    health.synced_at = time.monotonic() - MISSED_LISTS * 10 - 61
    assert not health.alive


async def test_probes_and_metrics_are_served(unused_tcp_port_factory: pytest.FixtureRequest) -> None:
    ports = [unused_tcp_port_factory(), unused_tcp_port_factory()]  # type: ignore[operator]
    health, metrics = Health(relist_seconds=10), Metrics()
    async with serve(health, metrics.registry, health_port=ports[0], metrics_port=ports[1]), ClientSession() as web:
        base = f"http://127.0.0.1:{ports[0]}"
        assert (await web.get(f"{base}/readyz")).status == 503
        health.synced()
        assert (await web.get(f"{base}/readyz")).status == 200
        assert (await web.get(f"{base}/healthz")).status == 200
        text = await (await web.get(f"http://127.0.0.1:{ports[1]}/metrics")).text()
    assert "bitagent_operator_reconciles_total" in text


def test_states_are_counted_from_the_store(make: Make) -> None:
    store, metrics = Store(), Metrics()
    metrics.registry.register(StateCollector(store))
    store.put("MinerModel", make.model_raw("a", fetched=True))
    store.put("MinerModel", make.model_raw("b", fetched="CorruptWeights"))
    store.put("MinerModel", make.model_raw("c", fetched="HubUnavailable"))
    store.put("MinerModel", make.model_raw("d"))
    store.put("EvalRound", make.round_raw("r", status={"phase": "Running", "results": [{"model": "a"}]}))
    text = generate_latest(metrics.registry).decode()
    for line in (
        'bitagent_models{state="Fetched"} 1.0',
        'bitagent_models{state="Rejected"} 1.0',
        'bitagent_models{state="Failed"} 1.0',
        'bitagent_models{state="Fetching"} 1.0',
        'bitagent_rounds{phase="Running"} 1.0',
        'bitagent_rounds{phase="Complete"} 0.0',
        'bitagent_round_results{state="Pending"} 1.0',
    ):
        assert line in text
