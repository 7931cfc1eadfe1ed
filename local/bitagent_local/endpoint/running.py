"""A server of the local world, until it is stopped."""

from __future__ import annotations

import signal
import sys
from http.server import HTTPServer
from threading import Thread


def serve_until_stopped(served: HTTPServer, what: str) -> None:
    """Serve until SIGTERM or SIGINT; say first what is served, and on which port."""

    def stop(*_: object) -> None:
        Thread(target=served.shutdown).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    print(f"{what} on port {served.server_port}", file=sys.stderr, flush=True)
    served.serve_forever()
    served.server_close()
