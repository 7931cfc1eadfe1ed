"""An OpenAI-compatible endpoint on the loopback device whose every answer is scripted."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass(frozen=True)
class Answer:
    """What the stand-in sends. `hang` sends nothing until the test is over."""

    status: int = 200
    body: Any = None
    """JSON, or bytes as they are."""
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False


@dataclass(frozen=True)
class Request:
    """What the stand-in was asked."""

    path: str
    headers: dict[str, str]
    """By lower-case name."""
    body: dict[str, Any]

    @property
    def question(self) -> str:
        """The last message, or the prompt."""
        asked = self.body["messages"][-1]["content"] if "messages" in self.body else self.body["prompt"]
        assert isinstance(asked, str)
        return asked


def said(text: str | None, *, cut_off: bool = False, calls: list[tuple[str, str]] = []) -> Answer:  # noqa: B006
    """A chat completion."""
    tool_calls = [{"id": "1", "type": "function", "function": {"name": n, "arguments": a}} for n, a in calls]
    message = {"role": "assistant", "content": text} | ({"tool_calls": tool_calls} if calls else {})
    choice = {"index": 0, "message": message, "text": text, "finish_reason": "length" if cut_off else "stop"}
    return Answer(body={"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})


def problem(status: int, message: str = "no", **headers: str) -> Answer:
    """An error in the API's form."""
    return Answer(status, {"error": {"message": message, "type": "x", "code": None}}, headers)


class Server(ThreadingHTTPServer):
    """Whose clients may hang up."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing to say: a test looks at what the client made of it."""


class StandIn:
    """Answers by `script(request)`; tests replace it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.script: Callable[[Request], Answer] = lambda request: said(request.question)
        self.open = self.most_open = 0
        self._lock, self._over = threading.Lock(), threading.Event()
        self._server = Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def says(self, *answers: Answer) -> None:
        """These answers one after the other, the last one for ever."""
        left = list(answers)

        def script(_: Request) -> Answer:
            with self._lock:
                return left.pop(0) if len(left) > 1 else left[0]

        self.script = script

    def close(self) -> None:
        """Release whoever hangs, and stop."""
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, request: Request) -> Answer:
        with self._lock:
            self.requests.append(request)
            self.open += 1
            self.most_open = max(self.open, self.most_open)
        try:
            answer = self.script(request)
            if answer.hang:
                self._over.wait(30)
            return answer
        finally:
            with self._lock:
                self.open -= 1

    def _handler(stand_in) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                answer = stand_in._answer(
                    Request(self.path, {k.lower(): v for k, v in self.headers.items()}, json.loads(content))
                )
                body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                try:
                    self.send_response(answer.status)
                    for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:  # the client gave up waiting
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        return Handler


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """An endpoint that repeats what it is asked until told otherwise."""
    made = StandIn()
    yield made
    made.close()


@pytest.fixture
def script() -> Any:
    """How to write answers, since test modules cannot import this file."""

    class Script:
        answer, said, problem = Answer, staticmethod(said), staticmethod(problem)

    return Script
