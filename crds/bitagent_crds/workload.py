"""How evaluation Jobs run: what a pod asks for, where it may run, how many at once, how long and how often."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bitagent_crds.fields import Label, Name, ObjectName, Quantity
from bitagent_crds.schema import Model


class Toleration(Model):
    """A node taint that evaluation pods tolerate, as in core/v1."""

    key: Annotated[str, Field(max_length=253)] = ""
    """key of the taint; empty with operator Exists tolerates every key."""
    operator: Annotated[str, Field(json_schema_extra={"enum": ["Exists", "Equal"]}, pattern=r"^(Exists|Equal)$")] = (
        "Equal"
    )
    """operator relates key and value."""
    value: Label = ""
    """value of the taint, for operator Equal."""
    effect: Annotated[
        str, Field(json_schema_extra={"enum": ["", "NoSchedule", "PreferNoSchedule", "NoExecute"]}, max_length=16)
    ] = ""
    """effect of the taint; empty tolerates every effect."""


class Resources(Model):
    """What one evaluation pod asks for; requests and limits are equal."""

    gpus: Annotated[int, Field(ge=1, le=8)] = 1
    """gpus is the number of GPUs of one evaluation pod."""
    cpu: Quantity = "4"
    """cpu is the CPU request."""
    memory: Quantity = "16Gi"
    """memory is the memory request and limit."""


class Workload(Model):
    """How evaluation Jobs run."""

    resources: Resources = Resources()
    """resources of one evaluation pod."""
    parallelism: Annotated[int, Field(ge=1, le=1024)] = 8
    """parallelism is how many evaluation Jobs may exist unfinished at once, when no queue decides that."""
    queue_name: Name | None = None
    """queueName hands the Jobs to Kueue: they are created suspended, with this LocalQueue's label, all at once."""
    deadline_seconds: Annotated[int, Field(ge=60, le=604800)] = 7200
    """deadlineSeconds bounds one evaluation Job, retries included."""
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """maxAttempts is how often an evaluation is started before an infrastructure fault is final."""
    node_selector: Annotated[dict[str, Label], Field(max_length=16)] = {}
    """nodeSelector restricts evaluation pods to nodes with these labels."""
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = []
    """tolerations of evaluation pods."""
    runtime_class_name: ObjectName | None = None
    """runtimeClassName of evaluation pods, such as nvidia or a sandboxed runtime."""
    priority_class_name: ObjectName | None = None
    """priorityClassName of evaluation pods."""
