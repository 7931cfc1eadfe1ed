"""Helpers for tests of any distribution: a hub served from a thread of the test's own process."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bitagent_local.hub import pack
from bitagent_local.hub.answers import Hub
from bitagent_local.hub.server import HubServer


@dataclass(frozen=True)
class RunningHub:
    """A served hub and the commits of its main branches."""

    url: str
    commits: dict[str, str]
    root: Path

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer to a request below ``/_admin/``. Raises HTTPError if it is refused."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_admin/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def downloads(self) -> list[tuple[str, str | None, int]]:
        """Return the recorded downloads: file, range, bytes."""
        return [
            (request["path"].split("/resolve/")[1].split("/", 1)[1], request["range"], request["bytes"])
            for request in self.admin("GET", "requests")
            if request["method"] == "GET" and "/resolve/" in request["path"]
        ]


@contextmanager
def running(
    spec: pack.HubSpec,
    *,
    folders: Path,
    root: Path,
    tokens: frozenset[str] = frozenset(),
    granted: frozenset[str] = frozenset(),
) -> Iterator[RunningHub]:
    """Pack repositories and serve them on a free port of the loopback."""
    commits = pack.pack(spec, folders=folders, root=root)
    server = HubServer(Hub(root, tokens, granted), host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield RunningHub(f"http://127.0.0.1:{server.port}", commits, root)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
