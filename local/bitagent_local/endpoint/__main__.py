"""`python -m bitagent_local.endpoint --tasks FILE`: serve /v1/chat/completions and /healthz until SIGTERM."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bitagent_local.endpoint.answers import Answers, UnknownModel, completion, known_answers
from bitagent_local.endpoint.running import JsonHandler, serve_until_stopped

LARGEST = 1 << 20


class Handler(JsonHandler):
    """Answers one request."""

    def __init__(self, known: Answers, *rest: Any) -> None:
        self._known = known
        super().__init__(*rest)

    def do_GET(self) -> None:  # noqa: N802 - called by http.server
        """Say that the process lives."""
        self.reply(HTTPStatus.OK if self.path == "/healthz" else HTTPStatus.NOT_FOUND, {})

    def do_POST(self) -> None:  # noqa: N802 - called by http.server
        """Complete a chat."""
        size = self.headers.get("Content-Length", "")
        if self.path != "/v1/chat/completions":
            self.reply(HTTPStatus.NOT_FOUND, {"error": {"message": "only /v1/chat/completions is served"}})
            return
        if not size.isdecimal() or int(size) > LARGEST:
            self.reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"error": {"message": f"at most {LARGEST} bytes"}})
            return
        try:
            self.reply(HTTPStatus.OK, completion(self._known, json.loads(self.rfile.read(int(size)))))
        except UnknownModel as error:
            self.reply(HTTPStatus.NOT_FOUND, {"error": {"message": str(error)}})
        except ValueError as error:
            self.reply(HTTPStatus.BAD_REQUEST, {"error": {"message": str(error)}})


def server(known: Answers, host: str, port: int) -> ThreadingHTTPServer:
    """Return a server that is bound."""
    return ThreadingHTTPServer((host, port), partial(Handler, known))


def main() -> int:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m bitagent_local.endpoint", description=__doc__)
    parser.add_argument("--tasks", type=Path, required=True, help="file of tasks, as of a JSONL source")
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=8000, help="default %(default)s")
    options = parser.parse_args()
    with options.tasks.open(encoding="utf-8") as lines:
        known = known_answers(lines)
    served = server(known, options.host, options.port)
    serve_until_stopped(served, f"{len(known)} questions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
