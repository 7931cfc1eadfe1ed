"""An API server with its controllers, the three kinds and real Kueue; a double of the kubelet ends pods.

Not part of `make test`: Kueue is built first, which takes minutes. `make test-ecosystem` does both.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.operator.conftest import outcomes, world  # noqa: F401 - fixtures

from bitagent_crds.generate import KINDS, render
from bitagent_local.cluster.control_plane import NODELESS, ControlPlane, control_plane
from bitagent_local.cluster.kueue import ensure_kueue

sys.path.insert(0, str(Path(__file__).parent))

import kueue

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="session")
def plane(pytestconfig: pytest.Config) -> Iterator[ControlPlane]:
    """The API server; Kueue runs beside it."""
    capture: Any = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        built = ensure_kueue()
    with control_plane(controllers=NODELESS) as running:
        for kind in KINDS:
            running.api.create(CRDS, yaml.safe_load(render(kind)))
        running.api.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "fake-0"}})
        with kueue.running(running, built):
            yield running
