"""The list of all models' volumes, as the API server has them now."""

from __future__ import annotations

from bitagent_crds.names import BYTES_ANNOTATION, CACHE_LABEL, COMPONENT_LABEL, MODEL_VOLUME
from bitagent_kube.client import Client
from bitagent_kube.objects import Obj, ObjectMeta
from bitagent_kube.resources import CLAIMS
from bitagent_operator.naming import MANAGED_SELECTOR
from bitagent_operator.plan.inputs import ModelVolume


async def list_volumes(client: Client) -> tuple[ModelVolume, ...]:
    """Return the claims of all models' volumes. Raises ApiError."""
    claims = await client.list(CLAIMS, labels=f"{MANAGED_SELECTOR},{COMPONENT_LABEL}={MODEL_VOLUME}")
    return tuple(_volume(each) for each in claims if CACHE_LABEL in each["metadata"]["labels"])


def _volume(obj: Obj) -> ModelVolume:
    meta = ObjectMeta.parse(obj)
    written = (obj["metadata"].get("annotations") or {}).get(BYTES_ANNOTATION, "")
    size = int(written) if written.isdecimal() else 0
    lost = (obj.get("status") or {}).get("phase") == "Lost"
    return ModelVolume(meta.labels[CACHE_LABEL], meta.name, meta.uid, size, meta.created, meta.deleting, lost)
