"""Claims and storage classes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bitagent_cli.doctor.findings import Area, Finding, bad, ok, unread, warn
from bitagent_cli.doctor.seen import Seen
from bitagent_kube.objects import Obj

ONE_NODE = frozenset(
    {
        "blockvolume.csi.oraclecloud.com", "cinder.csi.openstack.org", "csi.hetzner.cloud", "csi.vsphere.vmware.com",
        "disk.csi.azure.com", "dobs.csi.digitalocean.com", "ebs.csi.aws.com", "kubernetes.io/aws-ebs",
        "kubernetes.io/azure-disk", "kubernetes.io/gce-pd", "openebs.io/local", "pd.csi.storage.gke.io",
        "rancher.io/local-path", "topolvm.io",
    }
)  # fmt: skip
"""Provisioners whose volumes one node uses at a time; the chart's NOTES have the same list."""
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def storage(seen: Seen) -> Iterator[Finding]:
    """Yield whether the claims of the operator are bound, and can be used from every node."""
    yield from unread(Area.STORAGE, "claims", seen.claims)
    yield from unread(Area.STORAGE, "storage classes", seen.classes)
    classes = {each["metadata"]["name"]: each for each in seen.classes.value}
    claims = {each["metadata"]["name"]: each for each in seen.claims.value}
    nodes = len(seen.nodes.value)
    for use, name in _claims_of(seen.config.value or {}):
        if seen.claims.refused:
            continue
        claim = claims.get(name)
        if claim is None:
            yield bad(
                Area.STORAGE, f"the claim of the {use}, {name}, does not exist", "create it, or upgrade the chart"
            )
        else:
            yield from _claim(use, claim, classes, nodes=nodes, default=_default(seen.classes.value))
    if not seen.classes.refused and not seen.config.value:
        default = _default(seen.classes.value)
        text = f"the default StorageClass is {default}" if default else "there is no default StorageClass"
        yield ok(Area.STORAGE, text) if default else warn(Area.STORAGE, text, "name a class in the chart's values")


def _claims_of(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    cache, artifacts = config.get("cache") or {}, config.get("artifacts") or {}
    if cache.get("claimName") and cache.get("mode", "Shared") == "Shared":
        yield "model cache", str(cache["claimName"])
    if artifacts.get("claimName"):
        yield "artifacts", str(artifacts["claimName"])


def _default(classes: Sequence[Obj]) -> str:
    marked = (c for c in classes if (c["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true")
    return next((str(each["metadata"]["name"]) for each in marked), "")


def _claim(use: str, claim: Obj, classes: Mapping[str, Obj], *, nodes: int, default: str) -> Iterator[Finding]:
    spec, name = claim.get("spec") or {}, claim["metadata"]["name"]
    phase, modes = (claim.get("status") or {}).get("phase") or "Pending", spec.get("accessModes") or []
    class_name = str(spec.get("storageClassName") or "")
    head = f"claim {name} of the {use}"
    if phase != "Bound":
        why = (
            f"storage class {class_name} does not exist" if class_name and class_name not in classes and classes else ""
        )
        why = why or ("there is no default StorageClass" if not class_name and not default else "")
        do = f"kubectl describe pvc {name}; name another class in the chart's values (docs/operating.md#storage)"
        late = (classes.get(class_name) or {}).get("volumeBindingMode") == "WaitForFirstConsumer"
        if late and not why:
            yield ok(Area.STORAGE, f"{head} is {phase}: its volume is made with the first pod that uses it")
        else:
            yield bad(Area.STORAGE, f"{head} is {phase}" + (f": {why}" if why else ""), do)
        return
    provisioner = str((classes.get(class_name) or {}).get("provisioner") or "")
    do = "cache.mode: VolumePerModel, or a class with ReadWriteMany (docs/operating.md#storage)"
    if "ReadWriteMany" in modes and provisioner in ONE_NODE:
        text = f"{head} says ReadWriteMany, and {provisioner} attaches a volume to one node at a time"
        yield warn(Area.STORAGE, text, do) if nodes != 1 else ok(Area.STORAGE, f"{head} is bound; there is one node")
    elif "ReadWriteMany" in modes:
        yield ok(Area.STORAGE, f"{head} is bound, ReadWriteMany")
    elif nodes == 1:
        yield ok(Area.STORAGE, f"{head} is bound, {', '.join(modes)}; there is one node")
    else:
        yield warn(Area.STORAGE, f"{head} is bound, {', '.join(modes)}: pods of one node at a time can use it", do)
