"""The hub through a proxy, and behind a private certificate authority, as docs/operating.md says."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

RESOLVE = """
import sys
from bitagent_evaluator.models.hub import HubRepository
from bitagent_evaluator.support.faults import FetchError
from bitagent_evaluator.support.http import Backoff
Backoff.__init__.__defaults__ = (1,)
try:
    HubRepository("acme/tiny", "main").resolve()
except FetchError as error:
    print(error.reason, error.message)
"""
Resolved = Callable[..., str]


@pytest.fixture
def resolved() -> Resolved:
    """Function: how a process with these variables fails to resolve a repository."""

    def run(**variables: str) -> str:
        kept = {k: v for k, v in os.environ.items() if "proxy" not in k.lower() and not k.startswith(("HF_", "SSL_"))}
        command = [sys.executable, "-c", RESOLVE]
        return subprocess.check_output(command, env=kept | variables, text=True, timeout=60)

    return run


class Asked(BaseHTTPRequestHandler):
    """Answers 404 to whatever is asked, and remembers it."""

    paths: list[str] = []

    def do_GET(self) -> None:
        self.paths.append(self.path)
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_CONNECT(self) -> None:
        self.paths.append(self.path)
        self.send_response(502)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    Asked.paths.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Asked) as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield running
        running.shutdown()


def address(server: ThreadingHTTPServer, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{server.server_address[1]}"


def test_a_hub_is_reached_through_a_proxy(server: ThreadingHTTPServer, resolved: Resolved) -> None:
    found = resolved(HF_ENDPOINT="http://hub.invalid", HTTP_PROXY=address(server))
    assert found.startswith("RepositoryNotFound ")
    assert any(path.startswith("http://hub.invalid/api/models/acme/tiny") for path in Asked.paths)


def test_a_hub_with_tls_is_asked_for_through_a_tunnel(server: ThreadingHTTPServer, resolved: Resolved) -> None:
    found = resolved(HF_ENDPOINT="https://hub.invalid", HTTPS_PROXY=address(server))
    assert found.startswith("HubUnavailable ")
    assert set(Asked.paths) == {"hub.invalid:443"}


def test_a_hub_that_needs_no_proxy_has_none(server: ThreadingHTTPServer, resolved: Resolved) -> None:
    found = resolved(HF_ENDPOINT=address(server), HTTP_PROXY="http://127.0.0.1:9", NO_PROXY="127.0.0.1")
    assert found.startswith("RepositoryNotFound ")


@pytest.fixture
def authority(server: ThreadingHTTPServer, tmp_path: Path) -> Path:
    """The certificate of a private authority, with which the server speaks TLS now."""
    key, certificate = tmp_path / "key.pem", tmp_path / "ca.crt"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*made, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return certificate


def test_a_private_authority_is_trusted_if_it_is_named(
    server: ThreadingHTTPServer, authority: Path, resolved: Resolved
) -> None:
    hub = address(server, "https")
    assert resolved(HF_ENDPOINT=hub, SSL_CERT_FILE=str(authority)).startswith("RepositoryNotFound ")
    refused = resolved(HF_ENDPOINT=hub)
    assert refused.startswith("HubUnavailable ")
    assert "certificate" in refused.lower()
