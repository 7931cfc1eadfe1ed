"""What to do about a reason: one sentence for each that needs somebody, and for the others by whose fault it is. Pure.

docs/runbook.md has more about each. A reason that only says what happens has no advice: waiting is enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bitagent_crds.conditions import ConditionType, Fault, Reason

_OF_FAULT: Mapping[Fault, str] = MappingProxyType(
    {
        Fault.MODEL: "only other files help: `bitagent-eval check REPO` shows the miner the same",
        Fault.SPEC: "correct what the message names, in the spec or in what it refers to",
        Fault.INFRASTRUCTURE: "docs/runbook.md#reasons; it is tried again by itself",
        Fault.NONE: "",
    }
)
ROUND = "ROUND"
"""In place of the name of the round in an advice."""
_RETRY = f"remove the cause, then `kubectl bitagent retry {ROUND}`: only what failed is done again"
_OF_REASON: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.JOB_REFUSED: "raise the quota, or mend the policy or webhook that the message quotes",
        Reason.POD_REFUSED: "raise the quota, or create the class that the message quotes; the pod follows by itself",
        Reason.UNSCHEDULABLE: "add nodes, or compare nodeSelector, tolerations and GPUs with those of the nodes",
        Reason.SCHEDULING_GATED: "ask whoever runs what the gates name",
        Reason.QUEUE_NOT_FOUND: "create the LocalQueue that the message names, or install Kueue",
        Reason.QUEUE_UNAVAILABLE: "end what stops the queue, in Kueue",
        Reason.JOB_SUSPENDED: "resume the Job where it was suspended",
        Reason.POD_NOT_STARTED: "create the volume, ConfigMap or Secret that the message names; mend the node's device",
        Reason.IMAGE_PULL_FAILED: "correct images.* or images.pullSecrets of the operator's chart, and upgrade",
        Reason.START_TIMED_OUT: f"look at the node; {_RETRY}",
        Reason.ENGINE_STALLED: "look at the GPU of the node and at the volume of the model cache",
        Reason.MEMORY_IN_USE: "find the other process on the node: a pod without a GPU request, or one outside",
        Reason.VOLUME_FULL: "enlarge the volume of the model cache, or set cache.maxBytes below its size",
        Reason.HUB_RATE_LIMITED: "give the operator a token (hub.tokenSecretRef), or a mirror",
        Reason.HUB_UNAVAILABLE: "restore the way to the hub: DNS, proxy, networkPolicy.hub",
        Reason.HUB_TOKEN_REJECTED: "replace the token in the Secret of hub.tokenSecretRef",
        Reason.REPOSITORY_NOT_FOUND: "correct the repository; a private one needs tokenSecretRef",
        Reason.REVISION_NOT_FOUND: "correct the revision",
        Reason.ACCESS_DENIED: "let the token's account into the repository",
        Reason.TOO_MANY_MODELS: "delete older MinerModels of the hotkey",
        Reason.MODEL_NOT_FOUND: "correct spec.models.names, or create the MinerModel",
        Reason.NO_MODELS: "create MinerModels that the round selects, then `kubectl bitagent retry ROUND`",
        Reason.MODEL_INVALID: "correct, delete or suspend the MinerModel that the message names",
        Reason.ROUND_HAS_INFRASTRUCTURE_FAULTS: _RETRY,
        Reason.ROUND_DEADLINE_EXCEEDED: f"raise spec.activeDeadlineSeconds if time was short; {_RETRY}",
        Reason.ROUND_SUSPENDED: "set spec.suspend to false",
        Reason.SUSPENDED: "set spec.suspend to false",
        Reason.SEED_NOT_REVEALED: f"mend the Validator; {_RETRY}",
        Reason.REWRITER_UNAVAILABLE: f"look at condition RewriterReady of the Validator; {_RETRY}",
        Reason.ARCHIVE_DENIED: "correct the Secret, the bucket or its permissions",
        Reason.ARCHIVE_CONFLICT: "move away what else was written there",
        Reason.SPACE_SHORT: "enlarge the artifact volume",
        Reason.RETENTION_FAILED: "look at the Job that the message names",
        Reason.SECRET_NOT_FOUND: "create the Secret that the message names; the pod continues",
        Reason.CHAIN_UNREACHABLE: "add endpoints to spec.chain",
        Reason.CHAIN_BEHIND: "add endpoints; check the clock of the node (NTP); `bitagent-validator doctor`",
        Reason.CHAIN_CONTRADICTED: "remove the endpoint that the message names; give at least three endpoints",
        Reason.NOT_REGISTERED: "register the hotkey with its coldkey, outside of the cluster",
        Reason.MECHANISM_NOT_FOUND: "correct competitions[].mechanism, or remove the competition",
        Reason.NO_PERMIT: "stake; the permit comes with the subnet's next epoch",
        Reason.STAKE_TOO_LOW: "stake more",
        Reason.ROUND_FAILED: "`kubectl bitagent explain er ROUND`, then retry it, or wait for the next epoch",
        Reason.VERSION_KEY_TOO_LOW: "raise weights.versionKey",
        Reason.FOREIGN_WEIGHTS: "stop the other process that uses this hotkey, or suspend this Validator",
        Reason.CANNOT_PAY_FEES: "fund the coldkey that owns the hotkey",
        Reason.CLOCK_SKEW: "set the clock of the node (NTP)",
        Reason.GUARD_HELD: "look at the row, and accept it by the annotation that the message names",
    }
)


@dataclass(frozen=True)
class Advice:
    """One reason of an object that needs somebody."""

    reason: str
    subjects: tuple[str, ...]
    """Conditions or models that report it."""
    text: str


def advice(reason: str) -> str:
    """Return what to do about a reason; empty if nothing has to be done, or a later version has made it."""
    if reason not in set(Reason):
        return ""
    known = Reason(reason)
    return _OF_REASON.get(known, _OF_FAULT[known.fault])


_NEGATIVE = frozenset({ConditionType.FAILED.value, ConditionType.STALLED.value})
"""Conditions whose status True is the trouble."""
_SUMS = frozenset({ConditionType.READY.value, ConditionType.STALLED.value})
"""Conditions that repeat the reason of another one."""


def advices(status: Mapping[str, Any]) -> Sequence[Advice]:
    """Return what to do about an object, by its status: reasons of conditions first, then those of its models."""
    found: dict[str, list[str]] = {}
    conditions = sorted(status.get("conditions") or [], key=lambda c: c.get("type") in _SUMS)
    for condition in conditions:
        kind, reason = str(condition.get("type")), str(condition.get("reason"))
        bad = condition.get("status") == "True" if kind in _NEGATIVE else condition.get("status") != "True"
        if bad and not (kind in _SUMS and reason in found):
            found.setdefault(reason, []).append(kind)
    for result in status.get("results") or []:
        if result.get("state") not in ("Succeeded", "Duplicate"):
            found.setdefault(str(result.get("reason")), []).append(str(result.get("model")))
    return [Advice(reason, tuple(subjects), advice(reason)) for reason, subjects in found.items() if advice(reason)]


def advice_rows(status: Mapping[str, Any], *, shown: int = 3) -> list[Sequence[str]]:
    """Return reason, who reports it and what to do, for a terminal."""
    rows: list[Sequence[str]] = []
    for each in advices(status):
        more = f" and {len(each.subjects) - shown} more" if len(each.subjects) > shown else ""
        rows.append([each.reason, ", ".join(each.subjects[:shown]) + more, each.text])
    return rows
