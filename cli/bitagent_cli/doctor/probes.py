"""Pods that try something, and what their answers mean. Pure.

Each tries to open a connection and says how that went in its termination message. A pod without any policy is the
control: only if it reaches what the pod under a policy does not, the policy is what stopped that one.
"""

from __future__ import annotations

import json
from typing import Any

from bitagent_cli.doctor.seen import Probed
from bitagent_cli.files.pod import MANAGER, PodSettings, reading_pod
from bitagent_crds.names import COMPONENT_LABEL, MANAGED_BY_LABEL, Component
from bitagent_kube.objects import Obj, ObjectReference

PROBE_LABEL = "bitagent.io/probe"
"""Label of the pods and the policy of one look; its value is the name of that look."""
TRY_SECONDS = 20
"""Time in which a policy has to be in force: network plugins take a moment."""
LIFE_SECONDS = 120
OPERATOR_MANAGER = "bitagent-operator"

_TO_API_SERVER = """
import json, os, socket, time
host, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])
deny, end, seen = {deny}, time.monotonic() + {seconds}, ""
while True:
    try:
        socket.create_connection((host, port), timeout=2).close()
        reached, seen = True, f"{{host}}:{{port}} answers"
    except OSError as error:
        reached, seen = False, f"{{host}}:{{port}}: {{error}}"
    if reached != deny or time.monotonic() > end:
        break
    time.sleep(1)
open("/dev/termination-log", "w").write(json.dumps({{"open": reached, "message": seen}}))
"""
_TO_HUB = """
import json, time, urllib.error, urllib.request
end = time.monotonic() + {seconds}
while True:
    try:
        with urllib.request.urlopen({url}, timeout=5) as answer:
            reached, seen = True, f"HTTP {{answer.status}}"
    except urllib.error.HTTPError as error:
        reached, seen = True, f"HTTP {{error.code}}"
    except (OSError, ValueError) as error:
        reached, seen = False, str(error)
    if reached or time.monotonic() > end:
        break
    time.sleep(1)
open("/dev/termination-log", "w").write(json.dumps({{"open": reached, "message": seen}}))
"""


def to_api_server(*, deny: bool) -> str:
    """Return the program that connects to the API server, until that is refused (`deny`) or works, or time is over."""
    return _TO_API_SERVER.format(deny=deny, seconds=TRY_SECONDS)


def to_hub(endpoint: str) -> str:
    """Return the program that asks the hub; any answer of HTTP is one."""
    return _TO_HUB.format(url=repr(endpoint), seconds=TRY_SECONDS)


def probe_pod(settings: PodSettings, *, name: str, namespace: str, look: str, image: str, program: str) -> Obj:
    """Return a pod that runs a program once, with the restrictions of all pods of this project."""
    owner = ObjectReference("", "", namespace, "", "")
    pod = reading_pod(settings, name=name, owner=owner, claim="", path="", image=image)
    del pod["metadata"]["ownerReferences"]
    pod["metadata"]["labels"] = {**settings.labels, MANAGED_BY_LABEL: MANAGER, PROBE_LABEL: look}
    spec: dict[str, Any] = pod["spec"]
    spec["activeDeadlineSeconds"] = LIFE_SECONDS
    spec["volumes"] = [each for each in spec["volumes"] if each["name"] == "tmp"]
    container = spec["containers"][0]
    container["volumeMounts"] = [each for each in container["volumeMounts"] if each["name"] == "tmp"]
    container["command"] = ["python3", "-c", program]
    container["resources"] = {
        "requests": {"cpu": "50m", "memory": "64Mi", "ephemeral-storage": "10Mi"},
        "limits": {"cpu": "500m", "memory": "256Mi", "ephemeral-storage": "100Mi"},
    }
    return pod


def as_fetch(pod: Obj) -> Obj:
    """Return the pod with the labels of a fetch, so that the policies of fetches are its own."""
    labels = {MANAGED_BY_LABEL: OPERATOR_MANAGER, COMPONENT_LABEL: Component.FETCH.value}
    pod["metadata"]["labels"] |= labels
    return pod


def denying_policy(*, name: str, namespace: str, look: str) -> Obj:
    """Return the policy that denies everything to the pod of that name's label."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace, "labels": {MANAGED_BY_LABEL: MANAGER}},
        "spec": {"podSelector": {"matchLabels": {PROBE_LABEL: look}}, "policyTypes": ["Ingress", "Egress"]},
    }


def answer(pod: Obj) -> Probed | None:
    """Return what a pod says; None while it runs."""
    status = pod.get("status") or {}
    if status.get("phase") not in ("Succeeded", "Failed"):
        return None
    states = [each.get("state") or {} for each in status.get("containerStatuses") or []]
    ended: Obj = next((state["terminated"] for state in states if "terminated" in state), {})
    text = str(ended.get("message") or "")
    try:
        said = json.loads(text)
        return Probed(bool(said["open"]), str(said["message"]))
    except (ValueError, KeyError, TypeError):
        why = text or status.get("message") or f"exit code {ended.get('exitCode', 'unknown')}"
        return Probed(None, f"the pod failed: {why}")
