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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

KUBECONFIG = "kubernetes.aio.config.kube_config:KUBE_CONFIG_DEFAULT_LOCATION"
"""The constant that the library makes of the environment when it is imported."""
_CONTEXT = multiprocessing.get_context("forkserver")


def preload(*modules: str) -> None:
    """Name the modules that are imported once for all; this has an effect before the first program starts."""
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
        given = (main, list(arguments), dict(environment), output, dict(constants or {}))
        self._process = _CONTEXT.Process(target=_run, args=given, daemon=True)
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


def _run(main: str, arguments: list[str], environment: dict[str, str], output: Path, constants: dict[str, Any]) -> None:
    """Become the program."""
    os.environ.clear()
    os.environ.update(environment)
    with output.open("ab") as sink:
        for descriptor in (1, 2):
            os.dup2(sink.fileno(), descriptor)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    for name, value in constants.items():
        module, _, constant = name.partition(":")
        assert hasattr(importlib.import_module(module), constant), name
        setattr(importlib.import_module(module), constant, value)
    module, _, function = main.partition(":")
    sys.argv = [module, *arguments]
    sys.exit(getattr(importlib.import_module(module), function)(arguments))
