"""Kueue's LocalQueues of the namespace and the Workloads in them, as far as they say why a Job is not admitted.

They are read only while something waits in a queue, and as one snapshot: `QueueState`. `parse` functions take an object
as the API server sent it, of any version that `bitagent_kube.resources.KUEUE_VERSIONS` names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bitagent_kube.objects import Obj, ObjectMeta, parse_time


@dataclass(frozen=True, slots=True)
class QueueCondition:
    """A condition of a queue or a Workload, in Kueue's words."""

    holds: bool
    reason: str
    message: str
    since: datetime | None

    @property
    def words(self) -> str:
        """Reason and message."""
        return ": ".join(text for text in (self.reason, self.message) if text) or "Kueue gives no reason"


@dataclass(frozen=True, slots=True)
class LocalQueue:
    """A queue of the namespace."""

    name: str
    cluster_queue: str
    inactive: QueueCondition | None = None
    """Why it admits nothing; None: it does, or Kueue has not said yet."""
    stopped: bool = False
    """Whether its spec stops it: Kueue calls such a queue active."""

    @classmethod
    def parse(cls, obj: Obj) -> LocalQueue:
        """Parse a LocalQueue."""
        spec = obj.get("spec") or {}
        active = _conditions(obj).get("Active")
        inactive = active if active is not None and not active.holds else None
        stopped = str(spec.get("stopPolicy") or "None") != "None"
        return cls(obj["metadata"]["name"], str(spec.get("clusterQueue", "")), inactive, stopped)


@dataclass(frozen=True, slots=True)
class Workload:
    """What Kueue makes of a Job."""

    name: str
    job: str
    """uid of the Job."""
    active: bool
    """Whether Kueue may admit it: it deactivates one that it has requeued too often."""
    conditions: Mapping[str, QueueCondition] = field(default_factory=dict)
    """By type, such as QuotaReserved, Admitted, Evicted, Preempted."""
    checks: tuple[str, ...] = ()
    """Admission checks that are not ready, each with its state and words."""

    @classmethod
    def parse(cls, obj: Obj) -> Workload:
        """Parse a Workload."""
        meta, spec, status = ObjectMeta.parse(obj), obj.get("spec") or {}, obj.get("status") or {}
        checks = tuple(
            ": ".join(str(each.get(member)) for member in ("name", "state", "message") if each.get(member))
            for each in status.get("admissionChecks") or ()
            if each.get("state") != "Ready"
        )
        return cls(meta.name, meta.owner_uid, spec.get("active") is not False, _conditions(obj), checks)


@dataclass(frozen=True)
class QueueState:
    """What is known of the queues of the namespace."""

    read: bool = False
    """Whether they were read: until then nothing follows from what is not here."""
    installed: bool = True
    """Whether the API server serves Kueue's kinds."""
    problem: str = ""
    """Why they cannot be read."""
    queues: Mapping[str, LocalQueue] = field(default_factory=dict)
    """By name."""
    workloads: Mapping[str, Workload] = field(default_factory=dict)
    """By the uid of their Job."""

    def changed_from(self, before: QueueState) -> QueueChanges:
        """Return what is different from an earlier state."""
        if (self.read, self.installed, self.problem) != (before.read, before.installed, before.problem):
            return QueueChanges(everything=True)
        return QueueChanges(
            queues=_different(self.queues, before.queues), jobs=_different(self.workloads, before.workloads)
        )


@dataclass(frozen=True)
class QueueChanges:
    """Which Jobs a change of the queues concerns."""

    everything: bool = False
    queues: frozenset[str] = frozenset()
    """Names of queues."""
    jobs: frozenset[str] = frozenset()
    """uids of Jobs."""

    def __bool__(self) -> bool:
        return self.everything or bool(self.queues or self.jobs)


def _different(after: Mapping[str, object], before: Mapping[str, object]) -> frozenset[str]:
    return frozenset(name for name in after.keys() | before.keys() if after.get(name) != before.get(name))


def _conditions(obj: Obj) -> dict[str, QueueCondition]:
    found = (obj.get("status") or {}).get("conditions") or ()
    return {
        str(each["type"]): QueueCondition(
            holds=each.get("status") == "True",
            reason=str(each.get("reason", "")),
            message=" ".join(str(each.get("message", "")).split()),
            since=parse_time(each.get("lastTransitionTime")),
        )
        for each in found
    }
