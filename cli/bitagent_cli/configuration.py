"""The operator's configuration, as far as it can be read: it says what pods of its namespace look like."""

from __future__ import annotations

import yaml

from bitagent_kube.cluster import ClusterClient
from bitagent_kube.objects import Obj
from bitagent_kube.resources import CONFIG_MAPS

OPERATOR = "app.kubernetes.io/name=bitagent-operator"
"""Label selector of an operator's objects, by its chart."""
_FILE = "config.yaml"


async def configuration(client: ClusterClient) -> Obj | None:
    """Return the configuration of the namespace's operator; None if there is none. Raises ApiError."""
    for each in await client.list(CONFIG_MAPS, labels=OPERATOR):
        if (text := (each.get("data") or {}).get(_FILE)) is not None:
            return parsed(text)
    return None


def parsed(text: str) -> Obj | None:
    """Return a configuration; None for a text that is none."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    return found if isinstance(found, dict) else None
