"""NetworkPolicies hold on the node's real traffic: evaluation pods reach nothing, fetch pods reach the hub and nothing else."""

from __future__ import annotations

import pytest
from kit import Cluster
from probing import reached

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("component", "expected"),
    [
        pytest.param("evaluate", set(), id="evaluate"),
        pytest.param("task-set", set(), id="task-set"),
        pytest.param("fetch", {"hub"}, id="fetch"),
        pytest.param("validator", {"api", "chain"}, id="validator"),
        pytest.param("nobody", {"hub", "chain", "api"}, id="without a policy"),
    ],
)
def test_who_reaches_what(cluster: Cluster, component: str, expected: set[str]) -> None:
    labels = {
        "app.kubernetes.io/managed-by": "bitagent-operator",
        "app.kubernetes.io/component": component,
    }
    assert reached(cluster, f"probe-{component}", labels, "hub", "chain", "api") == expected
