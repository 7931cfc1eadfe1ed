"""Observed Jobs, pods and Deployments: frozen, with only what decisions need.

`parse` functions take an object as the API server sent it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bitagent_crds.jobs import outcome_container
from bitagent_crds.names import (
    ATTEMPT_LABEL,
    COMPONENT_LABEL,
    KEY_LABEL,
    PACK_PREFIX,
    QUEUE_LABEL,
    SERIES_LABEL,
    SUSPENDED_ANNOTATION,
    TEMPLATE_ANNOTATION,
)
from bitagent_crds.progress import PROGRESS_PORT_NAME
from bitagent_kube.objects import Obj, ObjectMeta, parse_time

LATE = timedelta(minutes=10)
"""How late a node may take a pod that was bound to it; if it says so later, its clock is ahead.

More than the six minutes after which the pods of a node that restarts are evicted: an end that seems earlier than it
was loses a result that is under way, and one that seems later is only waited for.
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a Job."""

    complete: bool
    """Whether it completed; else it failed."""
    reason: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class JobObject:
    """A Job."""

    meta: ObjectMeta
    suspended: bool
    failed: int
    """Pods that failed."""
    active: int
    """Pods that are pending or running."""
    started: datetime | None
    ended: Ended | None
    ending: Ended | None = None
    """The failure that is decided and waits for its pods to end (`FailureTarget`)."""
    suspended_by_round: bool = False
    """Whether the operator has suspended it with its round, and nothing else has."""
    template: str = ""
    """Digest of its pod's spec when it was made; empty if an earlier version made it."""
    suspended_at: datetime | None = None
    """Since when it is suspended, as its controller says."""
    in_pack: bool = False
    """Whether this is the part that one evaluation has in a Job of several (`plan.jobs.packs`)."""
    pods: int = 1
    """Pods that must succeed: the shards of its work."""
    scaled_down: bool = False
    """Whether something else has set its parallelism to 0."""
    attempt_seconds: int | None = None
    """Time of one of its pods; of the part that one evaluation has in a pack, its own. None: it has no bound."""

    @property
    def series(self) -> int:
        """Series of its round's Jobs that it belongs to."""
        return int(self.meta.labels.get(SERIES_LABEL, "0"))

    @property
    def attempt(self) -> int:
        """Number of the attempt at the same work, from 1."""
        return int(self.meta.labels.get(ATTEMPT_LABEL, "1"))

    @property
    def key(self) -> str:
        """The work it does: `tasks`, an evaluation key, or empty."""
        return self.meta.labels.get(KEY_LABEL, "")

    @property
    def members(self) -> tuple[str, ...]:
        """The evaluations that it does one after the other, in this order; empty for a Job of one."""
        return members_of(self.meta)

    @property
    def queue(self) -> str:
        """The queue of Kueue that admits it; empty: none."""
        return self.meta.labels.get(QUEUE_LABEL, "")

    @classmethod
    def parse(cls, obj: Obj) -> JobObject:
        """Parse a batch/v1 Job.

        What it is for is read from the labels of its pods, which cannot be changed, where they and its own differ.
        """
        meta, status = ObjectMeta.parse(obj), obj.get("status") or {}
        template = obj["spec"].get("template") or {}
        made = (template.get("metadata") or {}).get("labels") or {}
        if any(meta.labels.get(name) != value for name, value in made.items()):
            meta = replace(meta, labels={**meta.labels, **made})
        ended, ending, suspended_at = None, None, None
        for c in status.get("conditions") or ():
            if c["type"] == "Suspended" and c["status"] == "True":
                suspended_at = parse_time(c.get("lastTransitionTime"))
            if c["type"] in ("Complete", "Failed", "FailureTarget") and c["status"] == "True":
                at = parse_time(c.get("lastTransitionTime")) or meta.created
                end = Ended(c["type"] == "Complete", c.get("reason", ""), c.get("message", ""), at)
                ended, ending = (ended, end) if c["type"] == "FailureTarget" else (end, ending)
        return cls(
            meta=meta,
            suspended=bool(obj["spec"].get("suspend", False)),
            failed=status.get("failed", 0),
            active=status.get("active", 0),
            started=parse_time(status.get("startTime")),
            ended=ended,
            ending=ending,
            suspended_by_round=SUSPENDED_ANNOTATION in (obj["metadata"].get("annotations") or {}),
            template=str((obj["metadata"].get("annotations") or {}).get(TEMPLATE_ANNOTATION, "")),
            suspended_at=suspended_at,
            pods=obj["spec"].get("completions") or 1,
            scaled_down=obj["spec"].get("parallelism") == 0,
            attempt_seconds=(template.get("spec") or {}).get("activeDeadlineSeconds"),
        )


def members_of(meta: ObjectMeta) -> tuple[str, ...]:
    """Return the keys of the evaluations of a Job of several, or of its pod, in their order."""
    found = [(int(place), name) for name, place in meta.labels.items() if name.startswith(PACK_PREFIX)]
    return tuple(name.removeprefix(PACK_PREFIX) for _, name in sorted(found))


