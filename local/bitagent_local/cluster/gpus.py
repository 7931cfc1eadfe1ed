"""GPUs that are not there: an extended resource of the node, counted and scheduled by Kubernetes like real ones.

A pod that requests one is scheduled by it and holds it, but finds no device. The kubelet leaves resources alone that no device
plugin has announced to it, so the count survives its restarts.
"""

from __future__ import annotations

from .api import Api
from .node import NAME

RESOURCE = "nvidia.com/gpu"


def set_gpus(api: Api, count: int) -> None:
    """Make the node have this many GPUs.

    Raises:
        ApiError: The node could not be changed.
    """
    resources = {RESOURCE: str(count)}
    api.merge(f"/api/v1/nodes/{NAME}/status", {"status": {"capacity": resources, "allocatable": resources}})


def get_gpus(api: Api) -> int:
    """Return how many GPUs the node says it has.

    Raises:
        ApiError: The node could not be read.
    """
    return int(api.get(f"/api/v1/nodes/{NAME}")["status"].get("capacity", {}).get(RESOURCE, "0"))
