"""Volumes of the node: folders below its state, as PersistentVolumes bound in advance to one claim each.

They need no StorageClass and no provisioner (for volumes made on demand: `provisioner`): a claim with
`storageClassName: ""` and the volume's name is bound to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bitagent_local.cluster.api import Api
from bitagent_local.cluster.node import Node

MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany")


def folder_of(node: Node, name: str) -> Path:
    """Return a volume's default folder."""
    return node.state / "volumes" / name


def manifest(name: str, *, path: Path, size: str, modes: tuple[str, ...], namespace: str, claim: str) -> dict[str, Any]:
    """Return the PersistentVolume for one claim; deleting the claim leaves folder and volume."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": list(modes),
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "claimRef": {"namespace": namespace, "name": claim},
            "hostPath": {"path": str(path), "type": "Directory"},
        },
    }


def ensure_volume(
    node: Node,
    api: Api,
    name: str,
    *,
    namespace: str,
    claim: str | None = None,
    path: Path | None = None,
    size: str = "10Gi",
    modes: tuple[str, ...] = MODES,
) -> Path:
    """Create a volume for a claim (by default of the same name) and return its folder.

    A default folder gets mode 0777, since pods of any user write to it; a given one is not changed.

    Raises ApiError if the API server refuses the volume.
    """
    folder = path or folder_of(node, name)
    if path is None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
    body = manifest(name, path=folder, size=size, modes=modes, namespace=namespace, claim=claim or name)
    api.apply(f"/api/v1/persistentvolumes/{name}", body)
    return folder
