"""A fault in the cluster reaches whoever is on call: operator, Prometheus, Alertmanager and a webhook, all real."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bitagent_local.cluster.binaries import ensure_binaries
from bitagent_local.cluster.monitoring import alertmanager, monitoring_tools
from bitagent_local.cluster.ports import free_ports

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Exit, Obj, Outcomes, World

pytestmark = pytest.mark.integration

CHART = Path(__file__).parents[3] / "charts" / "bitagent-operator"


class Pager:
    """A webhook: the alerts that it was sent, the last state of each by name."""

    def __init__(self) -> None:
        received = self.received = dict[str, Any]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                received.update({alert["labels"]["alertname"]: alert for alert in sent["alerts"]})
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Pager:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def state(self, alert: str) -> str | None:
        """`firing` or `resolved`; None if it was never sent."""
        return self.received.get(alert, {}).get("status")


def _rules() -> Any:
    """The chart's rules, without the time for which a fault must last."""
    command = [
        str(ensure_binaries().helm), "template", "r", str(CHART), "--set", "metrics.prometheusRule.enabled=true",
        "--show-only", "templates/prometheusrule.yaml",
    ]  # fmt: skip
    rendered = subprocess.run(command, capture_output=True, text=True, check=True)
    spec = yaml.safe_load(rendered.stdout)["spec"]
    for group in spec["groups"]:
        for rule in group["rules"]:
            rule.pop("for", None)
    return spec


@contextmanager
def _monitoring(folder: Path, *, scraped: int, pager: Pager) -> Iterator[None]:
    """Prometheus with the chart's rules, scraping the operator, and Alertmanager, sending to the pager."""
    query, alerts = free_ports(2)
    target = {"targets": [f"127.0.0.1:{scraped}"], "labels": {"namespace": "bitagent"}}
    files = {
        "rules.yaml": _rules(),
        "prometheus.yaml": {
            "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
            "rule_files": ["rules.yaml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alerts}"]}]}]},
            "scrape_configs": [{"job_name": "bitagent", "static_configs": [target]}],
        },
        "alertmanager.yaml": {
            "route": {"receiver": "pager", "group_wait": "0s", "group_interval": "1s", "group_by": ["..."]},
            "receivers": [{"name": "pager", "webhook_configs": [{"url": pager.url, "send_resolved": True}]}],
        },
    }
    for name, content in files.items():
        (folder / name).write_text(yaml.safe_dump(content))
    commands = {
        "alertmanager": alertmanager(
            "--config.file=alertmanager.yaml", "--storage.path=alertmanager", "--cluster.listen-address=",
            f"--web.listen-address=127.0.0.1:{alerts}",
        ),
        "prometheus": [
            str(monitoring_tools() / "prometheus"), "--config.file=prometheus.yaml", "--storage.tsdb.path=data",
            f"--web.listen-address=127.0.0.1:{query}",
        ],
    }  # fmt: skip
    running = []
    try:
        for name, command in commands.items():
            with (folder / f"{name}.log").open("wb") as log:
                running.append(subprocess.Popen(command, cwd=folder, stdout=log, stderr=log))
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def test_a_failed_round_and_a_dead_operator_reach_a_webhook(world: World, outcomes: Outcomes, tmp_path: Path) -> None:
    def script(pod: Obj, document: Obj) -> Exit | None:
        if document["kind"] == "TaskSet":
            return outcomes.refused("TasksFailed", "no row matches")
        return outcomes.usual(pod, document)

    (port,) = free_ports(1)
    config = Path(world.environment["BITAGENT_CONFIG"])
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {"metricsPort": port}))
    world.kubelet.script = script
    with Pager() as pager, _monitoring(tmp_path, scraped=port, pager=pager):
        world.start_operator()
        world.model("m-500")
        world.round("doomed")
        world.until_condition("evalrounds", "doomed", "Failed")
        world.until("alert", lambda: pager.state("BitagentRoundFailed") == "firing")
        alert = pager.received["BitagentRoundFailed"]
        assert alert["labels"]["round"] == "doomed"
        assert alert["labels"]["severity"] == "critical"
        assert alert["annotations"]["runbook_url"] == "docs/alerts.md#bitagentroundfailed"
        world.until("operator acts", lambda: pager.state("BitagentOperatorDown") in (None, "resolved"))
        world.kill_operator()
        world.until("alert", lambda: pager.state("BitagentOperatorDown") == "firing")
        world.start_operator()
        world.until("end of the alert", lambda: pager.state("BitagentOperatorDown") == "resolved")
