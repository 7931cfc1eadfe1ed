"""Client of the API server in the standard library: enough to bring a node up before any environment exists.

Each thread keeps its connection: a handshake costs five times what a request does, on both sides.
"""

from __future__ import annotations

import base64
import http.client
import json
import select
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic as clock
from typing import Any

from bitagent_local.cluster.host import ClusterError

_GOOD = range(200, 300)
_IDLE_SECONDS = 30.0
"""The API server closes a connection that is idle for 90 s, perhaps in the moment of the next request."""


class ApiError(ClusterError):
    """The API server refused a request (HTTP status), or did not answer (status 0)."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """Requests to one API server as one user."""

    def __init__(self, *, server: str, token: str, authority: str) -> None:
        self.server = server
        self._token = token
        self._tls = ssl.create_default_context(cadata=authority)
        self._of_thread = threading.local()

    @classmethod
    def from_kubeconfig(cls, path: Path) -> Api:
        """Return the client of a kubeconfig that `pki` wrote (JSON, which is YAML)."""
        config = json.loads(path.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        return cls(server=cluster["server"], token=user["token"], authority=authority)

    def get(self, path: str) -> Any:
        """Return the object or list at a path such as `/api/v1/nodes/local`.

        Raises ApiError if the server answers with an error, or not at all.
        """
        return json.loads(self._request("GET", path))

    def ready(self) -> str | None:
        """Return None if the server reports that it is ready, otherwise the reason."""
        try:
            self._request("GET", "/readyz", timeout=5)
        except ApiError as error:
            return str(error)
        return None

    def create(self, path: str, body: Mapping[str, Any]) -> Any:
        """Create an object in the collection at the path. Raises ApiError as `get` does."""
        return json.loads(self._request("POST", path, body, content_type="application/json"))

    def merge(self, path: str, body: Mapping[str, Any]) -> Any:
        """Merge-patch the object at the path. Raises ApiError as `get` does."""
        return json.loads(self._request("PATCH", path, body, content_type="application/merge-patch+json"))

    def apply(self, path: str, body: Mapping[str, Any]) -> Any:
        """Server-side apply the object at the path, forcing conflicts. Raises ApiError as `get` does."""
        query = "?fieldManager=bitagent-local&force=true"
        return json.loads(self._request("PATCH", path + query, body, content_type="application/apply-patch+yaml"))

    def delete(self, path: str) -> None:
        """Delete the object at the path; a missing one counts as deleted. Raises ApiError as `get` does."""
        try:
            self._request("DELETE", path)
        except ApiError as error:
            if error.status != 404:
                raise

    def watch(self, path: str, *, resource_version: str, seconds: int) -> Iterator[dict[str, Any]]:
        """Yield the events of a collection after a version, until the server ends the watch.

        Raises ApiError as `get` does, and if the connection breaks.
        """
        query = urllib.parse.urlencode(
            {"watch": 1, "resourceVersion": resource_version, "timeoutSeconds": seconds, "allowWatchBookmarks": "true"}
        )
        request = urllib.request.Request(f"{self.server}{path}?{query}", headers=self._headers())
        try:
            with urllib.request.urlopen(request, context=self._tls, timeout=seconds + 10) as response:
                for line in response:
                    yield json.loads(line)
        except (urllib.error.URLError, OSError) as error:
            raise ApiError(f"watch of {path}: {error}", status=getattr(error, "code", 0)) from error

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        content_type: str = "",
        timeout: float = 30,
    ) -> bytes:
        headers = {**self._headers(), **({"Content-Type": content_type} if content_type else {})}
        data = None if body is None else json.dumps(body).encode()
        connection = self._connection(timeout)
        try:
            connection.request(method, path, body=data, headers=headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ApiError(f"{method} {path}: {str(error) or type(error).__name__}", status=0) from error
        if response.status not in _GOOD:
            raise ApiError(f"{method} {path}: {_reason(response.status, content)}", status=response.status)
        return content

    def _connection(self, timeout: float) -> http.client.HTTPSConnection:
        """Return this thread's connection, which is opened again if the server has closed it or soon would."""
        kept: http.client.HTTPSConnection | None = getattr(self._of_thread, "connection", None)
        if kept is None:
            address = urllib.parse.urlsplit(self.server).netloc
            kept = self._of_thread.connection = http.client.HTTPSConnection(address, context=self._tls)
        kept.timeout = timeout
        if kept.sock is not None:
            arrived = select.poll()
            arrived.register(kept.sock, select.POLLIN)
            if arrived.poll(0) or clock() - self._of_thread.used > _IDLE_SECONDS:  # nothing was asked: it is the end
                kept.close()
            else:
                kept.sock.settimeout(timeout)
        self._of_thread.used = clock()
        return kept


def _reason(status: int, content: bytes) -> str:
    text = content.decode(errors="replace")
    try:
        message = json.loads(text)["message"]
    except (ValueError, KeyError, TypeError):
        message = text.strip()[:500]
    return f"{status} {message}"
