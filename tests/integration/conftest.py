"""A real API server with its controllers and the three kinds, for all tests of a session; no node runs anything."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import yaml

from bitagent_crds.generate import KINDS, render
from bitagent_local.cluster.control_plane import NODELESS, ControlPlane, control_plane

GROUP = "/apis/bitagent.io/v1alpha1"
FAST = ["--kube-api-qps=500", "--kube-api-burst=1000", "--concurrent-job-syncs=20"]


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    """The API server with the three kinds, and a node for pods to be on."""
    with control_plane(controllers=NODELESS, controller_arguments=FAST) as running:
        for kind in KINDS:
            running.api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", yaml.safe_load(render(kind)))
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "fake-0"}}
        running.api.create("/api/v1/nodes", node)
        deadline = time.monotonic() + 20
        while running.api.get(GROUP)["resources"].__len__() < 6 and time.monotonic() < deadline:
            time.sleep(0.05)
        yield running
