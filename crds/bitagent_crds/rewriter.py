"""A Validator's rewriter: the language model that rewords the questions of its rounds, served by the operator."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bitagent_crds.evaluation import Toleration
from bitagent_crds.fields import Labels, ObjectName, Quantity, ResourceName, ShortText, Text
from bitagent_crds.minermodel import EngineChoices, ModelSource, ResolvedModel
from bitagent_crds.schema import Model, StatusModel
from bitagent_crds.status import Conditions

SERVED_MODEL = "rewriter"
"""Name under which the server offers the model."""


class RewriterResources(Model):
    """Resources of one rewriter pod; requests and limits are equal, but for the CPU."""

    gpus: Annotated[int, Field(ge=0, le=8)] = 1
    """gpus is the number of GPUs of one pod, over which the model is split; 0 for a small model on the CPU."""
    gpu_resource_name: ResourceName | None = None
    """gpuResourceName is the resource by which they are requested; absent: as the operator is configured."""
    cpu: Quantity = "4"
    """cpu is the CPU request."""
    memory: Quantity = "24Gi"
    """memory is the memory request and limit."""
    ephemeral_storage: Quantity = "4Gi"
    """ephemeralStorage is the request of the node's disk, and the size limit of /tmp, where the engine compiles."""


class Rewriter(Model):
    """A language model that the operator fetches like a MinerModel, and serves to this Validator's rounds alone."""

    source: ModelSource
    """source is the location of the model's files. A branch or tag is resolved to a commit once, when the source is
    named; give a commit to choose it."""
    engine: EngineChoices = EngineChoices()
    """engine has the choices for the inference engine."""
    resources: RewriterResources = RewriterResources()
    """resources of one pod."""
    replicas: Annotated[int, Field(ge=1, le=16)] = 1
    """replicas is the number of pods that share the requests."""
    scale_to_zero_after_seconds: Annotated[int, Field(ge=60, le=604800)] | None = None
    """scaleToZeroAfterSeconds is the time without a round that needs it after which no pod runs; the next round of this
    Validator that rewords starts them again. Absent: the pods always run."""
    start_timeout_seconds: Annotated[int, Field(ge=60, le=86400)] = 3600
    """startTimeoutSeconds is the time that a pod may take to load the model, and that a round waits for the rewriter
    before it fails."""
    node_selector: Labels = {}
    """nodeSelector restricts the pods to nodes with these labels."""
    tolerations: Annotated[list[Toleration], Field(max_length=16)] = []
    """tolerations of the pods."""
    runtime_class_name: ObjectName | None = None
    """runtimeClassName of the pods."""
    priority_class_name: ObjectName | None = None
    """priorityClassName of the pods."""


class RewriterStatus(StatusModel):
    """The rewriter's model; whether it answers is the condition RewriterReady."""

    source: ShortText
    """source identifies the `spec.rewriter.source` that this is about: a hash."""
    generation: Annotated[int, Field(ge=0)] = 0
    """generation is that of the spec that named this source first."""
    repo: Text = ""
    """repo is the origin of the files: a repository, or a directory of a volume."""
    resolved: ResolvedModel | None = None
    """resolved has the facts about the commit that is served."""
    conditions: Conditions = []
    """conditions are Resolved, Safe and Fetched, as of a MinerModel."""
