"""A second installation, in which each model has a volume of its own (`cache.mode: VolumePerModel`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kit import MANAGED, SECONDS, Cluster, complete, round_of

from bitagent_crds.names import cache_id, cached_model_path, model_claim
from bitagent_local.cluster.provisioner import Provisioner
from bitagent_local.cluster.volumes import ensure_volume
from bitagent_local.demo.kubectl import wait_until
from bitagent_local.demo.stack import NAMESPACE, RELEASE, ROOT, SITE_PACKAGES
from bitagent_local.demo.view import condition

Obj = dict[str, Any]
VOLUMES = "bitagent-volumes"
"""The namespace."""
CLASS = "folders"
ROOM = 1_500_000_000
"""Room for one claim: the smallest has 1 GiB."""
FIRST, SECOND = "bad-nan", "tiny-fc-250"


@dataclass(frozen=True)
class ModelVolumes:
    """What became of two models, of which one has room."""

    round: Obj
    claim: Obj
    """Of the first model, once it was fetched."""
    files: frozenset[str]
    """Names in its volume then."""
    writable: bool
    """Whether any container of an evaluation could write to its model."""
    evicted: bool
    """Whether the folder of the first model's volume is gone with its claim."""
    second: Obj
    """The second model, fetched."""


def model_volumes(cluster: Cluster) -> ModelVolumes:
    """Evaluate a model from its own volume, which then gives way to that of another model."""
    folder = cluster.node.state / "volumes" / CLASS
    with Provisioner(cluster.api, folder, name=CLASS), _installed(cluster):
        first = _model(cluster, FIRST)
        claim = cluster.get("persistentvolumeclaims", _claim_of(first), namespace=VOLUMES)
        volume = folder / f"pvc-{claim['metadata']['uid']}"
        files = frozenset(path.name for path in volume.rglob("*") if path.is_file())
        source = {"jsonl": {"configMap": {"name": "demo-tasks", "key": "tasks.jsonl"}}}
        tasks = {"seed": "volumes", "count": 5, "sources": [source]}
        _apply(cluster, round_of("volumes", models=[FIRST], tasks=tasks, evaluation={}))
        pods: dict[str, Obj] = {}

        def ended() -> Obj | None:
            pods.update(_evaluation_pods(cluster))
            found = cluster.get("evalrounds", "volumes", namespace=VOLUMES)
            return found if complete(found) else None

        done = wait_until(ended, seconds=SECONDS, what="the round in its own namespace", pace=0.2)
        mounts = [m for pod in pods.values() for c in pod["spec"]["containers"] for m in c["volumeMounts"]]
        writable = any(m["name"] == "cache" and not m.get("readOnly") for m in mounts)
        second = _model(cluster, SECOND)
        wait_until(lambda: not volume.exists() or None, seconds=SECONDS, what="the first model's folder to be gone")
        left = {c["metadata"]["name"] for c in cluster.api.get(_path("persistentvolumeclaims"))["items"]}
        return ModelVolumes(done, claim, files, writable or not mounts, _claim_of(first) not in left, second)


@contextmanager
def _installed(cluster: Cluster) -> Iterator[None]:
    """Install the chart once more, with the values of the first installation; uninstall it at the end."""
    stack, labels = cluster.stack, {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": VOLUMES, "labels": labels}})
    ensure_volume(cluster.node, cluster.api, f"{VOLUMES}-artifacts", namespace=VOLUMES, claim=f"{RELEASE}-artifacts")
    modes = ("ReadOnlyMany",)
    site = f"{VOLUMES}-site"
    ensure_volume(
        cluster.node, cluster.api, site, namespace=VOLUMES, claim="bitagent-site", path=SITE_PACKAGES, modes=modes
    )
    claim = cluster.get("persistentvolumeclaims", "bitagent-site")
    spec = claim["spec"] | {"volumeName": site}
    tasks = cluster.get("configmaps", "demo-tasks")
    _apply(
        cluster,
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "bitagent-site"}, "spec": spec},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "demo-tasks"}, "data": tasks["data"]},
    )
    values = json.loads(stack.run_helm("get", "values", RELEASE, "-n", NAMESPACE, "-o", "json"))
    values["cache"] = {
        "mode": "VolumePerModel",
        "storageClassName": CLASS,
        "maxBytes": ROOM,
        "maxModelBytes": 1_000_000_000,
        "maxHotkeyBytes": ROOM,
    }
    values |= {"artifacts": values["artifacts"] | {"volumeName": f"{VOLUMES}-artifacts"}, "crds": {"install": False}}
    values["leaderboard"] = {"enabled": False}
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "values.json"
        path.write_text(json.dumps(values))
        chart = str(ROOT / "charts" / "bitagent-operator")
        stack.run_helm("install", RELEASE, chart, "-n", VOLUMES, "-f", str(path))
    try:
        yield
    finally:
        for kind in ("evalrounds", "minermodels"):
            stack.kubectl.run("delete", f"{kind}.bitagent.io", "--all", "-n", VOLUMES, "--wait=false")
        stack.run_helm("uninstall", RELEASE, "-n", VOLUMES)
        stack.kubectl.run("delete", "namespace", VOLUMES, "--wait=false")


def _model(cluster: Cluster, name: str) -> Obj:
    """The same submission as in the first namespace, once it is fetched here."""
    spec = cluster.get("minermodels", name)["spec"]
    _apply(
        cluster, {"apiVersion": "bitagent.io/v1alpha1", "kind": "MinerModel", "metadata": {"name": name}, "spec": spec}
    )

    def fetched() -> Obj | None:
        found = cluster.get("minermodels", name, namespace=VOLUMES)
        return found if condition(found, "Fetched")["status"] == "True" else None

    return wait_until(fetched, seconds=SECONDS, what=f"{name} to be fetched into its own volume")


def _claim_of(model: Obj) -> str:
    source = model["spec"]["source"]["huggingFace"]
    return model_claim(cache_id(cached_model_path(source["repo"], source["revision"])))


def _evaluation_pods(cluster: Cluster) -> dict[str, Obj]:
    labels = f"{MANAGED},app.kubernetes.io/component=evaluate".replace(",", "%2C").replace("=", "%3D")
    found = cluster.api.get(f"{_path('pods')}?labelSelector={labels}")["items"]
    return {pod["metadata"]["uid"]: pod for pod in found}


def _path(plural: str) -> str:
    return f"/api/v1/namespaces/{VOLUMES}/{plural}"


def _apply(cluster: Cluster, *objects: Obj) -> None:
    cluster.apply(*(each | {"metadata": each["metadata"] | {"namespace": VOLUMES}} for each in objects))
