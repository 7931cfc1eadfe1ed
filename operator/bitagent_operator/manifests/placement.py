"""Where pods run and what they carry beside what they need: the operator's settings for each kind of pod."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bitagent_crds.evaluation import Workload
from bitagent_crds.names import QUEUE_LABEL, QUEUE_PRIORITY_LABEL, Component
from bitagent_kube.objects import Obj
from bitagent_operator.config import Config, EvaluatePods, JobPods, Placement

_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True)
class Placed:
    """The members of a Job and its pods that follow from the settings."""

    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    queue: str = ""
    """Queue of the Job, which is created suspended; empty: none."""
    pod: Obj = field(default_factory=dict)
    """Members of the pod's spec."""
    env: tuple[Obj, ...] = ()
    """Variables of the container, after its own."""
    env_from: tuple[Obj, ...] = ()
    volumes: tuple[Obj, ...] = ()
    mounts: tuple[Obj, ...] = ()

    @property
    def container(self) -> Obj:
        """Members of the container that exist only with these settings."""
        return {"envFrom": list(self.env_from)} if self.env_from else {}

    @property
    def job_labels(self) -> dict[str, str]:
        """Labels of the Job alone."""
        return {QUEUE_LABEL: self.queue} if self.queue else {}


def queue_labels(workload: Workload) -> dict[str, str]:
    """Return the labels of an evaluation Job that is in a queue; none without one."""
    if workload.queue_name is None:
        return {}
    priority = workload.queue_priority_class_name
    return {QUEUE_LABEL: workload.queue_name} | ({QUEUE_PRIORITY_LABEL: priority} if priority is not None else {})


def placed(config: Config, component: Component) -> Placed:
    """Return the settings for the Jobs of a component: its own, and for what it leaves out those of all Jobs."""
    jobs = config.jobs
    kinds: dict[Component, JobPods | EvaluatePods] = {
        Component.FETCH: jobs.fetch,
        Component.TASK_SET: jobs.task_set,
        Component.EVALUATE: jobs.evaluate,
        Component.ARCHIVE: jobs.archive,
        Component.RETENTION: jobs.archive,
    }
    own = kinds.get(component, EvaluatePods())
    queue = own.queue_name if isinstance(own, JobPods) else ""
    return Placed(
        labels={**jobs.labels, **own.labels},
        annotations={**jobs.annotations, **own.annotations},
        queue=queue,
        pod=pod_members(jobs) | pod_members(own),
        env=unique("name", jobs.env, own.env),
        env_from=(*jobs.env_from, *own.env_from),
        volumes=unique("name", jobs.volumes, own.volumes),
        mounts=unique("mountPath", jobs.volume_mounts, own.volume_mounts),
    )


def unique(key: str, *lists: Sequence[Obj]) -> tuple[Obj, ...]:
    """Return the members of all lists; of several with one key, which a server refuses, the last."""
    found: dict[object, Obj] = {}
    for members in lists:
        found |= {member.get(key): member for member in members}
    return tuple(found.values())


def pod_members(placement: Placement) -> Obj:
    """Return the members of a pod's spec that a placement sets; what is empty is left to others."""
    members: Obj = {
        "affinity": dict(placement.affinity),
        "nodeSelector": dict(placement.node_selector),
        "tolerations": [dict(each) for each in placement.tolerations],
        "topologySpreadConstraints": [dict(each) for each in placement.topology_spread_constraints],
        "priorityClassName": placement.priority_class_name,
        "runtimeClassName": placement.runtime_class_name,
    }
    return {name: value for name, value in members.items() if value}


def with_preferred_nodes(members: Obj, terms: list[Obj]) -> Obj:
    """Return the members of a pod's spec with further preferences of nodes; what is required stays required."""
    if not terms:
        return members
    affinity: Obj = members.get("affinity", {})
    nodes: Obj = affinity.get("nodeAffinity", {})
    nodes = nodes | {_PREFERRED: [*nodes.get(_PREFERRED, []), *terms]}
    return members | {"affinity": affinity | {"nodeAffinity": nodes}}


def with_pods_beside(members: Obj, terms: Sequence[Obj]) -> Obj:
    """Return the members of a pod's spec with further terms of pods beside which it has to run."""
    if not terms:
        return members
    affinity: Obj = members.get("affinity", {})
    pods: Obj = affinity.get("podAffinity", {})
    pods = pods | {_REQUIRED: [*pods.get(_REQUIRED, []), *terms]}
    return members | {"affinity": affinity | {"podAffinity": pods}}
