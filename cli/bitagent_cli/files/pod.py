"""The pod that reads a round's files: shaped as the operator's Jobs are, by its configuration, and restricted. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bitagent_crds.names import MANAGED_BY_LABEL, ROUND_MOUNT
from bitagent_kube.objects import Obj, ObjectReference

MANAGER = "kubectl-bitagent"
CONTAINER = "files"
LIFE_SECONDS = 1800
"""Time after which the pod ends, whatever became of the person who made it."""
TEMPORARY = "/tmp"  # noqa: S108 - the container's own emptyDir
_USER = 65532
_PLACEMENT = ("nodeSelector", "tolerations", "affinity")


@dataclass(frozen=True)
class PodSettings:
    """What the operator's configuration says of the pods of Jobs, as far as it could be read."""

    image: str = ""
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    user: int | None = _USER
    """User and group of the processes, and the group of their volumes; None: the platform assigns them."""
    env: tuple[Obj, ...] = ()
    volumes: tuple[Obj, ...] = ()
    mounts: tuple[Obj, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    members: Obj = field(default_factory=dict)
    """Members of the pod's spec that decide where it runs."""


def settings_of(config: Mapping[str, Any]) -> PodSettings:
    """Return the settings in an operator's configuration; an empty one gives those of an operator without any.

    Variables that take their value from a Secret are left out: the pod needs none.
    """
    jobs, security = config.get("jobs") or {}, config.get("securityContext") or {}
    archive = jobs.get("archive") or {}
    members = {}
    for name in (*_PLACEMENT, "priorityClassName", "runtimeClassName"):
        if value := archive.get(name) or jobs.get(name):
            members[name] = value
    return PodSettings(
        image=str((config.get("images") or {}).get("evaluator") or ""),
        pull_policy=str(config.get("imagePullPolicy") or "IfNotPresent"),
        pull_secrets=tuple(config.get("imagePullSecrets") or ()),
        user=security.get("runAsUser", _USER),
        env=tuple(each for each in jobs.get("env") or () if "valueFrom" not in each),
        volumes=tuple(jobs.get("volumes") or ()),
        mounts=tuple(jobs.get("volumeMounts") or ()),
        labels=jobs.get("labels") or {},
        annotations=jobs.get("annotations") or {},
        members=members,
    )


def reading_pod(settings: PodSettings, *, name: str, owner: ObjectReference, claim: str, path: str, image: str) -> Obj:
    """Return the pod: it mounts `path` of the claim, read-only, and sleeps until commands are run in it.

    It is deleted with its owner, the round.
    """
    sleep = f"import time; time.sleep({LIFE_SECONDS})"
    pod: Obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": owner.namespace,
            "labels": {**settings.labels, MANAGED_BY_LABEL: MANAGER},
            "annotations": dict(settings.annotations),
            "ownerReferences": [owner.as_owner() | {"controller": False}],
        },
        "spec": {
            "activeDeadlineSeconds": LIFE_SECONDS,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "securityContext": _security(settings.user),
            "containers": [
                {
                    "name": CONTAINER,
                    "image": image,
                    "imagePullPolicy": settings.pull_policy,
                    "command": ["python3", "-c", sleep],
                    "env": [{"name": "HOME", "value": TEMPORARY}, *settings.env],
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "512Mi", "ephemeral-storage": "1Gi"},
                        "limits": {"cpu": "1", "memory": "2Gi", "ephemeral-storage": "1Gi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "readOnlyRootFilesystem": True,
                        "runAsNonRoot": True,
                    },
                    "volumeMounts": [
                        {"name": "artifacts", "mountPath": ROUND_MOUNT, "subPath": path, "readOnly": True},
                        {"name": "tmp", "mountPath": TEMPORARY},
                        *settings.mounts,
                    ],
                }
            ],
            "volumes": [
                {"name": "artifacts", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}},
                {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
                *settings.volumes,
            ],
            **settings.members,
        },
    }
    if settings.pull_secrets:
        pod["spec"]["imagePullSecrets"] = [{"name": each} for each in settings.pull_secrets]
    return pod


def _security(user: int | None) -> Obj:
    security: Obj = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    ids = {"runAsUser": user, "runAsGroup": user, "fsGroup": user, "fsGroupChangePolicy": "OnRootMismatch"}
    return security | (ids if user is not None else {})
