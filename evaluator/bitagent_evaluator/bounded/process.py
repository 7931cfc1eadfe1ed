"""The near side: start a bounded child, ask it, and tell apart whose fault a missing answer is.

The child's processor time and memory are limited by the kernel. A request that uses them up is the input's fault (`InputFault`). The wall
clock is a second, much wider limit: since the child can only compute, running into it first means that the machine did not let it run,
which is nobody's fault but the machine's (`ChildLost`), as is a child that does not start or is killed from outside.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from bitagent_evaluator.bounded.frames import Decoder, Frame, FrameTooLarge, encode

_KEPT_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
_START_SECONDS = 120.0


@dataclass(frozen=True)
class Limits:
    """What one child may use. `cpu_seconds` is per request, plus what the caller adds for the request's size."""

    memory_bytes: int = 1 << 30
    cpu_seconds: float = 10.0
    answer_bytes: int = 256 << 20
    wall_factor: float = 12.0
    """Wall-clock limit as a multiple of the processor time."""


class InputFault(Exception):
    """The input was refused, or used up what it was given. `reason` is set when the worker named one."""

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


class ChildLost(Exception):
    """The child did not start, was killed from outside or was starved: worth another try."""


class BoundedProcess:
    """One child with one worker. Use it as a context manager; after an exception it is dead and a new one is needed."""

    def __init__(self, worker: str, limits: Limits | None = None) -> None:
        """Start the child; `worker` is `module:Class`. It becomes ready in the background, while the caller goes on."""
        self._limits = limits or Limits()
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        environment |= {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-P", "-s", "-m", "bitagent_evaluator.bounded.child", worker]
        self._child = subprocess.Popen(
            [*command, str(self._limits.memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd="/",
            bufsize=0,
        )
        self._ready = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        self._child.kill()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()
        self._child.wait()

    def call(
        self, request: dict[str, Any], blobs: Mapping[str, bytes] | None = None, *, extra_cpu_seconds: float = 0.0
    ) -> dict[str, Any]:
        """The worker's answer to one request. Raises InputFault or ChildLost."""
        cpu = self._limits.cpu_seconds + extra_cpu_seconds
        if not self._ready:
            self._exchange(b"", _START_SECONDS)
            self._ready = True
        frame = Frame({"cpu_seconds": cpu, "request": request}, blobs or {})
        body = self._exchange(encode(frame), cpu * self._limits.wall_factor)
        if "refused" in body:
            raise InputFault(str(body["refused"]["message"]), str(body["refused"]["reason"]))
        if "failed" in body:
            raise InputFault(str(body["failed"]))
        answer: dict[str, Any] = body["ok"]
        return answer

    def _exchange(self, data: bytes, wall_seconds: float) -> dict[str, Any]:
        stdin, stdout = self._child.stdin, self._child.stdout
        if stdin is None or stdout is None or stdin.closed:
            raise ChildLost("the bounded child has ended already")
        decoder = Decoder(self._limits.answer_bytes)
        pending = memoryview(data)
        deadline = time.monotonic() + wall_seconds
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            if pending:
                os.set_blocking(stdin.fileno(), False)
                selector.register(stdin, selectors.EVENT_WRITE)
            while True:
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    self.close()
                    raise ChildLost(
                        f"the bounded child gave no answer in {wall_seconds:.0f} s: is the machine overloaded?"
                    )
                for key, _ in ready:
                    if key.fileobj is stdin:
                        pending = self._write(stdin.fileno(), pending)
                        if not pending:
                            selector.unregister(stdin)
                        continue
                    frame = self._read(stdout.fileno(), decoder)
                    if frame is not None:
                        return frame.body

    def _write(self, pipe: int, pending: memoryview) -> memoryview:
        try:
            return pending[os.write(pipe, pending[: 1 << 20]) :]
        except BlockingIOError:
            return pending
        except BrokenPipeError:
            raise self._death() from None

    def _read(self, pipe: int, decoder: Decoder) -> Frame | None:
        data = os.read(pipe, 1 << 20)
        if not data:
            raise self._death()
        try:
            return decoder.feed(data)
        except FrameTooLarge as error:
            self.close()
            raise InputFault(f"makes {error}") from None

    def _death(self) -> Exception:
        code = self._child.wait()
        self.close()
        if not self._ready:
            return ChildLost(f"the bounded child ended with {code} while it started")
        if code == -signal.SIGXCPU:
            return InputFault("needs more processor time than allowed")
        if code in (-signal.SIGSEGV, -signal.SIGABRT):
            return InputFault("needs more memory than allowed, or crashes its parser")
        return ChildLost(f"the bounded child ended with {code} before it answered")
