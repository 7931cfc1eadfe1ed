"""The dashboards' queries, and what is said of their answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from bitagent_local.cluster.host import ClusterError
from bitagent_local.demo import queries

BOARD = {
    "panels": [
        {"title": "a row"},
        {"title": "now", "targets": [{"expr": 'known{round=~"$round"}', "instant": True}]},
        {"title": "then", "targets": [{"expr": "unknown"}, {"expr": "rate(known[$__rate_interval])"}]},
        {"title": "nothing", "targets": [{"expr": "unknown"}]},
    ]
}


@pytest.fixture
def prometheus() -> Iterator[str]:
    """One that knows a single metric, and refuses what is not a query."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)["query"][0]
            found = ["a series"] if asked.startswith(("known", "rate(known[1h])")) else []
            self.send_response(400 if "$" in asked or asked == "refused" else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"data": {"result": found}}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_panels_without_data_are_named(prometheus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "boards", lambda: {"one": BOARD})
    (found,) = queries.answers(prometheus)
    assert found == queries.Answers("one", 3, ("nothing",))
    assert "2 of 3" in queries.table([found])
    assert "nothing" in queries.table([found])


def test_a_refused_query_is_named(prometheus: str) -> None:
    with pytest.raises(ClusterError, match="refused"):
        queries.ask(prometheus, "query", query="refused")


def test_the_charts_dashboards_have_panels() -> None:
    assert {name: bool(list(queries.panels(board))) for name, board in queries.boards().items()} == {
        "cluster": True,
        "fleet": True,
        "round": True,
    }
