"""Git repositories over HTTP, as Flux and Argo CD fetch them: git's own `http-backend` behind an HTTP server.

Without authentication: whoever can connect can push. `python3 -m bitagent_local.cluster.git_server FOLDER ADDRESS PORT`
serves until it is ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer

from bitagent_local.cluster.host import ClusterError

IDENTITY = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "test"), ("EMAIL", "test@example.com"))
}


@dataclass(frozen=True)
class GitRepository:
    """A work tree whose commits go to the repository at `url`."""

    url: str
    work: Path

    def commit(self, message: str, files: Mapping[str, str | None]) -> str:
        """Write files, or remove those whose text is None; commit and push what has changed. The newest commit's name.

        Raises ClusterError if git fails.
        """
        for name, text in files.items():
            path = self.work / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        _git(self.work, "add", "--all")
        if _git(self.work, "status", "--porcelain"):
            _git(self.work, "commit", "--quiet", "--message", message)
        _git(self.work, "push", "--quiet", "origin", "HEAD:main")
        return _git(self.work, "rev-parse", "HEAD")

    def read(self, name: str) -> str:
        """Text of a file."""
        return (self.work / name).read_text()


@dataclass(frozen=True)
class GitServer:
    """A folder of bare repositories, served."""

    folder: Path
    url: str

    def create(self, name: str) -> GitRepository:
        """Create an empty repository with a work tree; of one that exists, the work tree becomes its newest commit."""
        bare, work = self.folder / f"{name}.git", self.folder / f"{name}.work"
        if work.exists():
            _git(work, "fetch", "--quiet", "origin")
            _git(work, "reset", "--quiet", "--hard", "origin/main")
            return GitRepository(f"{self.url}/{name}.git", work)
        _git(self.folder, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
        _git(self.folder, "clone", "--quiet", str(bare), str(work))
        return GitRepository(f"{self.url}/{name}.git", work)


class _Handler(BaseHTTPRequestHandler):
    folder: Path
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            self._answer(self._chunks())
        else:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.folder), "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": "test", "REQUEST_METHOD": self.command, "PATH_INFO": path, "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }  # fmt: skip
        made = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, capture_output=True, check=False
        ).stdout
        head, _, content = made.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if line)
        self.send_response(int(headers.pop("Status", "200 OK").split()[0]))
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Write nothing."""


class _Server(ThreadingTCPServer):
    """Not HTTPServer, which asks DNS for its own name and waits ten seconds where there is none."""

    allow_reuse_address = True
    daemon_threads = True


def _server(folder: Path, address: tuple[str, int]) -> _Server:
    return _Server(address, type("Handler", (_Handler,), {"folder": folder}))


@contextmanager
def serving(folder: Path) -> Iterator[GitServer]:
    """Serve the repositories of a folder at 127.0.0.1 until left."""
    server = _server(folder, ("127.0.0.1", 0))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield GitServer(folder, f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=folder, env=os.environ | IDENTITY, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip()


if __name__ == "__main__":
    _server(Path(sys.argv[1]), (sys.argv[2], int(sys.argv[3]))).serve_forever()
