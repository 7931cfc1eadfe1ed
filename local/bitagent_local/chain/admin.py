"""An HTTP interface for tests: inspect the chain, switch faults on, register a neuron.

    GET  /state     block, finality, neurons, weights by hotkey, included extrinsics, active faults
    GET  /healthz   number of the head: the event loop runs
    POST /faults    see ``faults.ChainFaultRequest``
    POST /neurons   see ``seed.Neuron``; registers a hotkey, or changes a registered one

Requests are received in threads and executed on the chain's event loop, the only place where the chain is accessed.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bitagent_local.chain.faults import ChainFaultRequest
from bitagent_local.chain.seed import Neuron
from bitagent_local.chain.server import HEALTH_PATH, Server

Route = Callable[[Server, bytes], Any]

ANSWER_SECONDS = 30


def _state(server: Server, body: bytes) -> Any:
    return server.describe()


def _health(server: Server, body: bytes) -> Any:
    return {"block": server.node.blocks.head.number}


def _faults(server: Server, body: bytes) -> Any:
    server.apply_faults(ChainFaultRequest.model_validate_json(body))
    return server.faults.describe()


def _neurons(server: Server, body: bytes) -> Any:
    neuron = Neuron.model_validate_json(body)
    return {"uid": server.node.register(neuron), "hotkey": neuron.hotkey}


ROUTES: dict[tuple[str, str], Route] = {
    ("GET", "/state"): _state,
    ("GET", HEALTH_PATH): _health,
    ("POST", "/faults"): _faults,
    ("POST", "/neurons"): _neurons,
}


class Admin:
    """The HTTP listener, open between ``start`` and ``stop``."""

    def __init__(self, server: Server, *, host: str, port: int) -> None:
        self._http = ThreadingHTTPServer((host, port), _handler(server, asyncio.get_running_loop()))
        self._http.daemon_threads = True
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, name="chain-admin", daemon=True
        )

    @property
    def port(self) -> int:
        """The port that was bound."""
        return int(self._http.server_address[1])

    def start(self) -> None:
        """Start to answer requests."""
        self._thread.start()

    def stop(self) -> None:
        """Close the listener."""
        self._http.shutdown()
        self._http.server_close()


def _handler(server: Server, loop: asyncio.AbstractEventLoop) -> type[BaseHTTPRequestHandler]:
    async def run(route: Route, body: bytes) -> Any:
        return route(server, body)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
            """Log nothing: probes and polling would hide the chain's own log."""

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            route = ROUTES.get((self.command, self.path))
            if route is None:
                known = ", ".join(f"{method} {path}" for method, path in ROUTES)
                self._reply(HTTPStatus.NOT_FOUND, {"error": f"no {self.command} {self.path} here; there are {known}"})
                return
            try:
                answer = asyncio.run_coroutine_threadsafe(run(route, body), loop).result(ANSWER_SECONDS)
            except ValueError as error:
                self._reply(HTTPStatus.BAD_REQUEST, {"error": str(error)})
                return
            self._reply(HTTPStatus.OK, answer)

        def _reply(self, status: HTTPStatus, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
