"""A real API server with its controllers and the three kinds, for all tests of a run; no node runs anything.

Tests work in namespaces of their own, so that all processes of pytest-xdist share it. Tests that add, change
or remove the three kinds have an API server to themselves: a request for a kind fails while its definition changes.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.programs import preload
from xdist.scheduler import LoadScopeScheduling

from bitagent_crds.generate import KINDS, render
from bitagent_local.cluster.api import Api, ApiError
from bitagent_local.cluster.binaries import ensure_binaries
from bitagent_local.cluster.control_plane import NODELESS, ControlPlane, control_plane
from bitagent_local.cluster.pki import Credentials

GROUP = "/apis/bitagent.io/v1alpha1"
READY = "server"
"""File with the server's address, once it serves the three kinds."""

PROGRAMS = ("bitagent_operator.__main__", "bitagent_validator.main", "bitagent_leaderboard.main")
preload(*PROGRAMS, "bitagent_local.chain.__main__")


class Scheduling(LoadScopeScheduling):
    """Any process takes any test, but those that share a release or its namespace, or a server, file by file."""

    TOGETHER = ("releases", "examples", "definition_upgrade", "every_option", "storage_notes")
    """Of the charts."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        together = ("wire/test_reference.py", *(f"charts/test_{name}.py" for name in self.TOGETHER))
        return file if file.endswith(together) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return Scheduling(config, log)


class SharedPlane:
    """Starts the API server in the process that distributes the tests, while the others collect them."""

    def __init__(self) -> None:
        self._over, self._stack = threading.Event(), ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="control-plane-")))
        # The kernel ends the components with the thread that has started them.
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        with _running(self._folder / "plane") as plane:
            written = self._folder / "written"
            written.write_text(plane.server)
            written.rename(self._folder / READY)
            self._over.wait()

    def pytest_sessionstart(self) -> None:
        self._thread.start()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Say to another process where it is."""
        node.workerinput["plane"] = str(self._folder)

    def pytest_unconfigure(self) -> None:
        self._over.set()
        self._thread.join()
        self._stack.close()


def pytest_configure(config: pytest.Config) -> None:
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(SharedPlane())


@pytest.fixture(scope="session")
def plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """The API server with the three kinds, and a node for pods to be on."""
    given = getattr(request.config, "workerinput", {}).get("plane")
    if given is None:
        with _running(None) as running:
            yield running
        return
    folder, deadline = Path(given), time.monotonic() + 120
    while not (folder / READY).exists():
        assert time.monotonic() < deadline, "the API server did not start"
        time.sleep(0.05)
    server, kubeconfig = (folder / READY).read_text(), Credentials(folder / "plane" / "pki").kubeconfig("admin")
    api = Api.from_kubeconfig(kubeconfig)
    yield ControlPlane(ensure_binaries(), kubeconfig, server, api, folder / "plane" / "log", {})


@pytest.fixture(scope="session")
def start_plane() -> Callable[[], AbstractContextManager[ControlPlane]]:
    """Start another one, for a test that changes the three kinds."""
    return partial(_running, None)


@contextmanager
def _running(folder: Path | None) -> Iterator[ControlPlane]:
    with control_plane(controllers=NODELESS, folder=folder) as running:
        for kind in KINDS:
            running.api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", yaml.safe_load(render(kind)))
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "fake-0"}}
        running.api.create("/api/v1/nodes", node)
        deadline = time.monotonic() + 60
        while not _served(running):
            assert time.monotonic() < deadline, "the API server does not serve the three kinds"
            time.sleep(0.05)
        yield running


def _served(plane: ControlPlane) -> bool:
    try:
        return all("items" in plane.api.get(f"{GROUP}/{kind.crd.plural}") for kind in KINDS)
    except ApiError:
        return False
