"""Objects as the planner sees them: frozen, and only what decisions need (managed fields alone can be half of an object).

`parse` functions take an object as the API server sent it. Raises ValueError (pydantic's) for a spec or status of another version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from bitagent_crds.conditions import Condition
from bitagent_crds.evalround import EvalRoundSpec, EvalRoundStatus
from bitagent_crds.minermodel import MinerModelSpec, MinerModelStatus
from bitagent_crds.validator import ValidatorSpec
from bitagent_operator import naming

Obj = dict[str, Any]
_CONDITIONS: TypeAdapter[list[Condition]] = TypeAdapter(list[Condition])


def moment(text: str | None) -> datetime | None:
    """A Kubernetes time, to the second."""
    return None if not text else datetime.fromisoformat(text).astimezone(UTC).replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class Meta:
    """Metadata of any object."""

    name: str
    uid: str
    version: int
    """resourceVersion; larger is newer."""
    generation: int
    created: datetime
    deleting: bool
    labels: Mapping[str, str]
    owner_uid: str
    """uid of the controlling owner, or empty."""

    @classmethod
    def parse(cls, obj: Obj) -> Meta:
        """From any object."""
        m = obj["metadata"]
        owner = next((o["uid"] for o in m.get("ownerReferences", ()) if o.get("controller")), "")
        created = moment(m["creationTimestamp"]) or datetime.fromtimestamp(0, UTC)
        return cls(
            name=m["name"],
            uid=m["uid"],
            version=int(m["resourceVersion"]),
            generation=m.get("generation", 0),
            created=created,
            deleting="deletionTimestamp" in m,
            labels=m.get("labels", {}),
            owner_uid=owner,
        )


@dataclass(frozen=True, slots=True)
class ModelObject:
    """A MinerModel."""

    meta: Meta
    spec: MinerModelSpec
    status: MinerModelStatus

    @classmethod
    def parse(cls, obj: Obj) -> ModelObject:
        """From a MinerModel."""
        status = MinerModelStatus.model_validate(obj.get("status") or {})
        return cls(Meta.parse(obj), MinerModelSpec.model_validate(obj["spec"]), status)


@dataclass(frozen=True, slots=True)
class RoundObject:
    """An EvalRound."""

    meta: Meta
    spec: EvalRoundSpec
    status: EvalRoundStatus

    @classmethod
    def parse(cls, obj: Obj) -> RoundObject:
        """From an EvalRound."""
        status = EvalRoundStatus.model_validate(obj.get("status") or {})
        return cls(Meta.parse(obj), EvalRoundSpec.model_validate(obj["spec"]), status)


@dataclass(frozen=True, slots=True)
class ValidatorObject:
    """A Validator. Of its status only the conditions: the rest is the validator pod's own."""

    meta: Meta
    spec: ValidatorSpec
    conditions: tuple[Condition, ...]

    @classmethod
    def parse(cls, obj: Obj) -> ValidatorObject:
        """From a Validator."""
        conditions = _CONDITIONS.validate_python((obj.get("status") or {}).get("conditions", []))
        return cls(Meta.parse(obj), ValidatorSpec.model_validate(obj["spec"]), tuple(conditions))


@dataclass(frozen=True, slots=True)
class Ended:
    """How a Job ended."""

    complete: bool
    reason: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class JobObject:
    """A Job."""

    meta: Meta
    suspended: bool
    failed: int
    """Pods that failed."""
    active: int
    """Pods that are pending or running."""
    started: datetime | None
    ended: Ended | None

    @property
    def attempt(self) -> int:
        """Which run of the same work this is, from 1."""
        return int(self.meta.labels.get(naming.ATTEMPT, "1"))

    @property
    def key(self) -> str:
        """The work it does: `tasks`, an evaluation key, or empty."""
        return self.meta.labels.get(naming.KEY, "")

    @classmethod
    def parse(cls, obj: Obj) -> JobObject:
        """From a batch/v1 Job."""
        meta, status = Meta.parse(obj), obj.get("status") or {}
        ended = None
        for c in status.get("conditions") or ():
            if c["type"] in ("Complete", "Failed") and c["status"] == "True":
                at = moment(c.get("lastTransitionTime")) or meta.created
                ended = Ended(c["type"] == "Complete", c.get("reason", ""), c.get("message", ""), at)
        return cls(
            meta=meta,
            suspended=bool(obj["spec"].get("suspend", False)),
            failed=status.get("failed", 0),
            active=status.get("active", 0),
            started=moment(status.get("startTime")),
            ended=ended,
        )


