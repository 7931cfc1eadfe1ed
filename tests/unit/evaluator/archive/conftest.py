"""An S3 server for tests: a double in this process, or the real one that BITAGENT_S3_SERVER names (`.ci/weekly`)."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from bitagent_crds.jobs import ArchiveJob
from bitagent_evaluator.archive.store import ArchiveStore, open_store
from bitagent_local.cluster.ports import free_ports

ACCESS, SECRET, BUCKET = "testkey", "testsecret123", "artifacts"
Fault = Callable[[str, str], "int | str | None"]
"""Given method and path: a status to answer with, `cut` to break off in the request's body, or None."""


@dataclass
class Double:
    """Objects by key, and how the server misbehaves. It checks the access key, not the signature."""

    objects: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    fault: Fault = lambda method, path: None
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Handler(BaseHTTPRequestHandler):
    double: Double
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        return

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _serve(self) -> None:
        url = urlsplit(self.path)
        query, key = parse_qs(url.query, keep_blank_values=True), url.path.removeprefix(f"/{BUCKET}/")
        with self.double.lock:
            self.double.requests.append((self.command, key))
        length = int(self.headers.get("Content-Length", 0))
        found = self.double.fault(self.command, key)
        if found == "cut":
            self.rfile.read(length // 2)
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        body = self.rfile.read(length)
        if isinstance(found, int):
            return self._answer(found, b"<Error><Code>Made</Code></Error>")
        if f"Credential={ACCESS}/" not in self.headers.get("Authorization", ""):
            return self._answer(403, b"<Error><Code>InvalidAccessKeyId</Code></Error>")
        if not url.path.startswith(f"/{BUCKET}/"):
            return self._answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        with self.double.lock:
            self._act(key, query, body)

    def _act(self, key: str, query: dict[str, list[str]], body: bytes) -> None:
        objects, parts = self.double.objects, self.double.parts
        match self.command:
            case "POST" if "uploads" in query:
                name = uuid.uuid4().hex
                parts[name] = {}
                text = f"<InitiateMultipartUploadResult><UploadId>{name}</UploadId></InitiateMultipartUploadResult>"
                self._answer(200, text.encode())
            case "PUT" if "partNumber" in query:
                parts[query["uploadId"][0]][int(query["partNumber"][0])] = body
                self._answer(200, ETag=_etag(body))
            case "POST":
                whole = b"".join(part for _, part in sorted(parts.pop(query["uploadId"][0]).items()))
                objects[key] = whole
                text = f"<CompleteMultipartUploadResult><ETag>{_etag(whole)}</ETag></CompleteMultipartUploadResult>"
                self._answer(200, text.encode())
            case "DELETE":
                parts.pop(query["uploadId"][0], None)
                self._answer(204)
            case "PUT" if self.headers.get("If-None-Match") == "*" and key in objects:
                self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            case "PUT":
                objects[key] = body
                self._answer(200, ETag=_etag(body))
            case _ if key in objects:
                stamp = "Thu, 01 Jan 2026 00:00:00 GMT"
                self._answer(200, objects[key], ETag=_etag(objects[key]), Last_Modified=stamp)
            case _:
                self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


@contextmanager
def serving(double: Double, *, tls: ssl.SSLContext | None = None) -> Iterator[Double]:
    """Serve it on the loopback device."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"double": double}))
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    double.port = server.server_port
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def double(credentials: None) -> Iterator[Double]:
    """A server that misbehaves on request."""
    with serving(Double()) as served:
        yield served


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The right keys, as the archive Job has them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


def document(port: int, *, scheme: str = "http", place: str = "archive/ns/r-1", **more: Any) -> ArchiveJob:
    """The document of a Job for the server at this port."""
    uri, endpoint = f"s3://{BUCKET}/{place}", f"{scheme}://127.0.0.1:{port}"
    return ArchiveJob(round="r", round_uid="uid-r", round_dir="/round", uri=uri, endpoint=endpoint, **more)


def store_at(port: int, **more: Any) -> ArchiveStore:
    """Access to the server at this port, with one repetition of a request."""
    return open_store(document(port, **more), retries=1)


@dataclass(frozen=True)
class Bucket:
    """Access to a server, and to its objects behind its back."""

    store: ArchiveStore
    objects: Callable[[], dict[str, bytes]]
    """Objects by their path in the archive."""
    put: Callable[[str, bytes], None]
    open: Callable[[], ArchiveStore]
    """Access with the credentials of the environment as they are by now."""


@contextmanager
def _real(binary: str, folder: Path) -> Iterator[Bucket]:
    """Run versitygw; its buckets are folders."""
    (port,) = free_ports(1)
    data, side = folder / "data", folder / "side"
    (data / BUCKET).mkdir(parents=True)
    side.mkdir()
    environment = os.environ | {"ROOT_ACCESS_KEY": ACCESS, "ROOT_SECRET_KEY": SECRET}
    command = [binary, "--port", f"127.0.0.1:{port}", "--region", "us-east-1", "posix", "--sidecar", str(side)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, str(data)], env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
        place = data / BUCKET / "archive/ns/r-1"

        def objects() -> dict[str, bytes]:
            found = (path for path in place.rglob("*") if path.is_file())
            return {path.relative_to(place).as_posix(): path.read_bytes() for path in found}

        store = store_at(port)
        yield Bucket(store, objects, store.replace, lambda: store_at(port))
    finally:
        process.kill()
        process.wait()


SERVERS = ["double", *(["versitygw"] if os.environ.get("BITAGENT_S3_SERVER") else [])]


@pytest.fixture(params=SERVERS)
def bucket(request: pytest.FixtureRequest, tmp_path: Path, credentials: None) -> Iterator[Bucket]:
    """An empty bucket of each server."""
    if request.param == "versitygw":
        with _real(os.environ["BITAGENT_S3_SERVER"], tmp_path / "s3") as real:
            yield real
        return
    with serving(Double()) as served:
        prefix = "archive/ns/r-1/"

        def objects() -> dict[str, bytes]:
            return {key.removeprefix(prefix): content for key, content in served.objects.items()}

        store = store_at(served.port)
        yield Bucket(store, objects, store.replace, lambda: store_at(served.port))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A round's folder: a task set and one evaluation."""
    root = tmp_path / "round"
    for path, text in {
        "tasks/tasks.jsonl": "one\ntwo\n",
        "tasks/manifest.json": "{}",
        "results/0123456789ab/responses.jsonl": "answers\n",
        "results/0123456789ab/verdicts.jsonl": "",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root
