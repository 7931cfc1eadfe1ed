"""Liveness of the rewriter's server: requests without progress, and a server that does not answer."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from bitagent_evaluator.engines.stall import STALL_SECONDS, EngineProgress, after, main


def metrics(*, running: float = 1, prompt: float = 10, generated: float = 5) -> str:
    return f"""# HELP vllm:num_requests_running Number of requests.
vllm:num_requests_running{{engine="0",model_name="rewriter"}} {running}
vllm:prompt_tokens_total{{engine="0",model_name="rewriter"}} {prompt}
vllm:generation_tokens_total{{engine="0",model_name="rewriter"}} {generated}
vllm:generation_tokens_created{{engine="0",model_name="rewriter"}} 1.79e+09
"""


@pytest.mark.parametrize(
    ("text", "since"),
    [
        pytest.param(metrics(), 100, id="requests, and no token is new"),
        pytest.param(metrics(generated=6), 160, id="tokens were generated"),
        pytest.param(metrics(prompt=20), 160, id="a prompt was read"),
        pytest.param(metrics(running=0), 160, id="no request"),
        pytest.param("", 160, id="no metrics"),
    ],
)
def test_progress(text: str, since: float) -> None:
    assert after(EngineProgress(15, 100), text, now=160).since == since


def test_the_first_probe_begins_to_count() -> None:
    assert after(None, metrics(), now=160) == EngineProgress(15, 160)


@pytest.fixture
def server() -> Iterator[Any]:
    """A server whose health and metrics tests set."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = made.health if self.path == "/health" else 200  # type: ignore[attr-defined]
            self.send_response(found)
            self.end_headers()
            self.wfile.write(made.text.encode())  # type: ignore[attr-defined]

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    made = HTTPServer(("127.0.0.1", 0), Handler)
    made.health, made.text = 200, metrics()  # type: ignore[attr-defined]
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def probe(server: Any, memory: Path) -> int:
    return main([f"--port={server.server_port}", f"--memory={memory}"])


def test_a_stall_is_found_and_ends_with_the_next_token(server: Any, tmp_path: Path) -> None:
    memory = tmp_path / "stall.json"
    assert probe(server, memory) == 0
    seen = json.loads(memory.read_text())
    memory.write_text(json.dumps(seen | {"since": time.time() - STALL_SECONDS}))
    assert probe(server, memory) == 1
    server.text = metrics(generated=6)
    assert probe(server, memory) == 0


def test_an_engine_that_is_dead_is_not_alive(server: Any, tmp_path: Path) -> None:
    server.health = 503
    assert probe(server, tmp_path / "stall.json") == 1


def test_a_memory_that_cannot_be_read_is_begun_again(server: Any, tmp_path: Path) -> None:
    (tmp_path / "stall.json").write_text("[")
    assert probe(server, tmp_path / "stall.json") == 0


def test_a_server_that_does_not_listen_is_not_alive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port=9", f"--memory={tmp_path / 'm'}"]) == 1
    assert "does not answer" in capsys.readouterr().err
