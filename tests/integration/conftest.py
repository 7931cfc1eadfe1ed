"""A real API server with its controllers and the three kinds, for all tests of a process; no node runs anything.

Tests work in namespaces of their own, so that several processes of pytest-xdist, each with an API server, share them.
The tests of the charts add and remove the three kinds: they have an API server to themselves.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from xdist.scheduler import LoadScopeScheduling

from bitagent_crds.generate import KINDS, render
from bitagent_local.cluster.api import ApiError
from bitagent_local.cluster.control_plane import NODELESS, ControlPlane, control_plane

GROUP = "/apis/bitagent.io/v1alpha1"


class Scheduling(LoadScopeScheduling):
    """Any process takes any test, but those of the charts, which share a release, file by file."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if "/charts/" in file else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return Scheduling(config, log)


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    """The API server with the three kinds, and a node for pods to be on."""
    with control_plane(controllers=NODELESS) as running:
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