@dataclass(frozen=True, slots=True)
class Terminated:
    """How a container ended."""

    exit_code: int
    reason: str
    message: str
    started: datetime | None
    finished: datetime | None


@dataclass(frozen=True, slots=True)
class PodObject:
    """A pod of ours. Only its own container counts, not those that an admission webhook adds to it."""

    meta: Meta
    phase: str
    reason: str
    """Why the pod as a whole failed, such as Evicted."""
    message: str
    disruption: str
    """Why the pod was taken from its node (preempted, drained, the node was lost), empty when it was not."""
    started: datetime | None
    """When the container started."""
    waiting_reason: str
    """Why the container does not run yet."""
    waiting_message: str
    terminated: Terminated | None
    unschedulable: tuple[datetime, str] | None
    """Since when no node takes it, and why."""
    ready: bool

    @classmethod
    def parse(cls, obj: Obj) -> PodObject:
        """From a core/v1 Pod."""
        meta, status = Meta.parse(obj), obj.get("status") or {}
        containers = status.get("containerStatuses") or [{}]
        named = (c for c in containers if c.get("name") == meta.labels.get(naming.COMPONENT))
        state = next(named, containers[0]).get("state") or {}
        waiting, running, ended = state.get("waiting") or {}, state.get("running") or {}, state.get("terminated")
        conditions = {c["type"]: c for c in status.get("conditions") or ()}
        scheduled, ready = conditions.get("PodScheduled", {}), conditions.get("Ready", {})
        disruption = conditions.get("DisruptionTarget", {})
        unschedulable, terminated = None, None
        if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
            since = moment(scheduled.get("lastTransitionTime")) or meta.created
            unschedulable = (since, scheduled.get("message", ""))
        if ended is not None:
            terminated = Terminated(
                exit_code=ended["exitCode"],
                reason=ended.get("reason", ""),
                message=ended.get("message", ""),
                started=moment(ended.get("startedAt")),
                finished=moment(ended.get("finishedAt")),
            )
        return cls(
            meta=meta,
            phase=status.get("phase", ""),
            reason=status.get("reason", ""),
            message=status.get("message", ""),
            disruption=_sentence(disruption) if disruption.get("status") == "True" else "",
            started=moment(running.get("startedAt")) or (terminated.started if terminated else None),
            waiting_reason=waiting.get("reason", ""),
            waiting_message=waiting.get("message", ""),
            terminated=terminated,
            unschedulable=unschedulable,
            ready=ready.get("status") == "True",
        )


def _sentence(condition: Obj) -> str:
    return ": ".join(t for t in (condition.get("reason"), condition.get("message")) if t) or "no reason given"


@dataclass(frozen=True, slots=True)
class DeploymentObject:
    """A Deployment of one replica."""

    meta: Meta
    replicas: int
    """Wanted."""
    available: int
    current: bool
    """Whether the status describes the present spec."""

    @classmethod
    def parse(cls, obj: Obj) -> DeploymentObject:
        """From an apps/v1 Deployment."""
        meta, status = Meta.parse(obj), obj.get("status") or {}
        current = status.get("observedGeneration", 0) >= meta.generation
        updated = status.get("updatedReplicas", 0) >= obj["spec"].get("replicas", 1)
        return cls(meta, obj["spec"].get("replicas", 1), status.get("availableReplicas", 0), current and updated)
