"""The client of the API server."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bitagent_local.cluster.api import Api, ApiError
from bitagent_local.cluster.pki import Credentials, make_credentials


def test_a_kubeconfig_needs_no_other_file(tmp_path: Path) -> None:
    made = make_credentials(tmp_path / "pki", addresses=["127.0.0.1"], server="https://127.0.0.1:1")
    api = Api.from_kubeconfig(made.kubeconfig("admin"))
    assert api.server == "https://127.0.0.1:1"
    assert str(tmp_path) not in made.kubeconfig("admin").read_text()
    assert "refused" in (api.ready() or "")


class Handler(BaseHTTPRequestHandler):
    """Answers with the number of its connection; hangs up after `/last`, and refuses `/no`."""

    protocol_version = "HTTP/1.1"
    connections = 0

    def setup(self) -> None:
        super().setup()
        type(self).connections += 1
        self.number = self.connections

    def do_GET(self) -> None:
        body = b'{"message": "for a reason"}' if self.path == "/no" else str(self.number).encode()
        self.send_response(403 if self.path == "/no" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection |= self.path == "/last"

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def serving(made: Credentials) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Fresh", (Handler,), {}))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.certificate("apiserver"), made.key("apiserver"))
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    made = make_credentials(tmp_path / "pki", addresses=["127.0.0.1"], server="https://127.0.0.1:1")
    known = Api.from_kubeconfig(made.kubeconfig("admin"))
    with serving(made) as port:
        known.server = f"https://127.0.0.1:{port}"
        yield known


def test_a_thread_keeps_its_connection(api: Api) -> None:
    found = [api.get("/a")]
    with pytest.raises(ApiError, match="403 for a reason") as raised:
        api.get("/no")
    assert raised.value.status == 403
    other = threading.Thread(target=lambda: found.append(api.get("/b")))
    other.start()
    other.join()
    assert [*found, api.get("/c")] == [1, 2, 1]


def test_a_connection_that_the_server_has_closed_is_opened_again(api: Api) -> None:
    found = [api.get("/last")]
    connection = api._connection(60)
    while connection.sock is not None:  # the server's end comes at any time
        connection = api._connection(60)
    assert [*found, api.get("/a"), api.get("/a")] == [1, 2, 2]
