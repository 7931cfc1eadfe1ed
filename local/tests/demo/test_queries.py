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
        {"title": "of a round", "targets": [{"expr": 'only{round="$round"}'}]},
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
            found = ["a series"] if asked.startswith(("known", "rate(known[1h])", 'only{round="r-1"}')) else []
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
    (found,) = queries.answers(prometheus, round="r-1")
    assert found == queries.Answers("one", 4, ("nothing",))
    assert "3 of 4" in queries.table([found])
    assert "nothing" in queries.table([found])


def full(panels: int) -> list[queries.Answers]:
    return [queries.Answers("one", 9, tuple("x" * (9 - panels)))]


@pytest.mark.parametrize(
    ("scraped", "shown", "expected"),
    [
        pytest.param([["p"]] * 5, [3, 5, 5, 5], 5, id="more and more"),
        pytest.param([["p"]] * 5, [5, 5, 5], 5, id="at once"),
        pytest.param([[], [], [], ["p"]], [1, 1, 1, 4, 4, 4], 4, id="a pod that is not scraped yet"),
    ],
)
def test_data_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, scraped: list[list[str]], shown: list[int], expected: int
) -> None:
    ups, numbers = iter(scraped), iter(shown)
    pods = scraped[-1]
    monkeypatch.setattr(queries, "PACE_SECONDS", 0)
    monkeypatch.setattr(queries, "ask", lambda *_, **__: [{"metric": {"pod": each}} for each in next(ups, pods)])
    monkeypatch.setattr(queries, "answers", lambda *_, **__: full(next(numbers)))
    assert queries.settled("", ["p"]) == full(expected)
    assert list(numbers) == []


def test_a_pod_that_never_answers_does_not_hold_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "PACE_SECONDS", 0)
    monkeypatch.setattr(queries, "ask", lambda *_, **__: [])
    monkeypatch.setattr(queries, "answers", lambda *_, **__: full(2))
    assert queries.settled("", ["p"], seconds=0.01) == full(2)


def test_a_refused_query_is_named(prometheus: str) -> None:
    with pytest.raises(ClusterError, match="refused"):
        queries.ask(prometheus, "query", query="refused")


def test_the_charts_dashboards_have_panels() -> None:
    assert {name: bool(list(queries.panels(board))) for name, board in queries.boards().items()} == {
        "cluster": True,
        "fleet": True,
        "round": True,
    }
