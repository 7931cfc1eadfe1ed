"""Dashboards' queries on a real Prometheus that scrapes a working operator and a validator's metrics."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from prometheus_client import start_http_server

from bitagent_local.cluster.monitoring import monitoring_tools
from bitagent_local.cluster.ports import free_ports
from bitagent_local.demo.queries import boards, filled, panels
from bitagent_validator.metrics import Metrics

if TYPE_CHECKING:
    from tests.integration.operator.conftest import World

pytestmark = pytest.mark.integration

WITHOUT_DATA = {
    "Volumes used": "there is no kubelet",
    "Jobs refused in an hour": "none is refused",
    "Requests for progress": "the pods of the kubelet's double serve none",
    "Tokens generated in all": "they say so in their progress",
}
"""Panels that have nothing to show here, and why."""


class Prometheus:
    """The HTTP API of a Prometheus."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def ask(self, path: str, **parameters: str) -> Any:
        """The result of a query. Raises HTTPError if Prometheus refuses it."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self._url}/{path}?{query}", timeout=60) as answer:
            return json.load(answer)["data"]["result"]

    def run(self, query: dict[str, Any], **values: str) -> Any:
        """The result of a panel's query, as Grafana asks for it."""
        expr, now = filled(query["expr"], **values), time.time()
        if query["instant"]:
            return self.ask("query", query=expr)
        return self.ask("query_range", query=expr, start=str(now - 60), end=str(now), step="5")


@contextmanager
def _prometheus(folder: Path, *, operator: int, validator: int) -> Iterator[Prometheus]:
    (port,) = free_ports(1)
    targets = [
        {"targets": [f"127.0.0.1:{each}"], "labels": {"namespace": "bitagent", "pod": pod}}
        for each, pod in ((operator, "operator-0"), (validator, "alpha-0"))
    ]
    config = {
        "global": {"scrape_interval": "500ms"},
        "scrape_configs": [{"job_name": "bitagent", "static_configs": targets}],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    command = [str(monitoring_tools() / "prometheus"), "--config.file=prometheus.yaml", "--storage.tsdb.path=data"]
    with (folder / "prometheus.log").open("wb") as log:
        listen = f"--web.listen-address=127.0.0.1:{port}"
        process = subprocess.Popen([*command, listen], cwd=folder, stdout=log, stderr=log)
    try:
        yield Prometheus(port)
    finally:
        process.kill()
        process.wait()


def _validator_metrics() -> Metrics:
    """Metrics of a validator, with a series for every label."""
    metrics = Metrics()
    metrics.weights_age_blocks.set(100)
    metrics.blocks_until_inactive.set(4900)
    for gauge in (metrics.round_epoch, metrics.rounds_behind_epochs):
        gauge.labels("tools").set(1)
    metrics.unpaid_hotkeys.labels("tools", "NoResult").set(2)
    metrics.ignored_commitments.labels("NotAModel").set(1)
    metrics.submissions.labels("Included").inc()
    metrics.part_failures.labels("weights").inc()
    return metrics


def test_every_query_is_answered_with_data(world: World, tmp_path: Path) -> None:
    operator, validator = free_ports(2)
    config = Path(world.environment["BITAGENT_CONFIG"])
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {"metricsPort": operator}))
    server, thread = start_http_server(validator, "127.0.0.1", registry=_validator_metrics().registry)
    usual = world.kubelet.script

    def script(pod: dict[str, Any], document: dict[str, Any]) -> Any:
        runs_on = document["kind"] == "Evaluate" and document["repo"].endswith("m-200")
        return None if runs_on else usual(pod, document)

    world.kubelet.script = script
    with _prometheus(tmp_path, operator=operator, validator=validator) as prometheus:
        world.start_operator()
        for name in ("m-100", "m-200"):
            world.model(name)
        world.round("board")
        world.until("one is evaluated", lambda: world.results("board")["m-100"]["state"] == "Succeeded")
        missing: list[str] = []

        def all_answered() -> bool:
            missing[:] = [
                f"{name}: {title}: {query['expr']}"
                for name, board in boards().items()
                for title, queries in panels(board)
                for query in queries
                if not prometheus.run(query, round="board") and title not in WITHOUT_DATA
            ]
            return not missing

        try:
            world.until("every query has data", all_answered, 20)
        except AssertionError:
            raise AssertionError("\n".join(missing)) from None
        for title in WITHOUT_DATA:
            assert title in {t for board in boards().values() for t, _ in panels(board)}
    server.shutdown()
    thread.join()
