"""GPUs, Pod Security, images. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bitagent_cli.doctor.findings import Area, Finding, bad, ok, unread, warn
from bitagent_cli.doctor.seen import Seen
from bitagent_cli.explanation.pods import pod_row
from bitagent_crds.advice import advice
from bitagent_crds.conditions import Reason
from bitagent_kube.objects import IMAGE_PULL_REASONS, Obj

ENFORCE = "pod-security.kubernetes.io/enforce"
GPU = "nvidia.com/gpu"
_SHOWN = 5


def gpus(seen: Seen) -> Iterator[Finding]:
    """Yield how many GPUs the nodes have, and whether any pod may be put there."""
    yield from unread(Area.GPUS, "nodes", seen.nodes)
    if seen.nodes.refused:
        return
    resource = str((seen.config.value or {}).get("gpuResourceName") or GPU)
    counts = {str(each["metadata"]["name"]): _quantity(each, resource) for each in seen.nodes.value}
    total = sum(counts.values())
    if not total:
        do = "install the device plugin, or set gpuResourceName; rounds with gpus: 0 need none"
        yield warn(Area.GPUS, f"no node offers {resource}: evaluations that ask for it wait for ever", do)
        return
    able = [each for each in seen.nodes.value if counts[each["metadata"]["name"]]]
    text = f"{total} of {resource} on {len(able)} nodes, at most {max(counts.values())} on one"
    closed = [each["metadata"]["name"] for each in able if (each.get("spec") or {}).get("unschedulable")]
    if len(closed) == len(able):
        yield bad(Area.GPUS, f"{text}; all of them are cordoned", f"kubectl uncordon {closed[0]}")
        return
    yield ok(Area.GPUS, text)
    tolerated = _tolerated(seen.config.value or {})
    for node in able:
        for taint in (node.get("spec") or {}).get("taints") or []:
            if taint.get("effect") in ("NoSchedule", "NoExecute") and not any(_matches(t, taint) for t in tolerated):
                name, key = node["metadata"]["name"], taint.get("key")
                do = f"add a toleration of {key} to jobs.tolerations of the chart, or to the round's workload"
                yield warn(
                    Area.GPUS, f"node {name} has the taint {key}, which the chart's settings do not tolerate", do
                )


def _quantity(node: Obj, resource: str) -> int:
    text = str(((node.get("status") or {}).get("allocatable") or {}).get(resource) or "0")
    return int(text) if text.isdecimal() else 0


def _tolerated(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    jobs = config.get("jobs") or {}
    own = (jobs.get("evaluate") or {}).get("tolerations") or []
    return [*(jobs.get("tolerations") or []), *own]


def _matches(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Whether a toleration covers a taint, as the scheduler decides it."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if not toleration.get("key"):
        return toleration.get("operator") == "Exists"
    same = toleration["key"] == taint.get("key")
    return same and (toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", ""))


def pod_security(seen: Seen) -> Iterator[Finding]:
    """Yield what Pod Security the namespace enforces."""
    yield from unread(Area.POD_SECURITY, f"namespace {seen.namespace}", seen.space)
    if seen.space.refused:
        return
    if seen.space.value is None:
        yield bad(Area.POD_SECURITY, f"there is no namespace {seen.namespace}", "choose another one with -n")
        return
    level = (seen.space.value["metadata"].get("labels") or {}).get(ENFORCE)
    if level == "restricted":
        yield ok(Area.POD_SECURITY, "the namespace enforces the restricted standard")
        return
    do = f"kubectl label namespace {seen.namespace} {ENFORCE}=restricted --overwrite"
    yield warn(Area.POD_SECURITY, f"the namespace enforces {level or 'no standard'}; all pods meet restricted", do)


def images(seen: Seen) -> Iterator[Finding]:
    """Yield pods whose image cannot be pulled."""
    yield from unread(Area.IMAGES, "pods", seen.pods)
    if seen.pods.refused:
        return
    stuck = [pod for pod in seen.pods.value if _waits_for_image(pod)]
    for pod in stuck[:_SHOWN]:
        name, *_, words = pod_row(pod)
        yield bad(Area.IMAGES, f"pod {name}: {words}", advice(Reason.IMAGE_PULL_FAILED))
    if len(stuck) > _SHOWN:
        yield bad(
            Area.IMAGES, f"{len(stuck) - _SHOWN} more pods cannot pull their image", advice(Reason.IMAGE_PULL_FAILED)
        )
    if not stuck:
        yield ok(Area.IMAGES, f"none of {len(seen.pods.value)} pods waits for an image")


def _waits_for_image(pod: Obj) -> bool:
    status = pod.get("status") or {}
    states = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    return any(((each.get("state") or {}).get("waiting") or {}).get("reason") in IMAGE_PULL_REASONS for each in states)
