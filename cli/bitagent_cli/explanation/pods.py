"""What a pod does, in a line. Pure: pods as the API server sends them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bitagent_kube.objects import Obj


def pod_row(pod: Obj) -> list[str]:
    """Return name, component, node, phase and what keeps it from running, or how it ended."""
    meta, status = pod["metadata"], pod.get("status") or {}
    component = (meta.get("labels") or {}).get("app.kubernetes.io/component", "")
    phase = "is being deleted" if meta.get("deletionTimestamp") else str(status.get("phase") or "Pending")
    node = str((pod.get("spec") or {}).get("nodeName") or "no node")
    return [str(meta["name"]), component, node, phase, "; ".join(_words(status))]


def _words(status: Mapping[str, Any]) -> Iterator[str]:
    if status.get("reason"):
        yield f"{status['reason']} {status.get('message') or ''}".strip()
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield f"{condition.get('reason')}: {condition.get('message') or ''}".rstrip(": ")
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        state = container.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        if waiting.get("reason"):
            yield f"{container.get('name')}: {waiting['reason']} {waiting.get('message') or ''}".strip()
        elif ended and ended.get("exitCode"):
            yield f"{container.get('name')}: exit code {ended['exitCode']} {ended.get('reason') or ''}".strip()


def container_names(pod: Obj) -> list[str]:
    """Return the names of the containers of a pod, those that run first included."""
    spec = pod.get("spec") or {}
    return [str(c["name"]) for c in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]]


def started(pod: Obj, container: str) -> bool:
    """Whether a container of a pod runs or has run, and so has a log."""
    status = pod.get("status") or {}
    found = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    states = (each.get("state") or {} for each in found if each.get("name") == container)
    return any("running" in state or "terminated" in state for state in states)
