"""An API server with its controllers and the three kinds, beside real programs; a double of the kubelet ends pods.

Not part of `make test`: Kueue, Flux and Argo CD are built first, which takes minutes. `make test-ecosystem` does both.
A file of tests whose fixture `plane` is another one has that program instead of Kueue.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.operator.conftest import outcomes, world  # noqa: F401 - fixtures

from bitagent_crds.generate import KINDS, render
from bitagent_local.cluster.api import ApiError
from bitagent_local.cluster.control_plane import NODELESS, ControlPlane, control_plane
from bitagent_local.cluster.kueue import ensure_kueue

sys.path.insert(0, str(Path(__file__).parent))

from tests.ecosystem.programs import until

import kueue

GROUP = "/apis/bitagent.io/v1alpha1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@contextmanager
def bare_plane() -> Iterator[ControlPlane]:
    """Run an API server with the three kinds and one node."""
    with control_plane(controllers=NODELESS) as running:
        for kind in KINDS:
            running.api.create(CRDS, yaml.safe_load(render(kind)))
        running.api.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "fake-0"}})
        until(lambda: _served(running), "the three kinds")
        yield running


def _served(plane: ControlPlane) -> bool:
    """Whether the API server serves the three kinds; for a moment it answers that their storage is made."""
    try:
        return all("items" in plane.api.get(f"{GROUP}/{kind.crd.plural}") for kind in KINDS)
    except ApiError:
        return False


@pytest.fixture(scope="session", name="bare_plane")
def _bare_plane() -> Callable[[], AbstractContextManager[ControlPlane]]:
    """Run an API server for a program that a file of tests starts beside it."""
    return bare_plane


@pytest.fixture(scope="session", name="built")
def _built(pytestconfig: pytest.Config) -> Callable[[Callable[[], Any]], Any]:
    """Build a program, with the output of its build shown."""

    def build(ensure: Callable[[], Any]) -> Any:
        capture: Any = pytestconfig.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            return ensure()

    return build


@pytest.fixture(scope="session")
def plane(built: Callable[[Callable[[], Any]], Any]) -> Iterator[ControlPlane]:
    """The API server; Kueue runs beside it."""
    program = built(ensure_kueue)
    with bare_plane() as running, kueue.running(running, program):
        yield running
