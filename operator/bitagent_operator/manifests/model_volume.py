"""The volume of a model: the shared one, or a claim of its own, and what pods need to use it.

A claim of its own is ReadWriteOnce: pods of one node use it at a time. The scheduler follows a volume that only some
nodes reach, but nothing keeps it from placing two pods of one volume on two such nodes, where the second would hold its
GPU and wait. So these pods carry the model's id as a label, and are placed where another one with it runs.
"""

from __future__ import annotations

from bitagent_crds.names import (
    BYTES_ANNOTATION,
    CACHE_LABEL,
    COMPONENT_LABEL,
    MANAGED_BY_LABEL,
    MODEL_VOLUME,
    cache_id,
    model_claim,
)
from bitagent_kube.objects import Obj
from bitagent_operator.config import Config
from bitagent_operator.manifests.job import claim
from bitagent_operator.naming import MANAGER
from bitagent_operator.plan.interface import VolumePlan

HOSTNAME_LABEL = "kubernetes.io/hostname"


def cache_volume(config: Config, directory: str, *, read_only: bool = False) -> Obj:
    """Return the volume `cache`, which holds the directory of the model cache."""
    name = model_claim(cache_id(directory)) if config.cache.per_model else config.cache.claim_name
    return claim("cache", name, read_only=read_only)


def volume_labels(config: Config, directory: str) -> dict[str, str]:
    """Return the labels of Jobs and pods that use the model's own volume; none where models share one."""
    return {CACHE_LABEL: cache_id(directory)} if config.cache.per_model else {}


def same_node(config: Config, directory: str) -> tuple[Obj, ...]:
    """Return the terms of a pod's affinity that place it where another pod uses the model's own volume."""
    if not config.cache.per_model:
        return ()
    selector = {"matchLabels": volume_labels(config, directory)}
    return ({"labelSelector": selector, "topologyKey": HOSTNAME_LABEL},)


def volume_claim(config: Config, plan: VolumePlan, owner: Obj) -> Obj:
    """Return the claim of one model's own volume.

    `owner`: a reference that does not control it, because models of the same commit share it. The last owner to go
    takes the claim with it.
    """
    spec: Obj = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": str(plan.bytes)}},
    }
    if config.cache.storage_class_name is not None:
        spec["storageClassName"] = config.cache.storage_class_name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": model_claim(plan.id),
            "namespace": config.namespace,
            "labels": {MANAGED_BY_LABEL: MANAGER, COMPONENT_LABEL: MODEL_VOLUME, CACHE_LABEL: plan.id},
            "annotations": {BYTES_ANNOTATION: str(plan.bytes)},
            "ownerReferences": [owner],
        },
        "spec": spec,
    }
