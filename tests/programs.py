"""Programs in processes of their own that start at once: each is forked from a process that has imported them.

Importing the operator takes a second of a processor, and the tests start it a hundred times. What starts is a process
like any other, which a test may kill; the fork server of `multiprocessing` ends with the process of the tests.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

KUBECONFIG = "kubernetes.aio.config.kube_config:KUBE_CONFIG_DEFAULT_LOCATION"
"""The constant that the library makes of the environment when it is imported."""
_CONTEXT = multiprocessing.get_context("forkserver")


def preload(*modules: str) -> None:
    """Name the modules that are imported once for all; this has an effect before the first process starts."""
    _CONTEXT.set_forkserver_preload(list(modules))


class Program:
    """A running program, with the methods of `subprocess.Popen`."""

    def __init__(
        self,
        main: str,
        arguments: Sequence[str] = (),
        *,
        environment: Mapping[str, str],
        output: Path,
        constants: Mapping[str, Any] | None = None,
    ) -> None:
        """Start `main`, as `module:function`, which is given the arguments; `output` receives what it prints.

        `constants` replaces constants of modules, as `module:name`: times that a test would otherwise wait for.
        """
        output.touch()
        given = (main, list(arguments), dict(environment), output, dict(constants or {}))
        self._process = _CONTEXT.Process(target=become, args=given, daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, or minus the signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. Raises TimeoutExpired."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)


@dataclass(frozen=True)
class Measured:
    """How a command ended and what it took."""

    code: int
    out: str
    cpu_seconds: float
    peak_bytes: int


def measure(
    main: str, arguments: Sequence[str], environment: Mapping[str, str], output: Path, *, seconds: float
) -> Measured:
    """Run a program; after so many seconds it is killed.

    It is forked from a process without more in it than this module and what is preloaded, whose memory counts as its
    own: a page that both have is as one that it would have read itself.
    """
    receiver, sender = multiprocessing.Pipe(duplex=False)
    given = (main, list(arguments), dict(environment), output, seconds, sender)
    process = _CONTEXT.Process(target=_measure, args=given)
    process.start()
    sender.close()
    code, cpu_seconds, peak = receiver.recv()
    process.join()
    return Measured(code, output.read_text(), cpu_seconds, peak)


def _measure(
    main: str, arguments: list[str], environment: dict[str, str], output: Path, seconds: float, sender: Connection
) -> None:
    """Run the program below this process, and send what it took."""
    program = os.fork()
    if program == 0:
        become(main, arguments, environment, output)
    peak, deadline = 0, time.monotonic() + seconds
    while True:
        ended, status, usage = os.wait4(program, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > deadline:
            os.kill(program, signal.SIGKILL)
        peak = max(peak, _peak_bytes(program))
        time.sleep(0.02)  # a page fault costs about a microsecond: less than 100 MB are missed
    sender.send((os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, peak))


def _peak_bytes(pid: int) -> int:
    """Return the most memory that a process and those below it had so far; 0 if it is gone.

    `ru_maxrss` of a child would count this test's own memory.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        own = next((int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:")), 0)
        tasks = [task.read_text().split() for task in Path(f"/proc/{pid}/task").glob("*/children")]
    except (OSError, IndexError):
        return 0
    return own + sum(_peak_bytes(int(child)) for children in tasks for child in children)


def become(
    main: str,
    arguments: list[str],
    environment: Mapping[str, str],
    output: Path,
    constants: Mapping[str, Any] | None = None,
) -> NoReturn:
    """Run a program in this process and end it; see `Program`."""
    os.environ.clear()
    os.environ.update(environment)
    with output.open("ab") as sink:
        for descriptor in (1, 2):
            os.dup2(sink.fileno(), descriptor)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    for name, value in (constants or {}).items():
        module, _, constant = name.partition(":")
        assert hasattr(importlib.import_module(module), constant), name
        setattr(importlib.import_module(module), constant, value)
    module, _, function = main.partition(":")
    sys.argv = [module, *arguments]
    code = 1
    try:
        code = getattr(importlib.import_module(module), function)(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - as an interpreter ends
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
