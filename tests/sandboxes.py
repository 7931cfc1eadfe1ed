"""Sandboxes that start at once: their children are forked from processes that have imported their workers.

Importing a worker takes a fifth of a second of a processor, and the tests start more than a thousand. What starts is
the same child, with the same limits, environment and descriptors; only addresses and the seed of hashes are the same in
all of them. Started as in production are those whose command or environment a test changes, workers of a test's own,
those of tests with the fixture `sandboxes_apart`, and every worker of the program once (`test_process_workers.py`).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from tests.sandbox_server import NUMBER

from bitagent_evaluator.sandbox import process

SERVER = Path(__file__).parent / "sandbox_server.py"
_OWN = "bitagent_evaluator."
"""Workers of the program are in this package."""


class ForkedChild:
    """A child of a sandbox, with what `Sandbox` uses of `subprocess.Popen`."""

    def __init__(self, server: socket.socket, arguments: Sequence[str]) -> None:
        source, written = os.pipe()
        read, sink = os.pipe()
        reports, reporter = os.pipe()
        try:
            socket.send_fds(server, [json.dumps(list(arguments)).encode()], [source, sink, reporter])
        finally:
            for descriptor in (source, sink, reporter):
                os.close(descriptor)
        self.stdin, self.stdout, self._reports = FileIO(written, "w"), FileIO(read), FileIO(reports)
        self._lock = threading.Lock()
        self.pid = self._report()
        self._code: int | None = None

    def _report(self) -> int:
        found = self._reports.read(NUMBER.size)
        assert found and len(found) == NUMBER.size, "the server of sandboxes has ended"
        number: int = NUMBER.unpack(found)[0]
        return number

    def kill(self) -> None:
        """Send SIGKILL, unless it has been waited for."""
        if self._code is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:  # it has ended
                return

    def wait(self) -> int:
        """Return the exit code, negative after a signal."""
        with self._lock:
            if self._code is None:
                self._code = self._report()
                self._reports.close()
            return self._code


class Servers:
    """One process for each module of a worker, in the environment that sandboxes have at first."""

    def __init__(self) -> None:
        self._servers: dict[str, tuple[socket.socket, subprocess.Popen[bytes]]] = {}
        kept = {name: os.environ[name] for name in process._KEPT_ENVIRONMENT if name in os.environ}
        self._environment: Mapping[str, str] = kept | process._SET_ENVIRONMENT
        self._command = [sys.executable, "-P", "-m", "bitagent_evaluator.sandbox.child"]
        self._lock = threading.Lock()
        self._process = os.getpid()

    def start(self, command: Sequence[str], *, env: Mapping[str, str], **options: Any) -> Any:
        """Start what `Sandbox` starts by `subprocess.Popen`."""
        limits, worker, *arguments = command[4:]
        as_at_first = [*command[:4]] == self._command and env == self._environment and os.getpid() == self._process
        if not (as_at_first and worker.startswith(_OWN)):
            return subprocess.Popen(command, env=env, **options)
        with self._lock:
            server = self._server(worker.partition(":")[0])
        return ForkedChild(server, [limits, worker, *arguments])

    def _server(self, module: str) -> socket.socket:
        if module not in self._servers:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            command = [sys.executable, "-P", str(SERVER), str(theirs.fileno()), module]
            with theirs:
                program = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    env=self._environment,
                    cwd="/",
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            self._servers[module] = ours, program
        return self._servers[module][0]

    def close(self) -> None:
        """End the processes."""
        for requests, program in self._servers.values():
            requests.close()
            program.wait()


@contextmanager
def sandboxes_at_once() -> Iterator[None]:
    """A block in which sandboxes of this process start at once."""
    servers = Servers()
    of_process = {name: getattr(subprocess, name) for name in ("PIPE", "DEVNULL")}
    with patch.object(process, "subprocess", SimpleNamespace(Popen=servers.start, **of_process)):
        yield
    servers.close()
