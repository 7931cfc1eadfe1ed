"""Property tests try the same examples in every run, so that a red run is about the change; `make fuzz` tries new ones,
and twice as many unless a test says how many.

Examples have no deadline: the time that one takes on a busy machine means nothing, and a test that hangs has its own
time limit.

Files that take long come first, so that the two processes of `make test-unit` end together. `seconds.json` has the
seconds of the files that take more than five; `--record-seconds`, on a quiet machine, writes it again. Tests that share
one cluster keep the order of their names instead: the last of them takes the cluster apart.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from tests.sandboxes import sandboxes_at_once

from bitagent_evaluator.sandbox import process
from bitagent_local.cluster.ports import free_ports

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported: the tests' processes use all cores
settings.register_profile("same", derandomize=True, deadline=None, max_examples=50)
settings.register_profile("fuzz", derandomize=False, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

ROOT = Path(__file__).parents[1]
SECONDS = Path(__file__).parent / "seconds.json"
LONG = 5.0
IN_ORDER = ("tests/e2e/", "tests/ecosystem/")
"""Tests of these folders share a cluster, and are never sorted by their seconds."""
LONGEST_BYTES_AS_ID = 16
SERVER = Path(__file__).parent / "evaluator_server.py"
SMALL_MODEL = ROOT / "local/models/tiny-fc-250"
EXAMPLE_PLUGIN = Path(__file__).parent / "plugins/bitagent_example_plugin"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-seconds", action="store_true", help=f"write the files' seconds to {SECONDS.name}")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long bytes by their parameter: compressed ones hold the time, and workers must agree on tests' names."""
    return argname if isinstance(val, bytes) and len(val) > LONGEST_BYTES_AS_ID else None


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--record-seconds") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(SecondsOfFiles())


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Import and collect without collections of garbage, and exclude what is there from later ones: it stays."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files that take long first; the order is the same in every process."""
    seconds = sorted_by_seconds(json.loads(SECONDS.read_text()))
    items.sort(key=lambda item: -seconds.get(item.nodeid.partition("::")[0], 0.0))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Iterator[None]:
    """Leave the root logger as it was: a program that runs in this process sets it up, and other tests count lines."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    done = yield
    root.setLevel(level)
    root.handlers[:] = handlers
    return done


def sorted_by_seconds(seconds: dict[str, float]) -> dict[str, float]:
    """Keep the seconds of files that may run in any order."""
    return {file: of for file, of in seconds.items() if not file.startswith(IN_ORDER)}


class SecondsOfFiles:
    """Adds up what the tests of each file take, and writes it at the end."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid.partition("::")[0]] += report.duration

    def pytest_sessionfinish(self) -> None:
        """Keep the files that did not run, unless they are gone."""
        known: dict[str, float] = json.loads(SECONDS.read_text())
        kept = {name: of for name, of in known.items() if name not in self.seconds and (ROOT / name).exists()}
        found = {name: round(of, 1) for name, of in self.seconds.items() if of >= LONG}
        by_seconds = sorted(sorted_by_seconds(kept | found).items(), key=lambda entry: -entry[1])
        SECONDS.write_text(json.dumps(dict(by_seconds), indent=1) + "\n")


@pytest.fixture(scope="session", autouse=True)
def sandboxes() -> Iterator[None]:
    """Sandboxes of this process start at once (see `sandboxes.py`)."""
    with sandboxes_at_once():
        yield


@pytest.fixture
def sandboxes_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sandboxes of this test start as in production: addresses and the seed of hashes differ from one to the next."""
    monkeypatch.setattr(process, "subprocess", subprocess)


@pytest.fixture
def unused_tcp_port() -> int:
    """A port that stays free until the test opens it, unlike the one of pytest-asyncio's fixture of this name."""
    return free_ports(1)[0]


@pytest.fixture(scope="session")
def unused_tcp_port_factory() -> Callable[[], int]:
    """Return a port of this kind at each call."""
    return lambda: free_ports(1)[0]


@pytest.fixture(scope="session")
def example_plugin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the example package that adds names by entry points; return a folder for a process's PYTHONPATH."""
    wheels, folder = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site-packages")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    subprocess.run(command, cwd=EXAMPLE_PLUGIN, check=True, capture_output=True)
    (wheel,) = wheels.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


@pytest.fixture
def example_plugin(example_plugin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the example package for one test."""
    monkeypatch.syspath_prepend(str(example_plugin_folder))


class Evaluator:
    """`bitagent-eval` in processes that find vLLM imported (see `evaluator_server.py`)."""

    def __init__(self, server: subprocess.Popen[str], folder: Path) -> None:
        self._server, self._folder = server, folder

    def run(
        self,
        arguments: list[str],
        *,
        program: Path | None = None,
        environment: dict[str, str] | None = None,
        running: Callable[[int], None] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a verb, or a program of tests, to its end.

        `environment` is added to this process's; `running` is called with its id.
        """
        out, err = self._folder / "out", self._folder / "err"
        request = {
            "program": program and str(program), "arguments": arguments,
            "environment": {**os.environ, **(environment or {})}, "directory": os.getcwd(),
            "out": str(out), "err": str(err),
        }  # fmt: skip
        assert self._server.stdin is not None
        print(json.dumps(request), file=self._server.stdin, flush=True)
        pid = self._reply()["pid"]
        if running is not None:
            running(pid)
        code = self._reply()["code"]
        return subprocess.CompletedProcess(["bitagent-eval", *arguments], code, out.read_text(), err.read_text())

    def _reply(self) -> Any:
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        assert line, f"the server ended: {(self._folder / 'server').read_text()[-3000:]}"
        return json.loads(line)


@pytest.fixture(scope="session")
def evaluator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evaluator]:
    """`bitagent-eval` in processes that find vLLM imported."""
    folder = tmp_path_factory.mktemp("evaluator")
    command = [sys.executable, str(SERVER), str(SMALL_MODEL)]
    with (
        (folder / "server").open("wb") as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        ) as server,
    ):
        assert server.stdin is not None
        yield Evaluator(server, folder)
        server.stdin.close()