@dataclass(frozen=True, slots=True)
class Terminated:
    """The end of a container."""

    exit_code: int
    reason: str
    message: str
    started: datetime | None
    finished: datetime | None


@dataclass(frozen=True, slots=True)
class Unschedulable:
    """The scheduler's report that no node fits a pod."""

    since: datetime
    message: str


@dataclass(frozen=True, slots=True)
class InitContainer:
    """An init container that keeps the pod's own container from starting; only others add them."""

    name: str
    reason: str
    """Why it waits or failed; empty while it runs."""
    message: str
    failed: bool
    """Whether it has ended with an error."""


@dataclass(frozen=True, slots=True)
class MemberEnd:
    """The end of the container that ends as one evaluation of a pack did."""

    key: str
    terminated: Terminated


@dataclass(frozen=True, slots=True)
class MemberWait:
    """The container that ends as one evaluation of a pack did, before it has started."""

    key: str
    reason: str
    """Why it waits, as the node says."""
    message: str


@dataclass(frozen=True, slots=True)
class PodObject:
    """A pod of the operator. Only its own container counts, not those that an admission webhook adds to it."""

    meta: ObjectMeta
    phase: str
    reason: str
    """Why the pod as a whole failed, such as Evicted."""
    message: str
    disruption: str
    """Why the pod was removed from its node (preempted, drained, the node was lost), empty if it was not."""
    disrupted: datetime | None
    """When that was decided."""
    started: datetime | None
    """When the container started."""
    waiting_reason: str
    """Why the container is not running yet."""
    waiting_message: str
    terminated: Terminated | None
    unschedulable: Unschedulable | None
    gates: tuple[str, ...]
    """Names of its scheduling gates."""
    init: InitContainer | None
    """The first init container that is not done."""
    ready: bool
    node: str
    """The node that it was bound to; empty before that."""
    scheduled: datetime | None = None
    """When it was bound to its node."""
    address: str = ""
    """Its IP address; empty before it has one."""
    progress_port: int | None = None
    """Port at which it serves its progress; None: it serves none."""
    ends: tuple[MemberEnd, ...] = ()
    """Of a pack: the ends of its evaluations, as far as they have ended."""
    waits: tuple[MemberWait, ...] = ()
    """Of a pack: the containers of its evaluations that have not started."""
    silent_since: datetime | None = None
    """Of one evaluation's part of a pack: since when a result of it should be there, while its pod has not ended: the
    engine, or the evaluation itself, has ended by then. None: it runs, or its end is known."""
    ahead: int = 0
    """Of one evaluation's part of a pack: how many evaluations come before it that have not ended."""
    turn_since: datetime | None = None
    """Of one evaluation's part of a pack: since when it has its turn, by the ends of others; None: it has not."""
    beside: str = ""
    """Another container of the pod that waits, and why; empty: none does."""

    @classmethod
    def parse(cls, obj: Obj) -> PodObject:
        """Parse a core/v1 Pod."""
        meta, status, spec = ObjectMeta.parse(obj), obj.get("status") or {}, obj.get("spec") or {}
        containers = status.get("containerStatuses") or [{}]
        named = (c for c in containers if c.get("name") == meta.labels.get(COMPONENT_LABEL))
        own = next(named, containers[0])
        state = own.get("state") or {}
        waiting, running, ended = state.get("waiting") or {}, state.get("running") or {}, state.get("terminated")
        conditions = {c["type"]: c for c in status.get("conditions") or ()}
        scheduled, ready = conditions.get("PodScheduled", {}), conditions.get("Ready", {})
        disruption = conditions.get("DisruptionTarget", {})
        bound = parse_time(scheduled.get("lastTransitionTime")) if scheduled.get("status") == "True" else None
        ahead = _ahead(bound, parse_time(status.get("startTime")))
        unschedulable, terminated = None, None
        if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
            since = parse_time(scheduled.get("lastTransitionTime")) or meta.created
            unschedulable = Unschedulable(since, scheduled.get("message", ""))
        if ended is not None:
            terminated = _terminated(ended, ahead)
        return cls(
            meta=meta,
            phase=status.get("phase", ""),
            reason=status.get("reason", ""),
            message=status.get("message", ""),
            disruption=_reason_and_message(disruption) if disruption.get("status") == "True" else "",
            disrupted=parse_time(disruption.get("lastTransitionTime")) if disruption.get("status") == "True" else None,
            started=_by_server(running.get("startedAt"), ahead) or (terminated.started if terminated else None),
            waiting_reason=waiting.get("reason", ""),
            waiting_message=waiting.get("message", ""),
            terminated=terminated,
            unschedulable=unschedulable,
            gates=tuple(gate["name"] for gate in spec.get("schedulingGates") or ()),
            init=_unfinished(status.get("initContainerStatuses") or ()),
            ready=ready.get("status") == "True",
            node=spec.get("nodeName") or "",
            scheduled=bound,
            address=status.get("podIP") or "",
            ends=tuple(_ends(meta, containers, ahead)),
            waits=tuple(_waits(meta, containers)),
            beside=next(_waiting_beside(own, containers), ""),
            progress_port=next((p["containerPort"] for p in _ports(spec) if p.get("name") == PROGRESS_PORT_NAME), None),
        )


