"""RBAC rules: those that the operator needs, and those that it grants to a validator pod.

The operator makes Roles of them, the tests compare the chart with them, and `kubectl bitagent doctor` asks the API
server about each.

An API server lets no one grant rights that they lack, so the operator's Role contains the rules of every validator. It
contains no rule on Secrets, on pods' logs or exec, and none that creates pods: those are created through Jobs and
Deployments.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bitagent_crds.names import MECHANISMS, hotkey_lease, mechanism_config_map, state_config_map, turn_lease
from bitagent_crds.schema import GROUP

Rule = dict[str, Any]


def rule(group: str, resources: list[str], verbs: list[str], names: list[str] | None = None) -> Rule:
    """Return one rule of a Role."""
    out: Rule = {"apiGroups": [group], "resources": resources, "verbs": verbs}
    return out | ({"resourceNames": names} if names else {})


def validator_rules(
    name: str | None,
    *,
    competitions: Iterable[str] = (),
    netuid: int = 0,
    hotkey: str | None = None,
    discovers: bool = False,
) -> list[Rule]:
    """Return the rules of a validator pod; `name` limits it to its own status, ConfigMaps and Leases.

    Any other ConfigMap could be the operator's configuration, which names the images that Jobs run, and another Lease
    is the operator's own. A name cannot limit `create`. Before the pod has reported its hotkey, it may take no Lease.
    `discovers` says whether it makes MinerModels of commitments, whose names are not known before.
    None as the name does not limit anything: those are the rules that the operator itself must hold.
    """
    writes = discovers or name is None
    own = [name] if name is not None else None
    state = None
    if name is not None:
        state = [state_config_map(name), *(state_config_map(name, c) for c in competitions)]
        state += [mechanism_config_map(name, number) for number in range(1, MECHANISMS)]
    leases = [rule("coordination.k8s.io", ["leases"], ["create"])]
    if name is None or hotkey is not None:
        names = [hotkey_lease(netuid, hotkey), turn_lease(hotkey)] if name is not None and hotkey is not None else None
        leases.append(rule("coordination.k8s.io", ["leases"], ["get", "patch", "update"], names))
    return [
        rule(GROUP, ["evalrounds"], ["get", "list", "watch", "create", "patch", "delete"]),
        rule(GROUP, ["minermodels"], ["get", "list", "watch", *(["create", "patch", "delete"] if writes else [])]),
        rule(GROUP, ["validators"], ["get", "list", "watch"], own),
        rule(GROUP, ["validators/status"], ["get", "patch"], own),
        rule("", ["configmaps"], ["create"]),
        rule("", ["configmaps"], ["get", "patch", "update"], state),
        *leases,
        rule("", ["events"], ["create", "patch"]),
        rule("events.k8s.io", ["events"], ["create", "patch"]),
    ]


OPERATOR_RULES: list[Rule] = [
    *validator_rules(None),
    rule(GROUP, ["minermodels/status", "evalrounds/status"], ["get", "patch"]),
    rule("batch", ["jobs"], ["get", "list", "watch", "create", "patch", "delete"]),
    rule("", ["pods"], ["get", "list", "watch"]),
    rule("", ["events"], ["list"]),
    rule("kueue.x-k8s.io", ["localqueues", "workloads"], ["get", "list", "watch"]),
    rule("apps", ["deployments"], ["get", "list", "watch", "create", "patch", "delete"]),
    rule("", ["services"], ["get", "create", "patch", "delete"]),
    rule("networking.k8s.io", ["networkpolicies"], ["get", "create", "patch", "delete"]),
    rule("policy", ["poddisruptionbudgets"], ["get", "create", "patch", "delete"]),
    rule("", ["serviceaccounts"], ["get", "create", "patch"]),
    rule("rbac.authorization.k8s.io", ["roles", "rolebindings"], ["get", "create", "patch"]),
]
"""The Role that the chart gives to the operator, in its namespace; it needs no ClusterRole."""

VOLUME_RULES: list[Rule] = [
    rule("", ["persistentvolumeclaims"], ["get", "list", "create", "patch", "delete"]),
]
"""What the operator's Role has besides, where each model has a volume of its own (`cache.mode: VolumePerModel`)."""
