"""Parts that all pods share, such as restricted Pod Security and a read-only root; and the frame of a Job."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from bitagent_crds.fields import JobSecretKey
from bitagent_crds.jobs import (
    EXIT_LATER,
    EXIT_MODEL_FAULT,
    EXIT_STOPPED,
    JOB_ANNOTATION,
    JOB_FILE,
    TERMINATION_LOG,
    document,
)
from bitagent_crds.jobs import Job as Document
from bitagent_crds.names import TEMPLATE_ANNOTATION, Component, short_hash
from bitagent_crds.schema import API_VERSION
from bitagent_kube.objects import Obj, ObjectMeta
from bitagent_operator.config import Config, PodSize
from bitagent_operator.manifests.placement import placed, unique, with_pods_beside, with_preferred_nodes

ENVIRONMENT: tuple[Obj, ...] = (
    {"name": "HOME", "value": "/tmp"},  # noqa: S108 - the root file system is read-only
    {"name": "USER", "value": "app"},
)
"""Variables of all containers."""

SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
}
"""The container's part of the restricted Pod Security Standard."""


def owner_reference(kind: str, meta: ObjectMeta) -> Obj:
    """Return a controlling owner reference: the owned object is deleted with its owner."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def pod_security(config: Config) -> Obj:
    """Return the pod's part of the restricted Pod Security Standard."""
    user = config.security_context.run_as_user
    ids = {"fsGroup": user, "fsGroupChangePolicy": "OnRootMismatch", "runAsGroup": user, "runAsUser": user}
    security: Obj = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    return security | (ids if user is not None else {})


def pull_secrets(config: Config) -> Obj:
    """Return the members of a pod spec that refer to the registry's Secrets."""
    names = [{"name": name} for name in config.image_pull_secrets]
    return {"imagePullSecrets": names} if names else {}


def secret_variable(name: str, reference: JobSecretKey) -> Obj:
    """Return a variable that the kubelet fills in from one key of a Secret; the operator never reads it."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": reference.name, "key": reference.key}}}


def without_gpu(size: PodSize) -> Obj:
    """Return the resources of a pod that needs no GPU."""
    requests = {"cpu": size.cpu, "memory": size.memory, "ephemeral-storage": size.ephemeral_storage}
    return {"requests": requests, "limits": {"memory": size.memory} | cpu_limit(size.cpu_limit)}


def cpu_limit(quantity: str) -> Obj:
    """Return the CPU limit as a member of the limits; none if it is empty."""
    return {"cpu": quantity} if quantity else {}


def claim(name: str, claim_name: str, *, read_only: bool = False) -> Obj:
    """Return a volume from a PersistentVolumeClaim."""
    source: Obj = {"claimName": claim_name} | ({"readOnly": True} if read_only else {})
    return {"name": name, "persistentVolumeClaim": source}


def mount(name: str, path: str, *, sub_path: str = "", read_only: bool = False) -> Obj:
    """Return a mount of a volume, or of one directory of it."""
    out: Obj = {"name": name, "mountPath": path}
    return out | ({"subPath": sub_path} if sub_path else {}) | ({"readOnly": True} if read_only else {})


@dataclass(frozen=True)
class JobParts:
    """The parts in which Jobs differ."""

    name: str
    component: Component
    labels: dict[str, str]
    """Labels of the Job and its pods."""
    owner: Obj
    document: Document
    """Input of the process, see `bitagent_crds.jobs`."""
    resources: Obj
    max_attempts: int
    """Pods that may fail before the Job gives up."""
    attempt_seconds: int | None = None
    """Time of one pod, from when a node has accepted it: waiting for a node does not count. The Job has none."""
    shards: int | None = None
    """Pods that share the work, each with an index and `max_attempts` of its own; None: one pod does it."""
    counts_removals: bool = False
    """Whether a pod that something removes counts as failed, where nothing else bounds how often that happens."""
    later: bool = False
    """Whether EXIT_LATER ends the Job at once: the operator makes the next one when that may help."""
    image: str = ""
    """Image that the round has frozen; empty: the one of the configuration."""
    volumes: tuple[Obj, ...] = ()
    mounts: tuple[Obj, ...] = ()
    env: tuple[Obj, ...] = ()
    suspend: bool = False
    job_labels: dict[str, str] = field(default_factory=dict)
    """Labels of the Job alone."""
    scheduling: Obj = field(default_factory=dict)
    """Further members of the pod spec, which come before the settings."""
    preferred_nodes: tuple[Obj, ...] = ()
    """Preferences of nodes, beside those of the settings."""
    beside: tuple[Obj, ...] = ()
    """Terms of pods beside which its pod has to run, beside those of the settings."""
    ports: tuple[Obj, ...] = ()
    """Ports that the container serves."""
    containers: tuple[Obj, ...] = ()
    """Further containers of the pod."""


def job(config: Config, parts: JobParts) -> Obj:
    """Return the Job: exit code 78 ends it, a disruption counts only if its parts say so, others are retried."""
    settings, pod = placed(config, parts.component), _pod(config, parts)
    labels = {**settings.labels, **parts.labels}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": parts.name,
            "namespace": config.namespace,
            "labels": labels | settings.job_labels | parts.job_labels,
            "annotations": {**settings.annotations, TEMPLATE_ANNOTATION: digest_of_pod(pod)},
            "ownerReferences": [parts.owner],
        },
        "spec": {
            **_completions(parts.shards, retries=parts.max_attempts - 1),
            "podReplacementPolicy": "Failed",  # two pods must never write to the same directory
            "podFailurePolicy": {
                "rules": [  # the first that matches counts: what a disruption ends says nothing about the model
                    *_removals(parts),
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": parts.component.value,
                            "operator": "In",
                            "values": [*([EXIT_LATER] if parts.later else []), EXIT_MODEL_FAULT],  # ascending
                        },
                    },
                ]
            },
            "suspend": parts.suspend or bool(settings.queue),
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {
                        **settings.annotations,
                        JOB_ANNOTATION: document(parts.document),
                    },
                },
                "spec": pod,
            },
        },
    }


def _removals(parts: JobParts) -> list[Obj]:
    """Return the rules for pods that something has removed."""
    action = "Count" if parts.counts_removals else "Ignore"
    stopped = {"containerName": parts.component.value, "operator": "In", "values": [EXIT_STOPPED]}
    return [
        {"action": action, "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": action, "onExitCodes": stopped},  # a pod that somebody deletes has no such condition
    ]


def _completions(shards: int | None, *, retries: int) -> Obj:
    """Return how many pods must succeed, and how often one may fail: a shard that gives up ends the Job."""
    if shards is None:
        return {"backoffLimit": retries, "completions": 1, "parallelism": 1}
    return {
        "backoffLimitPerIndex": retries,
        "completionMode": "Indexed",
        "completions": shards,
        "maxFailedIndexes": 0,
        "parallelism": shards,
    }


def digest_of_pod(pod: Obj) -> str:
    """Return the short digest of a pod's spec, by which a Job is compared with the one that would be made now."""
    return short_hash(json.dumps(pod, sort_keys=True), digits=16)