def _waiting_beside(own: Obj, containers: list[Obj]) -> Iterator[str]:
    for container in containers:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if container is not own and waiting.get("reason", "ContainerCreating") not in _STARTING:
            words = (f"container {container['name']}", waiting["reason"], waiting.get("message", ""))
            yield ": ".join(filter(None, words))


_STARTING = frozenset({"ContainerCreating", "PodInitializing"})
"""Reasons for which a container waits while all is well."""


def _ports(spec: Obj) -> Iterator[Obj]:
    for container in spec.get("containers") or ():
        yield from container.get("ports") or ()


def _ahead(bound: datetime | None, taken: datetime | None) -> timedelta:
    """Return how far the clock of a pod's node is ahead of the API server's; what is within LATE counts as none.

    `bound`: when the pod was bound to its node, by the API server's clock; `taken`: when the node took it, by its own.
    """
    if bound is None or taken is None or timedelta(seconds=-1) <= taken - bound <= LATE:
        return timedelta()
    return taken - bound


def _by_server(text: str | None, ahead: timedelta) -> datetime | None:
    """Return a time that a node has written by its clock, by the API server's."""
    at = parse_time(text)
    return at - ahead if at is not None else None


def _terminated(state: Obj, ahead: timedelta) -> Terminated:
    return Terminated(
        exit_code=state["exitCode"],
        reason=state.get("reason", ""),
        message=state.get("message", ""),
        started=_by_server(state.get("startedAt"), ahead),
        finished=_by_server(state.get("finishedAt"), ahead),
    )


def _ends(meta: ObjectMeta, containers: Iterable[Obj], ahead: timedelta) -> Iterator[MemberEnd]:
    """Yield the ends of the evaluations of a pack's pod."""
    for key, state in _states(meta, containers):
        if (ended := state.get("terminated")) is not None:
            yield MemberEnd(key, _terminated(ended, ahead))


def _waits(meta: ObjectMeta, containers: Iterable[Obj]) -> Iterator[MemberWait]:
    """Yield the evaluations of a pack's pod whose containers have not started."""
    for key, state in _states(meta, containers):
        if (waiting := state.get("waiting")) is not None:
            yield MemberWait(key, str(waiting.get("reason", "")), str(waiting.get("message", "")))


def _states(meta: ObjectMeta, containers: Iterable[Obj]) -> Iterator[tuple[str, Obj]]:
    keys = {outcome_container(key): key for key in members_of(meta)}
    for container in containers:
        if container.get("name") in keys:
            yield keys[container["name"]], container.get("state") or {}


def _unfinished(containers: Iterable[Obj]) -> InitContainer | None:
    """Return the first init container that is not done. One that runs beside the others is done once it has started."""
    for container in containers:
        state = container.get("state") or {}
        waiting, ended = state.get("waiting"), state.get("terminated")
        if (ended is not None and ended["exitCode"] == 0) or ("running" in state and container.get("started")):
            continue
        found = waiting or ended or {}
        reason = str(found.get("reason", ""))
        if ended is not None:
            reason = f"exit code {ended['exitCode']}" + (f" ({reason})" if reason else "")
        return InitContainer(container["name"], reason, str(found.get("message", "")), ended is not None)
    return None


def _reason_and_message(condition: Obj) -> str:
    return ": ".join(t for t in (condition.get("reason"), condition.get("message")) if t) or "no reason given"


@dataclass(frozen=True, slots=True)
class DeploymentObject:
    """A Deployment."""

    meta: ObjectMeta
    replicas: int
    """`spec.replicas`."""
    available: int
    """`status.availableReplicas`."""
    current: bool
    """Whether the status describes the present spec."""
    failure: str = ""
    """Why its pods cannot be created, in the API server's words."""

    @classmethod
    def parse(cls, obj: Obj) -> DeploymentObject:
        """Parse an apps/v1 Deployment."""
        meta, status = ObjectMeta.parse(obj), obj.get("status") or {}
        current = status.get("observedGeneration", 0) >= meta.generation
        updated = status.get("updatedReplicas", 0) >= obj["spec"].get("replicas", 1)
        failed = (c for c in status.get("conditions") or () if c["type"] == "ReplicaFailure" and c["status"] == "True")
        failure = next((str(c.get("message", "")) for c in failed), "")
        available = status.get("availableReplicas", 0)
        return cls(meta, obj["spec"].get("replicas", 1), available, current and updated, failure)
