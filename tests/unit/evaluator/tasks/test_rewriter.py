"""The record of a Validator's rewriter in the manifest of a task set."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.jobs import RewriterAddress
from bitagent_crds.minermodel import DType, EngineChoices
from bitagent_evaluator.alterations.rewrite_cache import REWRITES
from bitagent_evaluator.tasks.rewriter import forget_others, record_of, server_version


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that says its version, or what the test's parameter is."""
    answer: bytes = getattr(request, "param", b'{"version": "1.2.3"}')

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/version"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    made = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}/v1"
    made.shutdown()
    made.server_close()
    thread.join()


def test_it_has_what_decided_the_rewordings(server: str) -> None:
    choices = EngineChoices(dtype=DType.FLOAT16)
    found = record_of(
        RewriterAddress(url=server, model="rewriter", repo="org/r", commit="a" * 40, engine=choices, image="e:1")
    )
    assert found.model_dump() == {
        "repo": "org/r",
        "commit": "a" * 40,
        "choices": {"dtype": "Float16"},
        "image": "e:1",
        "engine": "vllm 1.2.3",
    }


@pytest.mark.parametrize("server", [b"[]", b'{"version": 1}', b"<html>", b""], indirect=True)
def test_any_other_answer_is_no_version(server: str) -> None:
    assert server_version(server) == ""


def test_a_server_that_does_not_say_its_version_is_recorded_without() -> None:
    assert server_version("http://127.0.0.1:9/v1") == ""
    assert record_of(RewriterAddress(url="http://127.0.0.1:9/v1", model="r", repo="o/r", commit="a" * 40)).engine == ""


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        pytest.param({}, True, id="the same"),
        pytest.param({"url": "http://elsewhere:1/v1"}, True, id="elsewhere"),
        pytest.param({"commit": "b" * 40}, False, id="another commit"),
        pytest.param({"engine": EngineChoices(dtype=DType.FLOAT16)}, False, id="other choices"),
        pytest.param({"image": "e:2"}, False, id="another image"),
    ],
)
def test_responses_of_another_rewriter_are_forgotten(tmp_path: Path, change: dict[str, Any], kept: bool) -> None:
    first = RewriterAddress(url="http://x:1/v1", model="r", repo="o/r", commit="a" * 40, image="e:1")
    forget_others(tmp_path, first)
    (tmp_path / REWRITES).write_text("{}")
    forget_others(tmp_path, first.model_copy(update=change))
    assert (tmp_path / REWRITES).exists() is kept


def test_responses_without_a_mark_are_forgotten(tmp_path: Path) -> None:
    (tmp_path / REWRITES).write_text("{}")
    forget_others(tmp_path, RewriterAddress(url="http://x:1/v1", model="r", repo="o/r", commit="a" * 40))
    assert not (tmp_path / REWRITES).exists()
