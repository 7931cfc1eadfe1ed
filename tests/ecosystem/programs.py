"""Programs of other projects as processes beside an API server: ports, logs, and an end with the test."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bitagent_local.cluster.control_plane import ControlPlane


@contextmanager
def running(command: list[str], *, log: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until left; the kernel kills it if this process ends first."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", *command],
            env=dict(environment),
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(true: Callable[[], bool], what: str, *, log: Path | None = None, seconds: float = 90) -> None:
    """Wait until `true` holds; a failure shows the end of the log."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not ready: {what}\n{log.read_text()[-3000:] if log else ''}"
        time.sleep(0.1)


def listens(port: int, *, path: str = "") -> bool:
    """Whether something listens on the port and, with a path, answers 200 to it."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(f"GET {path or '/'} HTTP/1.0\r\n\r\n".encode())
            return not path or b" 200 " in connection.recv(64)
    except OSError:
        return False


def install(plane: ControlPlane, *arguments: str) -> None:
    """Apply definitions server-side and wait until the API server serves them."""
    subprocess.run(plane.kubectl("apply", "--server-side", *arguments), check=True, capture_output=True)
    wait = plane.kubectl("wait", "--for=condition=Established", "crd", "--all")
    # It fails at once for a definition that has no conditions yet.
    until(lambda: subprocess.run(wait, capture_output=True, check=False).returncode == 0, "definitions")
