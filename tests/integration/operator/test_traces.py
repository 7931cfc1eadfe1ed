"""The trace of a round on a real API server, as a collector receives it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.operator.conftest import World

pytestmark = pytest.mark.integration


class Collector:
    """Keeps the spans that it is sent."""

    def __init__(self) -> None:
        spans = self.spans = list[dict[str, Any]]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                spans.extend(s for r in sent["resourceSpans"] for scope in r["scopeSpans"] for s in scope["spans"])
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Collector:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


def test_a_round_and_its_weights_are_one_trace(world: World, collector: Collector) -> None:
    world.constants["bitagent_operator.tracing.exporter:LOOK_SECONDS"] = 0.1
    world.start_operator(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    world.round("r")
    world.model("m-500")
    done = world.until_condition("evalrounds", "r", "Complete")
    names = {"round r", "wait for the start", "fetch m-500", "task set", "evaluate m-500", "load", "generate", "score"}
    world.until("its trace", lambda: names <= {span["name"] for span in collector.spans})
    tasks = {"sources": [{"bfcl": {"categories": ["simple_python"]}}], "count": 9}
    template = {"models": {"matchLabels": {}}, "tasks": tasks}
    spec = {
        "netuid": 20,
        "suspend": True,
        "chain": {"endpoints": ["ws://chain:9944"]},
        "wallet": {"hotkeySecretRef": {"name": "wallet", "key": "hotkey"}},
        "competitions": [{"id": "main", "schedule": {"everyBlocks": 360}, "round": template}],
    }
    world.create("validators", "Validator", "v", spec)
    weights = {"block": 7, "at": done["status"]["finishedAt"], "rounds": ["r"], "digest": "sha256:" + "0" * 64}
    status = {"status": {"lastWeights": weights | {"extrinsic": "7-1", "hotkeys": 1}}}
    world.api.merge(world.path("validators", "v") + "/status", status)
    world.until("the weights", lambda: "weights" in {span["name"] for span in collector.spans})
    assert {span["traceId"] for span in collector.spans} == {done["metadata"]["uid"].replace("-", "")}
    (root,) = [span for span in collector.spans if "parentSpanId" not in span]
    known = {span["spanId"] for span in collector.spans}
    assert all(span.get("parentSpanId", root["spanId"]) in known for span in collector.spans)
    assert len(known) == len(collector.spans), "each once"
