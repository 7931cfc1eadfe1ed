"""The progress of an evaluation over HTTP: one small document, read by the operator's pods alone.

It runs beside the evaluation and must never disturb it: one thread, and for each connection one look at what was sent,
one answer and the end, each with a time limit. A port that cannot be opened, or a reader that breaks off, is a line in
the log.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from socketserver import BaseRequestHandler, TCPServer
from typing import Any

from bitagent_crds.progress import PROGRESS_PATH, PROGRESS_PORT, ProgressDocument
from bitagent_evaluator.support.progress import ProgressBoard

REQUEST_SECONDS = 2.0
"""Time in which a request must come, and its answer be taken."""
WAITING_REQUESTS = 512
"""Connections that the kernel keeps for a process that does not answer: the operator sees that it lives."""
_REQUEST_BYTES = 4096
_GET = f"GET {PROGRESS_PATH} HTTP/1.".encode()

_log = logging.getLogger(__name__)


class _Handler(BaseRequestHandler):
    """Answers a GET of the document that comes in one piece, as a small one does, and nothing else."""

    server: _Server
    request: socket.socket

    def handle(self) -> None:
        """Answer, if the request comes in time."""
        self.request.settimeout(REQUEST_SECONDS)
        if self.request.recv(_REQUEST_BYTES).startswith(_GET):
            body = self.server.read().model_dump_json(by_alias=True, exclude_none=True).encode()
            self._answer(HTTPStatus.OK, body)
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"{}")

    def _answer(self, status: HTTPStatus, body: bytes) -> None:
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self.request.sendall(head.encode() + body)


class _Server(TCPServer):
    """Listens on all addresses of the pod, of both families where the system has both."""

    allow_reuse_address = True
    request_queue_size = WAITING_REQUESTS

    def __init__(self, read: Callable[[], ProgressDocument], port: int) -> None:
        self.read = read
        dual = socket.has_dualstack_ipv6()
        self.address_family = socket.AF_INET6 if dual else socket.AF_INET
        super().__init__(("::" if dual else "0.0.0.0", port), _Handler)  # noqa: S104 - the pod's own addresses

    def server_bind(self) -> None:
        """Take connections of IPv4 too."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong with one request."""
        del request, client_address
        _log.debug("a request for the progress failed", exc_info=True)


@contextmanager
def serving(board: ProgressBoard, *, port: int = PROGRESS_PORT) -> Iterator[int | None]:
    """Serve the board's document while the block runs; yield the port, or None if it could not be opened."""
    try:
        server = _Server(board.document, port)
    except OSError as error:
        _log.warning("the progress is not served: port %d cannot be opened: %s", port, error)
        yield None
        return
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="progress", daemon=True)
    thread.start()
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