def _pod(config: Config, parts: JobParts) -> Obj:
    settings = placed(config, parts.component)
    spec: dict[str, Any] = {
        **({} if parts.attempt_seconds is None else {"activeDeadlineSeconds": parts.attempt_seconds}),
        "automountServiceAccountToken": False,
        "containers": [
            {
                "name": parts.component.value,
                "image": parts.image or config.images.evaluator,
                "imagePullPolicy": config.image_pull_policy,
                "command": ["bitagent-eval", "job"],
                "env": list(unique("name", ENVIRONMENT, parts.env, settings.env)),
                **settings.container,
                **({"ports": list(parts.ports)} if parts.ports else {}),
                "resources": parts.resources,
                "securityContext": SECURITY,
                "terminationMessagePath": TERMINATION_LOG,
                "terminationMessagePolicy": "FallbackToLogsOnError",  # a crash leaves the end of its log
                "volumeMounts": [
                    mount("job", JOB_FILE.rpartition("/")[0], read_only=True),
                    mount("tmp", "/tmp"),  # noqa: S108 - the container's own emptyDir
                    *parts.mounts,
                    *settings.mounts,
                ],
            },
            *parts.containers,
        ],
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "securityContext": pod_security(config),
        "volumes": [_document_volume(), temporary(parts.resources), *parts.volumes, *settings.volumes],
    }
    members = settings.pod | parts.scheduling
    members = with_pods_beside(with_preferred_nodes(members, list(parts.preferred_nodes)), parts.beside)
    return spec | pull_secrets(config) | members


def temporary(resources: Obj) -> Obj:
    """Return the volume of /tmp, at most as large as the pod's request of the node's disk."""
    return {"name": "tmp", "emptyDir": {"sizeLimit": resources["requests"]["ephemeral-storage"]}}


def _document_volume() -> Obj:
    """Return the volume that has the Job's document as a file: an annotation of the pod."""
    item = {"path": JOB_FILE.rpartition("/")[2], "fieldRef": {"fieldPath": f"metadata.annotations['{JOB_ANNOTATION}']"}}
    return {"name": "job", "downwardAPI": {"items": [item]}}
