"""A provisioner of one StorageClass: a folder of the node for each claim, removed with it.

A volume is made when a pod that uses the claim has been given a node, as by most provisioners of clouds, and only that
node reaches it. Nothing bounds a folder's size. It runs in a thread of whoever needs it, and not in the cluster.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bitagent_local.cluster.api import Api, ApiError

PROVISIONER = "bitagent.io/folders"
_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
_CLAIMS, _VOLUMES = "/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes"
_WATCH_SECONDS = 1
"""Time of one watch: volumes without a claim are looked for after each."""

Obj = dict[str, Any]


def storage_class(name: str) -> Obj:
    """Return the StorageClass."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": PROVISIONER,
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
    }


def volumes_to_make(claims: Iterable[Obj], volumes: Iterable[Obj], *, name: str, folder: Path) -> list[Obj]:
    """Return the volumes that claims of the class `name` lack, below `folder`."""
    known = {volume["metadata"]["name"] for volume in volumes}
    made = (_volume(claim, folder) for claim in claims if _waits(claim, name))
    return [volume for volume in made if volume["metadata"]["name"] not in known]


def volumes_to_remove(volumes: Iterable[Obj]) -> list[Obj]:
    """Return the volumes of this provisioner whose claims are gone."""
    return [
        volume
        for volume in volumes
        if volume["metadata"].get("annotations", {}).get(_PROVISIONED_BY) == PROVISIONER
        and volume.get("status", {}).get("phase") in ("Released", "Failed")
        and "deletionTimestamp" not in volume["metadata"]
    ]


def _waits(claim: Obj, name: str) -> bool:
    meta, spec = claim["metadata"], claim["spec"]
    return (
        spec.get("storageClassName") == name
        and not spec.get("volumeName")
        and "deletionTimestamp" not in meta
        and _SELECTED_NODE in meta.get("annotations", {})
    )


def _volume(claim: Obj, folder: Path) -> Obj:
    meta, spec = claim["metadata"], claim["spec"]
    name, node = f"pvc-{meta['uid']}", meta["annotations"][_SELECTED_NODE]
    reaches = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {_PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": spec["storageClassName"],
            "claimRef": {key: meta[key] for key in ("namespace", "name", "uid")},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [reaches]}},
            "hostPath": {"path": str(folder / name), "type": "Directory"},
        },
    }


class Provisioner:
    """Makes and removes volumes while the block runs. A context manager."""

    def __init__(self, api: Api, folder: Path, *, name: str) -> None:
        """`name` is the class's; `folder` is on the node."""
        self._api, self._folder, self._name = api, folder, name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="provisioner", daemon=True)

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._api.apply(f"/apis/storage.k8s.io/v1/storageclasses/{self._name}", storage_class(self._name))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        """Compare and act, then watch the claims for a second, and again."""
        while not self._stop.is_set():
            try:
                claims, volumes = self._api.get(_CLAIMS), self._api.get(_VOLUMES)["items"]
                self._act(claims["items"], volumes)
                version = claims["metadata"]["resourceVersion"]
                for event in self._api.watch(_CLAIMS, resource_version=version, seconds=_WATCH_SECONDS):
                    if event["type"] in ("ADDED", "MODIFIED"):
                        self._act([event["object"]], volumes)
            except ApiError:
                self._stop.wait(_WATCH_SECONDS)  # the API server is away, or something else was faster

    def _act(self, claims: Iterable[Obj], volumes: Iterable[Obj]) -> None:
        for volume in volumes_to_make(claims, volumes, name=self._name, folder=self._folder):
            path = Path(volume["spec"]["hostPath"]["path"])
            path.mkdir(exist_ok=True)
            path.chmod(0o777)  # pods of any user write to it
            try:
                self._api.create(_VOLUMES, volume)
            except ApiError as error:
                if error.status != 409:
                    raise
        for volume in volumes_to_remove(volumes):
            name = volume["metadata"]["name"]
            shutil.rmtree(self._folder / name, ignore_errors=True)
            self._api.delete(f"{_VOLUMES}/{name}")
