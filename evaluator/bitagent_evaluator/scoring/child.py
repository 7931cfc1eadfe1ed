"""A process that judges answers which could kill or stall the one that asks.

The parent writes one JSON line per answer and reads one verdict line back. An answer that takes more processor time than the limit, or
one that crashes the child, fails with that reason; the next answer gets a new child. A child that is killed from outside, or that the
machine does not let run, is not the answer's doing: it is tried once more, and then nobody's verdict. The child starts with the first
answer, so a task set without such tasks pays nothing.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from types import TracebackType
from typing import IO, Self, TypeAlias, cast

from bitagent_crds.results import Task, Verdict
from bitagent_evaluator.bounded.process import ChildLost
from bitagent_evaluator.scoring import judgement

Rule: TypeAlias = Callable[[Task, str], Verdict]
"""How one answer is judged: a function of a module."""

SECONDS_PER_ANSWER = 5.0
"""Processor time."""
WALL_FACTOR = 12.0
"""Wall-clock limit as a multiple of the processor time."""
SECONDS_TO_START = 60.0
MEMORY_BYTES = 2 << 30
TIME_LIMIT = "ast_checker:time_limit"
CRASHED = "ast_checker:crashed"
_READY = b"ready\n"


class Child:
    """Context manager around the process; `judge` may be called any number of times."""

    def __init__(self, rule: Rule = judgement.judge, *, seconds_per_answer: float = SECONDS_PER_ANSWER) -> None:
        self._command = [sys.executable, "-P", "-m", __name__, f"{rule.__module__}:{rule.__name__}"]
        self._seconds = seconds_per_answer
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def judge(self, task: Task, text: str) -> Verdict:
        """The verdict of the rule, within limits of time and memory. Raises ChildLost when the machine fails, and not the answer."""
        request = {"task": task.model_dump(mode="json"), "text": text, "seconds": self._seconds}
        line = json.dumps(request).encode() + b"\n"
        try:
            return self._judged(task, line)
        except ChildLost:
            return self._judged(task, line)

    def _judged(self, task: Task, line: bytes) -> Verdict:
        process = self._process or self._start()
        try:
            _pipe(process.stdin).write(line)
            _pipe(process.stdin).flush()
            answer = _read_line(_pipe(process.stdout), self._seconds * WALL_FACTOR)
        except BrokenPipeError:
            answer = b""
        except TimeoutError:
            self._stop()
            raise ChildLost(
                f"the checker's process gave no answer in {self._seconds * WALL_FACTOR:g} s: is the machine overloaded?"
            ) from None
        if answer.endswith(b"\n"):
            return Verdict.model_validate_json(answer)
        code = process.wait()
        self._stop()
        if code == -signal.SIGXCPU:
            return _failed(task, TIME_LIMIT, f"comparing this answer took more than {self._seconds:g} s")
        if code in (-signal.SIGKILL, -signal.SIGTERM):
            raise ChildLost(f"the checker's process ended with {code} before it answered")
        return _failed(task, CRASHED, "reading this answer crashed the checker's process")

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            ready = _read_line(_pipe(process.stdout), SECONDS_TO_START)
        except TimeoutError:
            ready = b""
        if ready != _READY:
            self._stop()
            raise ChildLost(f"the checker's process did not start: {' '.join(self._command)}")
        return process

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    return cast(IO[bytes], stream)  # both were asked for as pipes


def _read_line(stream: IO[bytes], seconds: float) -> bytes:
    """One line, without its end if the stream ended. The writer sends a line at once, so waiting for its first byte is waiting for all of it."""
    readable, _, _ = select.select([stream], [], [], seconds)
    if not readable:
        raise TimeoutError
    return stream.readline()


def _failed(task: Task, error: str, detail: str) -> Verdict:
    return judgement.verdict(task, error, detail)


def _allow_cpu(seconds: float) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(usage.ru_utime + usage.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def main() -> int:
    """The child: verdicts by the rule `module:function` of the command line for the lines on stdin until it closes."""
    module, _, function = sys.argv[1].partition(":")
    rule: Rule = getattr(importlib.import_module(module), function)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the official converters print
    out.write(_READY)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        _allow_cpu(request["seconds"])
        verdict = rule(Task.model_validate(request["task"]), request["text"])
        out.write(verdict.model_dump_json().encode() + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
