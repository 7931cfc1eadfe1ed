"""What an API server checks of a Job and of its pods, as far as a spec decides it.

Sources: k8s.io/apimachinery/pkg/util/validation, k8s.io/kubernetes/pkg/apis/core/validation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Obj = dict[str, Any]
LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}(\.{LABEL})*"
QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
ANNOTATIONS_BYTES = 256 * 1024
EFFECTS = {"", "NoSchedule", "PreferNoSchedule", "NoExecute"}
QUANTITY = r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?"


def violations(job: Obj) -> list[str]:
    """Return what an API server would refuse in a Job; empty if it accepts it."""
    return [*_metadata(job["metadata"], "metadata"), *_template(job["spec"]["template"])]


def _template(template: Obj) -> Iterator[str]:
    yield from _labels(template["metadata"].get("labels", {}), "template labels")
    size = sum(len(k.encode()) + len(v.encode()) for k, v in template["metadata"].get("annotations", {}).items())
    if size > ANNOTATIONS_BYTES:
        yield f"annotations: {size} bytes"
    yield from pod(template["spec"])


def pod(spec: Obj) -> Iterator[str]:
    """Yield what an API server would refuse in a pod's spec."""
    yield from _labels(spec.get("nodeSelector", {}), "nodeSelector")
    for name in ("runtimeClassName", "priorityClassName", "serviceAccountName"):
        yield from _subdomain(spec.get(name, "a"), name)
    for toleration in spec.get("tolerations", ()):
        yield from _toleration(toleration)
    for volume in spec.get("volumes", ()):
        yield from _volume(volume)
    names = [volume["name"] for volume in spec.get("volumes", ())]
    for container in spec["containers"]:
        for mount in container["volumeMounts"]:
            path = mount.get("subPath", "")
            if path.startswith("/") or ".." in path.split("/"):
                yield f"subPath {path!r}"
            if mount["name"] not in names:
                yield f"mount of no volume {mount['name']!r}"
        paths = [mount["mountPath"] for mount in container["volumeMounts"]]
        if len(set(paths)) != len(paths):
            yield f"mountPaths {paths}"
        for variable in container["env"]:
            if not re.fullmatch(r"[-._a-zA-Z][-._a-zA-Z0-9]*", variable["name"]):
                yield f"variable {variable['name']!r}"
            if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                yield from _subdomain(reference["name"], "secret")
                yield from _data_key(reference["key"])
        for amounts in container["resources"].values():
            for name, amount in amounts.items():
                if not re.fullmatch(QUANTITY, str(amount)):
                    yield f"{name}: {amount!r}"
    if len(set(names)) != len(names):
        yield f"volumes {names}"


def _metadata(meta: Obj, at: str) -> Iterator[str]:
    yield from _subdomain(meta["name"], f"{at}.name", longest=63)
    yield from _labels(meta.get("labels", {}), f"{at}.labels")


def _labels(labels: dict[str, str], at: str) -> Iterator[str]:
    for key, value in labels.items():
        if not _label_key(key):
            yield f"{at}: key {key!r}"
        if len(value) > 63 or not re.fullmatch(rf"({QUALIFIED})?", value):
            yield f"{at}: value {value!r}"


def _label_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not re.fullmatch(SUBDOMAIN, prefix)):
        return False
    return 0 < len(name) <= 63 and re.fullmatch(QUALIFIED, name) is not None


def _subdomain(name: str, at: str, *, longest: int = 253) -> Iterator[str]:
    if len(name) > longest or not re.fullmatch(SUBDOMAIN, name):
        yield f"{at}: {name!r}"


def _data_key(key: str) -> Iterator[str]:
    if key == "." or key.startswith("..") or not re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key):
        yield f"key {key!r}"


def _toleration(toleration: Obj) -> Iterator[str]:
    key, operator = toleration.get("key", ""), toleration.get("operator", "Equal") or "Equal"
    if key and not _label_key(key):
        yield f"toleration: key {key!r}"
    if not key and operator != "Exists":
        yield f"toleration: no key with {operator}"
    if operator == "Exists" and toleration.get("value"):
        yield "toleration: Exists with a value"
    if not re.fullmatch(rf"({QUALIFIED})?", toleration.get("value", "")):
        yield f"toleration: value {toleration['value']!r}"
    if toleration.get("effect", "") not in EFFECTS:
        yield f"toleration: effect {toleration['effect']!r}"


def _volume(volume: Obj) -> Iterator[str]:
    if len(volume["name"]) > 63 or not re.fullmatch(LABEL, volume["name"]):
        yield f"volume {volume['name']!r}"
    if claim := volume.get("persistentVolumeClaim"):
        yield from _subdomain(claim["claimName"], "claim")
    if files := volume.get("configMap"):
        yield from _subdomain(files["name"], "configMap")
        yield from _items(files.get("items", ()))
    if secret := volume.get("secret"):
        yield from _subdomain(secret["secretName"], "secret")
        yield from _items(secret.get("items", ()))
    for source in volume.get("projected", {}).get("sources", ()):
        for kind in ("secret", "configMap"):
            if files := source.get(kind):
                yield from _subdomain(files["name"], f"projected {kind}")
                yield from _items(files.get("items", ()))
        yield from _items(source.get("downwardAPI", {}).get("items", ()))


def _items(items: list[Obj]) -> Iterator[str]:
    for item in items:
        if "fieldRef" not in item:
            yield from _data_key(item["key"])
        if item["path"].startswith(("/", "..")) or ".." in item["path"].split("/"):
            yield f"path {item['path']!r}"
