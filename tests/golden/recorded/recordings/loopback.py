"""A server on the loopback device: an OpenAI-compatible model, files, a hub with datasets, a Weights & Biases project.

Answers follow from the request alone, so that order and number of requests do not matter.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
"""What every revision of every dataset means."""

Body = dict[str, Any]
Reply = Callable[[Body], Body | int]
"""A request's body to the message of the answer, or to an HTTP status."""


@dataclass
class Loopback:
    """What the server has, and what it was asked."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    """By path, such as `/tasks.jsonl`."""
    datasets: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Files by path, by repository."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """The logged rows of the one run of the Weights & Biases project, in the order of their steps."""
    reply: Reply = lambda body: {"content": "Done."}
    asked: list[tuple[str, Body]] = field(default_factory=list)
    """Path and body of each request to the model."""


def number_of(text: str, below: int) -> int:
    """A number that follows from a text."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) % below


@contextmanager
def loopback() -> Iterator[Loopback]:
    """A server while the block runs."""
    site = Loopback("")
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": site}))
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has read enough and closes the connection is not an error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Loopback

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = urlsplit(self.path).path
        if path == "/graphql":
            return self._send_json(_project(self.site.history, body))
        self.site.asked.append((path, body))
        answer = self.site.reply(body)
        if isinstance(answer, int):
            return self._send_json({"error": {"message": "no", "type": "x", "code": None}}, answer)
        message = {"role": "assistant", **answer}
        choice = {
            "index": 0,
            "message": message,
            "text": message.get("content"),
            "finish_reason": message.pop("finish_reason", "stop"),
        }
        self._send_json({"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/api/datasets/"):
            owner, name, kind, *_ = path.removeprefix("/api/datasets/").split("/")
            files = self.site.datasets[f"{owner}/{name}"]
            return self._send_json(_repository(f"{owner}/{name}", kind, files))
        if path.startswith("/datasets/"):
            owner, name, _, _, rest = path.removeprefix("/datasets/").split("/", 4)
            content = self.site.datasets[f"{owner}/{name}"].get(rest)
        else:
            content = self.site.files.get(path)
        if content is None:
            return self._send(404, b"")
        asked = self.headers.get("Range", "").removeprefix("bytes=")
        if not asked:
            return self._send(200, content)
        first, _, last = asked.partition("-")
        start = int(first) if first else max(0, len(content) - int(last))
        end = min(len(content), int(last) + 1) if first and last else len(content)
        if start >= end:
            return self._send(416, b"")
        self._send(206, content[start:end], {"Content-Range": f"bytes {start}-{end - 1}/{len(content)}"})

    def _send_json(self, content: Any, status: int = 200) -> None:
        self._send(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _repository(repo: str, kind: str, files: dict[str, bytes]) -> Any:
    """The hub's answer about a dataset, or its list of files."""
    if kind == "tree":
        return [{"type": "file", "path": path, "size": len(content), "oid": "0"} for path, content in files.items()]
    siblings = [{"rfilename": path} for path in files]
    return {"id": repo, "sha": COMMIT, "private": False, "downloads": 0, "likes": 0, "tags": [], "siblings": siblings}


def _project(history: list[dict[str, Any]], body: Body) -> Body:
    """The answer of Weights & Biases to a query for runs or for a part of a run's history."""
    asked = body["variables"]
    if "minStep" in asked:
        rows = [json.dumps(row) for row in history if asked["minStep"] <= row["_step"] < asked["maxStep"]]
        return {"data": {"project": {"run": {"history": rows}}}}
    node = {"name": "run-1", "historyKeys": {"lastStep": len(history) - 1}}
    page = {"endCursor": None, "hasNextPage": False}
    return {"data": {"project": {"runs": {"edges": [{"node": node}], "pageInfo": page}}}}
