"""What the doubles of the local world share: answers in JSON, and a server that runs until it is stopped."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any


class JsonHandler(BaseHTTPRequestHandler):
    """Answers requests in JSON, and logs none."""

    timeout = 30

    def log_message(self, *_: Any) -> None:
        """Log no requests."""

    def reply(self, status: HTTPStatus, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        """Send one answer."""
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def serve_until_stopped(served: HTTPServer, what: str) -> None:
    """Serve until SIGTERM or SIGINT; say first what is served, and on which port."""

    def stop(*_: object) -> None:
        Thread(target=served.shutdown).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    print(f"{what} on port {served.server_port}", file=sys.stderr, flush=True)
    served.serve_forever()
    served.server_close()
