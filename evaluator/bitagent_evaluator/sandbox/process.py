"""The parent of a sandbox: start a child, ask it, and tell apart whose fault a missing answer is.

The kernel limits the child's processor time and memory. A request that uses them up is the input's fault
(`InputFault`). The wall clock is a second, much wider limit: the child can only compute, so running into it means that
the machine did not let it run. That is an infrastructure fault (`SandboxUnavailable`), as is a child that does not
start or is killed from outside.
"""

from __future__ import annotations

import math
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Self

from bitagent_evaluator.sandbox.protocol import PIPE_BYTES, BadFrame, Decoder, Frame, Limits, encode

_KEPT_ENVIRONMENT = (
    *("PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONNOUSERSITE", "VIRTUAL_ENV"),
    *("LANG", "LC_ALL", "LD_LIBRARY_PATH"),
)
"""Variables by which the child finds the same packages as this process. It gets no other, and so no secret."""
_SET_ENVIRONMENT = {
    "TOKENIZERS_PARALLELISM": "false",
    "RAYON_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""No threads, which would count as processes and take address space, and no bytecode, which would be an empty file."""


_FROM_OUTSIDE = frozenset({-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT})
"""Ends that no input leads to: the kernel was short of memory, or the pod is being stopped."""


class FaultKind(StrEnum):
    """How an input ended its request."""

    REFUSED = "refused"
    """The worker refused it, with a reason."""
    FAILED = "failed"
    """The worker raised an exception."""
    TIME = "time"
    """It used up the processor time."""
    MEMORY = "memory"
    """It used up the memory, or crashed the process."""
    ANSWER = "answer"
    """The answer was too long, or not one message."""


SURVIVED = frozenset({FaultKind.REFUSED, FaultKind.FAILED})
"""Kinds of faults after which a child is as it was."""


class InputFault(Exception):
    """The input was refused, or used up what it may. `reason` is the one that the worker refused it with."""

    def __init__(self, message: str, reason: str | None = None, *, kind: FaultKind = FaultKind.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.kind = kind


class SandboxUnavailable(Exception):
    """The child did not start, was killed by the system or did not get to run; another attempt may succeed."""


class Sandbox:
    """One child with one worker. A context manager; after it lost its child, every call raises SandboxUnavailable."""

    def __init__(self, worker: str, limits: Limits | None = None, *, arguments: Sequence[str] = ()) -> None:
        """Start the child; `worker` is `module:Class`, created with `arguments`. It becomes ready in the background."""
        self._limits = limits or Limits()
        self._worker = worker
        kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        command = [sys.executable, "-P", "-m", "bitagent_evaluator.sandbox.child", self._limits.to_json(), worker]
        self._child = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=kept | _SET_ENVIRONMENT,
            cwd="/",
            bufsize=0,
            process_group=0,  # Ctrl-C reaches the parent alone, which ends this one.
        )
        if self._child.stdin is not None:
            os.set_blocking(self._child.stdin.fileno(), False)
        self._ready = False

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._child.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def kill(self) -> None:
        """Kill the child: a call that waits for its answer, in another thread, raises SandboxUnavailable."""
        self._child.kill()

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
        """Return the worker's answer to one request.

        Raises InputFault or SandboxUnavailable. After an InputFault of a kind in SURVIVED the child answers further
        requests.
        """
        cpu = self._limits.cpu_seconds + extra_cpu_seconds
        self._await_ready()
        frame = Frame({"cpu_seconds": cpu, "request": request}, blobs or {})
        body = self._exchange(encode(frame), cpu * self._limits.wall_factor)
        if "refused" in body:
            refusal = body["refused"]
            raise InputFault(str(refusal["message"]), str(refusal["reason"]), kind=FaultKind.REFUSED)
        if "exhausted" in body:
            raise InputFault(str(body["exhausted"]), kind=FaultKind.MEMORY)
        if "failed" in body:
            raise InputFault(str(body["failed"]), kind=FaultKind.FAILED)
        answer: dict[str, Any] = body["ok"]
        return answer

    def _await_ready(self) -> None:
        if self._ready:
            return
        body = self._exchange(b"", self._limits.start_seconds)
        if "failed" in body:
            self.close()
            raise SandboxUnavailable(f"the sandbox with {self._worker} did not start: {body['failed']}")
        self._ready = True

    def _exchange(self, data: bytes, wall_seconds: float) -> dict[str, Any]:
        stdin, stdout = self._child.stdin, self._child.stdout
        if stdin is None or stdout is None or stdin.closed:
            raise SandboxUnavailable(f"the sandbox with {self._worker} has ended already")
        decoder = Decoder(self._limits.answer_bytes)
        pending = memoryview(data)
        deadline = time.monotonic() + wall_seconds
        poll = select.poll()
        poll.register(stdout, select.POLLIN)
        if pending:
            poll.register(stdin, select.POLLOUT)
        while (left := deadline - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(math.ceil(left * 1000)):
                if descriptor == stdin.fileno():
                    pending = self._write(descriptor, pending)
                    if not pending:
                        poll.unregister(stdin)
                    continue
                frame = self._read(descriptor, decoder)
                if frame is not None:
                    return frame.body
        self.close()
        raise SandboxUnavailable(
            f"the sandbox with {self._worker} gave no answer in {wall_seconds:g} s: is the machine overloaded?"
        )

    def _write(self, pipe: int, pending: memoryview) -> memoryview:
        try:
            return pending[os.write(pipe, pending) :]
        except BlockingIOError:
            return pending
        except BrokenPipeError:
            raise self._death() from None

    def _read(self, pipe: int, decoder: Decoder) -> Frame | None:
        data = os.read(pipe, PIPE_BYTES)
        if not data:
            raise self._death()
        try:
            return decoder.feed(data)
        except BadFrame as error:
            self.close()
            raise InputFault(f"makes {error}", kind=FaultKind.ANSWER) from None

    def _death(self) -> Exception:
        code = self._child.wait()
        self.close()
        if not self._ready:
            return SandboxUnavailable(f"the sandbox with {self._worker} ended with {code} while it started")
        if code == -signal.SIGXCPU:
            return InputFault("needs more processor time than allowed", kind=FaultKind.TIME)
        if code in _FROM_OUTSIDE:
            return SandboxUnavailable(f"the sandbox with {self._worker} ended with {code} before it answered")
        return InputFault("needs more memory than allowed, or crashes its parser", kind=FaultKind.MEMORY)


class ResidentSandbox:
    """A sandbox that starts with the first request, and again with the first one after its child ended.

    A context manager. A request that finds no sandbox (SandboxUnavailable) is repeated once, in a new one.
    """

    def __init__(self, worker: str, limits: Limits | None = None, *, arguments: Sequence[str] = ()) -> None:
        self._worker, self._limits, self._arguments = worker, limits, arguments
        self._sandbox: Sandbox | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the child, if there is one."""
        return self._sandbox.pid if self._sandbox is not None else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child, if there is one; a later request starts another."""
        if self._sandbox is not None:
            self._sandbox.close()
            self._sandbox = None

    def call(
        self, request: dict[str, Any], blobs: Mapping[str, bytes] | None = None, *, extra_cpu_seconds: float = 0.0
    ) -> dict[str, Any]:
        """Return the worker's answer to one request. Raises InputFault or SandboxUnavailable."""
        try:
            return self._call(request, blobs, extra_cpu_seconds)
        except SandboxUnavailable:
            return self._call(request, blobs, extra_cpu_seconds)

    def _call(
        self, request: dict[str, Any], blobs: Mapping[str, bytes] | None, extra_cpu_seconds: float
    ) -> dict[str, Any]:
        if self._sandbox is None:
            self._sandbox = Sandbox(self._worker, self._limits, arguments=self._arguments)
        try:
            return self._sandbox.call(request, blobs, extra_cpu_seconds=extra_cpu_seconds)
        except InputFault as fault:
            if fault.kind not in SURVIVED:
                self.close()
            raise
        except SandboxUnavailable:
            self.close()
            raise
