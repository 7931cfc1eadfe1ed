"""Network policies, and the way to the hub. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bitagent_cli.doctor.findings import Area, Finding, bad, ok, unknown, unread
from bitagent_cli.doctor.seen import Seen
from bitagent_crds.names import COMPONENT_LABEL, Component
from bitagent_kube.objects import Obj


def policies(seen: Seen) -> Iterator[Finding]:
    """Yield whether there are network policies, and whether the cluster enforces them."""
    yield from unread(Area.POLICIES, "network policies", seen.policies)
    do = "networkPolicy.enabled=true in the operator's chart"
    if not seen.policies.refused:
        evaluate = [each for each in seen.policies.value if _selects_evaluations(each)]
        if not evaluate:
            yield bad(Area.POLICIES, "no network policy selects the pods of evaluations, which run miners' files", do)
        else:
            yield ok(Area.POLICIES, f"{len(seen.policies.value)} network policies; evaluations are among their pods")
    if seen.policies_probe is None:
        yield unknown(Area.POLICIES, "whether they are enforced was not tried", "kubectl bitagent doctor --probe")
        return
    probe, control = seen.policies_probe, seen.control_probe
    if probe.open is None or control is None or control.open is None:
        message = probe.message if probe.open is None else control.message if control is not None else ""
        yield unknown(Area.POLICIES, f"whether they are enforced could not be tried: {message}")
    elif not control.open:
        yield unknown(Area.POLICIES, f"a pod without a policy reaches nothing either: {control.message}")
    elif probe.open:
        do = "install a network plugin that enforces NetworkPolicy: miners' files run without a network only then"
        yield bad(Area.POLICIES, "a pod under a policy that denies all has reached the API server", do)
    else:
        yield ok(Area.POLICIES, "they are enforced: a pod under a policy that denies all reached nothing")


def _selects_evaluations(policy: Obj) -> bool:
    selector = (policy.get("spec") or {}).get("podSelector") or {}
    labels = selector.get("matchLabels") or {}
    everything = not labels and not selector.get("matchExpressions")
    return everything or labels.get(COMPONENT_LABEL) == Component.EVALUATE


def hub(seen: Seen) -> Iterator[Finding]:
    """Yield whether fetch Jobs reach the hub."""
    endpoint = str(((seen.config.value or {}).get("hub") or {}).get("endpoint") or "https://huggingface.co")
    if seen.hub_probe is None:
        yield unknown(Area.HUB, f"whether {endpoint} can be reached was not tried", "kubectl bitagent doctor --probe")
    elif seen.hub_probe.open is None:
        yield unknown(Area.HUB, f"whether {endpoint} can be reached could not be tried: {seen.hub_probe.message}")
    elif seen.hub_probe.open:
        yield ok(Area.HUB, f"a pod of a fetch reaches {endpoint}: {seen.hub_probe.message}")
    else:
        do = "DNS, a proxy (jobs.env), networkPolicy.hub, hub.endpoint (docs/operating.md#fetching)"
        yield bad(Area.HUB, f"a pod of a fetch does not reach {endpoint}: {seen.hub_probe.message}", do)
