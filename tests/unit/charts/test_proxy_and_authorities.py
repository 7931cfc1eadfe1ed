"""Clients of the archive and of the chain obey the variables that `proxy` and `caBundle` set, as that of the hub does.

tests/unit/evaluator/models/test_hub_site.py has the hub.
"""

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

ARCHIVE = """
import sys, obstore
from obstore.store import S3Store
store = S3Store("bucket", endpoint=sys.argv[1], region="x", access_key_id="a", secret_access_key="b",
                retry_config={"max_retries": 0})
try:
    obstore.get(store, "key")
except Exception as error:
    print(error)
"""
CHAIN = """
import asyncio, sys
from bitagent_validator.chain.connection import connect
async def main():
    try:
        async with connect(sys.argv[1].replace("https", "wss")):
            pass
    except Exception as error:
        print(error, error.__cause__)
asyncio.run(main())
"""
CLIENTS = {"archive": ARCHIVE, "chain": CHAIN}
Said = Callable[..., str]


class Asked(BaseHTTPRequestHandler):
    """Answers 404 to whatever is asked, and remembers it."""

    def do_GET(self) -> None:
        self.answer(404)

    def do_CONNECT(self) -> None:
        self.answer(502)

    def answer(self, status: int) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    running = ThreadingHTTPServer(("127.0.0.1", 0), Asked)
    running.asked = []  # type: ignore[attr-defined]
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture(params=sorted(CLIENTS))
def said(request: pytest.FixtureRequest) -> Said:
    """Function: what a client says of an address that does not serve it, with these variables."""

    def run(address: str, **variables: str) -> str:
        kept = {k: v for k, v in os.environ.items() if "proxy" not in k.lower() and not k.startswith("SSL_")}
        command = [sys.executable, "-c", CLIENTS[request.param], address]
        return subprocess.check_output(command, env=kept | variables, text=True, timeout=60)

    return run


def test_requests_go_through_the_proxy(server: ThreadingHTTPServer, said: Said) -> None:
    proxy = f"http://127.0.0.1:{server.server_port}"
    said("https://elsewhere.invalid", HTTPS_PROXY=proxy)
    assert set(server.asked) == {"elsewhere.invalid:443"}  # type: ignore[attr-defined]


def test_what_needs_no_proxy_has_none(server: ThreadingHTTPServer, said: Said) -> None:
    proxy = f"http://127.0.0.1:{server.server_port}"
    said("https://chain.bitagent.svc", HTTPS_PROXY=proxy, NO_PROXY="localhost,127.0.0.1,.bitagent,.svc")
    assert server.asked == []  # type: ignore[attr-defined]


def test_authorities_are_trusted(server: ThreadingHTTPServer, said: Said, tmp_path: Path) -> None:
    authority = signed(server, tmp_path)
    address = f"https://127.0.0.1:{server.server_port}"
    assert "ertificate" in said(address)
    assert server.asked == []  # type: ignore[attr-defined]
    assert "ertificate" not in said(address, SSL_CERT_FILE=str(authority))
    assert server.asked  # type: ignore[attr-defined]


def signed(server: ThreadingHTTPServer, folder: Path) -> Path:
    """Have the server speak TLS with a certificate of a private authority; return the authority's."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *curve, "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.crt")
    openssl("req", *curve, "-subj", "/CN=127.0.0.1", "-keyout", "tls.key", "-out", "tls.csr")
    (folder / "extensions").write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    authority = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "extensions")
    openssl("x509", "-req", "-in", "tls.csr", *authority, "-out", "tls.crt")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return folder / "ca.crt"
