"""Remove the demo from a cluster that stays: what carries its label, and definitions that nothing else needs.

The demo's two namespaces carry the label, and everything else of it is in them, or is a definition of one of the three
kinds. They are removed last, so that a removal that was cut off can be repeated.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bitagent_local.cluster.host import ClusterError
from bitagent_local.demo.kubectl import Kubectl, wait_until
from bitagent_local.demo.stack import CRDS, NAMESPACE, RELEASE, WORLD_NAMESPACE, Stack

LABEL = "bitagent.io/demo"
NAMESPACES = (NAMESPACE, WORLD_NAMESPACE)
RELEASE_NAME = "meta.helm.sh/release-name"
RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
"""Annotations by which Helm knows the release of an object."""
AGREEMENT = "YES"
"""The environment variable that agrees to a removal, as in `make demo-down YES=1`."""


@dataclass(frozen=True)
class Definition:
    """A definition of one of the three kinds on the cluster."""

    name: str
    release: tuple[str, str] | None
    """Namespace and name of the Helm release that made it."""
    objects: Mapping[str, int]
    """The number of its objects, by namespace."""


def reason_to_keep(definition: Definition) -> str:
    """Return why a definition is not removed, in words; empty if only the demo needed it."""
    if definition.release is None:
        return "it was not installed by Helm"
    if definition.release != (NAMESPACE, RELEASE):
        namespace, name = definition.release
        return f"it belongs to release {name} in namespace {namespace}"
    if definition.objects:
        counts = ", ".join(f"{count} in {namespace}" for namespace, count in sorted(definition.objects.items()))
        return f"removing it would remove its objects: {counts}"
    return ""


def parse_definition(crd: Mapping[str, Any], namespaces: Collection[str]) -> Definition:
    """Return a definition; `namespaces` has that of each of its objects."""
    annotations = crd["metadata"].get("annotations", {})
    release = (annotations.get(RELEASE_NAMESPACE), annotations.get(RELEASE_NAME))
    objects: dict[str, int] = {}
    for namespace in namespaces:
        objects[namespace] = objects.get(namespace, 0) + 1
    return Definition(crd["metadata"]["name"], release if all(release) else None, objects)


def definitions(kubectl: Kubectl) -> list[Definition]:
    """Return the definitions of the three kinds that the cluster has."""
    found = []
    for name in CRDS:
        crd = kubectl.find("crd", name)
        if crd is not None:
            listed = kubectl.run("get", name, "-A", "-o", 'jsonpath={range .items[*]}{.metadata.namespace}{"\\n"}{end}')
            found.append(parse_definition(crd, listed.split()))
    return found


def demo_namespaces(kubectl: Kubectl) -> list[str]:
    """Return those of the demo's two namespaces that the cluster has, and that the demo made."""
    listed = kubectl.get("namespaces", "-l", f"{LABEL}=true")["items"]
    return [name for name in NAMESPACES if name in {item["metadata"]["name"] for item in listed}]


def refuse_namespaces_of_others(kubectl: Kubectl) -> None:
    """Raise ClusterError if a namespace of the demo's name exists and is not the demo's."""
    own = demo_namespaces(kubectl)
    for name in NAMESPACES:
        if name not in own and kubectl.find("namespace", name) is not None:
            raise ClusterError(
                f"namespace {name} exists on this cluster, and the demo did not make it (it has no label {LABEL}): "
                "the demo would change what is in it; use another cluster"
            )


def another_release_has_the_definitions(kubectl: Kubectl) -> bool:
    """Return whether the definitions belong to another release, so that the demo's must not install them."""
    return any(found.release != (NAMESPACE, RELEASE) for found in definitions(kubectl))


def confirm(
    kubectl: Kubectl,
    *,
    environment: Mapping[str, str] = os.environ,
    ask: Callable[[str], str] | None = None,
) -> None:
    """Name the cluster and ask. Raises ClusterError without an agreement: `YES=1`, or a yes on the terminal."""
    server = kubectl.run("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}").strip()
    context = kubectl.run("config", "current-context").strip()
    cluster = f"context {context}, {server}, of KUBECONFIG={kubectl.kubeconfig}"
    if environment.get(AGREEMENT, "") not in ("", "0"):
        return
    if ask is None and sys.stdin.isatty():
        ask = input
    if ask is None:
        raise ClusterError(f"this would remove the demo from {cluster}; {AGREEMENT}=1 agrees to it")
    if ask(f"Remove the demo from {cluster}? [y/N] ").strip().lower() not in ("y", "yes"):
        raise ClusterError("nothing was removed")


def remove(stack: Stack, report: Callable[[str], None]) -> None:
    """Remove the demo's objects, release, definitions and namespaces; report what is kept, and why."""
    kubectl = stack.kubectl
    namespaces = demo_namespaces(kubectl)
    for name in NAMESPACES:
        if name not in namespaces and kubectl.find("namespace", name) is not None:
            report(f"kept namespace {name}: it has no label {LABEL}, so the demo did not make it")
    if NAMESPACE in namespaces:
        _end_objects(kubectl)
        stack.run_helm("uninstall", RELEASE, "-n", NAMESPACE, "--ignore-not-found", "--wait")
        for definition in definitions(kubectl):
            if reason := reason_to_keep(definition):
                report(f"kept definition {definition.name}: {reason}")
            else:
                kubectl.run("delete", "crd", definition.name, "--ignore-not-found")
    if namespaces:
        kubectl.run("delete", "namespace", *namespaces, "--ignore-not-found")


def _end_objects(kubectl: Kubectl) -> None:
    """Delete the demo's objects while its operator runs, and wait for their pods to end."""
    for kind in reversed(CRDS):
        kubectl.run("delete", kind, "--all", "-n", NAMESPACE, "--ignore-not-found", check=False)
    pods = ("get", "pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/managed-by=bitagent-operator", "-o", "name")
    wait_until(lambda: not kubectl.run(*pods).strip() or None, seconds=120, what="pods of the demo to end")
