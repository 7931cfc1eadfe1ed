"""The hub over HTTP, with the standard library: one thread for each connection."""

from __future__ import annotations

import json
import logging
import socket
import struct
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from bitagent_local.hub.answers import Answer, Hub, Request
from bitagent_local.hub.faults import BrokenDownload, Ending, HubFaultRequest, HubFaults

log = logging.getLogger(__name__)

CHUNK = 1 << 18
HEALTH_PATH = "/healthz"


class HubServer(ThreadingHTTPServer):
    """Serves one hub."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, hub: Hub, *, host: str, port: int) -> None:
        super().__init__((host, port), Handler)
        self.hub = hub
        self.faults = HubFaults()

    @property
    def port(self) -> int:
        """The port that was bound."""
        return int(self.server_address[1])


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: HubServer

    def do_GET(self) -> None:
        """Answer a request."""
        self._serve()

    def do_HEAD(self) -> None:
        """Answer a request without a body."""
        self._serve()

    def do_POST(self) -> None:
        """Answer a request."""
        self._serve()

    def do_DELETE(self) -> None:
        """Answer a request."""
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        """Log nothing here; ``_serve`` logs requests."""

    def _serve(self) -> None:
        address = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if address.path.startswith("/_admin/"):
            self._send(self._admin(address.path, body))
            return
        scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
        request = Request(
            method=self.command,
            path=address.path,
            query=address.query,
            token=token if scheme.lower() == "bearer" and token else None,
            range=self.headers.get("Range"),
            body=body,
        )
        if address.path == HEALTH_PATH:
            self._send(self.server.hub.answer(request))
            return
        faults = self.server.faults
        if faults.unavailable():
            answer = Answer(HTTPStatus.SERVICE_UNAVAILABLE, {"X-Error-Message": "unavailable for a test"})
        else:
            answer = self.server.hub.answer(request)
        name, download = _file_name(address.path), self.command != "HEAD" and answer.file is not None
        fault = faults.download(name, answer.length) if name and download else None
        sent = 0 if self.command == "HEAD" else fault.after_bytes if fault else answer.length
        # Recorded before it is sent: once a client has its answer, its request is in the list.
        faults.record(
            method=request.method,
            path=unquote(request.path),
            range=request.range,
            authenticated=request.token is not None,
            status=int(answer.status),
            bytes=sent,
        )
        log.info("%s %s %s -> %d, %d bytes", request.method, self.path, request.range or "", answer.status, sent)
        try:
            self._send(answer, fault)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _send(self, answer: Answer, fault: BrokenDownload | None = None) -> None:
        self.send_response(answer.status)
        for header, value in answer.headers.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(answer.length))
        self.end_headers()
        if self.command == "HEAD":
            return
        if answer.file is None:
            self.wfile.write(answer.body)
            return
        end = answer.start + fault.after_bytes if fault else answer.end
        with answer.file.open("rb") as content:
            content.seek(answer.start)
            for at in range(answer.start, end, CHUNK):
                self.wfile.write(content.read(min(CHUNK, end - at)))
        if fault:
            self._break(fault)

    def _break(self, fault: BrokenDownload) -> None:
        self.wfile.flush()
        self.close_connection = True
        if fault.ending is Ending.STALL:
            self.server.faults.wait_until_lifted()
        if fault.ending is Ending.RESET:
            abort_on_close = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, abort_on_close)
            self.connection.close()

    def _admin(self, path: str, body: bytes) -> Answer:
        faults = self.server.faults
        match self.command, path:
            case "POST", "/_admin/faults":
                try:
                    faults.apply(request := HubFaultRequest.model_validate_json(body))
                except ValidationError as error:
                    return _json({"error": str(error)}, HTTPStatus.BAD_REQUEST)
                return _json(request.model_dump(mode="json"))
            case "GET", "/_admin/requests":
                return _json(faults.requests())
            case "DELETE", "/_admin/requests":
                faults.forget()
                return _json([])
        known = "POST /_admin/faults, GET /_admin/requests, DELETE /_admin/requests"
        return _json({"error": f"no {self.command} {path} here; there are {known}"}, HTTPStatus.NOT_FOUND)


def _file_name(path: str) -> str | None:
    """Return OWNER/NAME/FILE of a download, as faults match it; None for other requests."""
    parts = unquote(path).strip("/").removeprefix("datasets/").split("/")
    return "/".join([*parts[:2], *parts[4:]]) if len(parts) >= 5 and parts[2] == "resolve" else None


def _json(content: Any, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(content).encode())
