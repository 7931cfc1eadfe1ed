"""The chart's life on the cluster: upgrade in place, then uninstall, which leaves the CRDs and what users made.

Its name puts it last: it takes away what the other tests need.
"""

from __future__ import annotations

from typing import Any

import pytest
from kit import MANAGED, Cluster

from bitagent_local.demo.kubectl import wait_until
from bitagent_local.demo.stack import EXAMPLES, NAMESPACE, RELEASE, ROOT

pytestmark = pytest.mark.e2e

CHART = str(ROOT / "charts" / "bitagent-operator")


def test_an_upgrade_keeps_everything(cluster: Cluster, paid_round: dict[str, Any]) -> None:
    before = cluster.get("deployments", "bitagent-operator")["metadata"]["generation"]
    cluster.stack.run_helm(
        "upgrade",
        RELEASE,
        CHART,
        "-n",
        NAMESPACE,
        "--reuse-values",
        "--set=relistSeconds=200",
        "--wait",
        "--timeout=120s",
    )
    assert cluster.get("deployments", "bitagent-operator")["metadata"]["generation"] > before
    assert cluster.round(paid_round["metadata"]["name"])["status"]["phase"] == "Complete"


def test_uninstall_leaves_the_crds_and_nothing_of_ours(cluster: Cluster, paid_round: dict[str, Any]) -> None:
    kubectl = cluster.stack.kubectl
    kubectl.run("delete", "configmap/demo-benchmark", "-n", NAMESPACE, "--ignore-not-found", "--timeout=60s")
    for kind in ("validators", "evalrounds", "minermodels"):
        kubectl.run("delete", f"{kind}.bitagent.io", "--all", "-n", NAMESPACE, "--timeout=60s")
    wait_until(
        lambda: not cluster.items("pods", labels=MANAGED) or None, seconds=120, what="pods to go with their owners"
    )
    assert cluster.items("jobs", labels=MANAGED) == []
    cluster.stack.run_helm("uninstall", RELEASE, "-n", NAMESPACE, "--wait", "--timeout=120s")
    crds = {c["metadata"]["name"] for c in kubectl.get("crds")["items"]}
    assert {"minermodels.bitagent.io", "evalrounds.bitagent.io", "validators.bitagent.io"} <= crds
    kinds = (
        "deployments,jobs,pods,services,serviceaccounts,roles,rolebindings,configmaps,networkpolicies,leases,"
        "persistentvolumeclaims"
    )

    def ours() -> list[str]:
        left = kubectl.get(kinds, "-n", NAMESPACE)["items"]
        names = [f"{o['kind']}/{o['metadata']['name']}" for o in left]
        return [
            n
            for n in names
            if n
            not in (
                "ConfigMap/kube-root-ca.crt",
                "ServiceAccount/default",
                "ConfigMap/demo-tasks",
                "PersistentVolumeClaim/bitagent-site",
            )
        ]

    wait_until(lambda: not ours() or None, seconds=60, what=f"nothing of ours to be left (there is {ours()})")
    values = str(EXAMPLES / "values-local.yaml")
    assert cluster.stack.run_helm("lint", CHART, "-f", values)
