"""EvalRound: a competition of models on one task set, immutable once created, but for how it is run."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from bitagent_crds.defaults import given
from bitagent_crds.evaluation import DEADLINE_SECONDS, Evaluation, Packing, Workload
from bitagent_crds.fields import (
    Count,
    Digest,
    Labels,
    Name,
    Score,
    ShortText,
    Text,
    Time,
)
from bitagent_crds.model_result import FINAL_STATES, ModelResult
from bitagent_crds.schema import (
    REASON,
    Column,
    Kind,
    Model,
    Open,
    Resource,
    Schema,
    StatusModel,
    cel,
    exactly_one,
    has_exactly_one,
    rules,
)
from bitagent_crds.status import Conditions
from bitagent_crds.tasks import Tasks


class Admission(Model):
    """Conditions of admission, checked on the models' facts before any GPU is used."""

    max_parameters: Annotated[int, Field(ge=1, le=2**53)] | None = None
    """maxParameters is the largest number of parameters; absent: no limit."""
    max_repository_bytes: Annotated[int, Field(ge=1, le=2**53)] | None = None
    """maxRepositoryBytes is the largest size of the fetched files; absent: only the operator's own limit applies."""
    licenses: Annotated[list[ShortText], Field(max_length=32)] = []
    """licenses are the allowed licences, in lower case; empty: any."""
    architectures: Annotated[list[ShortText], Field(max_length=32)] = []
    """architectures are the allowed architecture classes; empty: all that the evaluator supports."""
    max_memory_bytes: Annotated[int, Field(ge=1, le=2**53)] | None = None
    """maxMemoryBytes is the largest need of memory of one evaluation: weights, keys and values of one sequence of
    maxPromptTokens and maxTokens, and one step. Set it to what the GPUs of one pod have free. Absent: what a model of
    maxParameters needs at most, by the shapes of known families."""
    require_chat_template: bool = False
    """requireChatTemplate rejects models without a chat template."""
    tokenizer_digests: Annotated[list[Digest], Field(max_length=32)] = []
    """tokenizerDigests are the allowed tokenizers, as `bitagent-eval check` shows them; empty: any. Losses of models
    with one tokenizer are compared token by token."""


class ModelSelection(Model):
    """Selection of the MinerModels that compete; exactly one member is set. The set is frozen when the round starts."""

    model_config = {"json_schema_extra": rules(exactly_one("matchLabels", "names"))}

    match_labels: Labels | None = None
    """matchLabels selects the MinerModels of the namespace that carry all of these labels; empty selects all."""
    names: (
        Annotated[list[Name], Field(min_length=1, max_length=1024, json_schema_extra={"x-kubernetes-list-type": "set"})]
        | None
    ) = None
    """names lists MinerModels."""

    @model_validator(mode="after")
    def _has_one(self) -> ModelSelection:
        return has_exactly_one(self, "match_labels", "names")


_FROZEN = ["models", "evaluation", "admission", "ttlSecondsAfterFinished"]
"""Fields that never change; those of `tasks` have rules of their own."""
_FROZEN_OF_WORKLOAD = {
    "queueName": "Jobs of this round are in that queue, or in none",
    "shards": "each of them has the time that a model may generate",
    "resources.gpus": "the number of GPUs can change answers",
    "resources.gpuResourceName": "the kind of GPU can change answers",
}
"""Fields of `workload` that never change, and why. The others are for Jobs that are not made yet."""
_GENERATE_BEFORE_DEADLINE = cel(
    "!has(self.evaluation) || !has(self.evaluation.generateSeconds) || "
    f"self.evaluation.generateSeconds < {given('workload.deadlineSeconds', DEADLINE_SECONDS)}",
    "evaluation.generateSeconds must be below workload.deadlineSeconds, which also covers loading and scoring: a Job "
    "that reaches its deadline has no score",
)
_RETRY_GROWS = cel(
    "!has(oldSelf.retry) || (has(self.retry) && self.retry >= oldSelf.retry)",
    "retry never decreases: raise it by one to take a failed round up again",
    reason="FieldValueForbidden",
)
_DEADLINE_DECIDES = cel(
    "self.workload.deadlineSeconds == oldSelf.workload.deadlineSeconds || has(self.evaluation.generateSeconds)",
    "workload.deadlineSeconds is immutable without evaluation.generateSeconds: the time that a model may generate "
    "follows from it",
    reason="FieldValueForbidden",
)


def _never_changes(field: str, why: str = "") -> Schema:
    rule = f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
    message = f"{field} is immutable{f': {why}' if why else ''}; create a new EvalRound instead"
    return cel(rule, message, reason="FieldValueForbidden")


_TASKS_ONLY_STAYS = rules(
    cel("self == oldSelf", "tasksOnly is immutable; create a new EvalRound instead", reason="FieldValueForbidden")
)
_SPEC_RULES = rules(
    _GENERATE_BEFORE_DEADLINE,
    _RETRY_GROWS,
    *map(_never_changes, _FROZEN),
    *(_never_changes(f"workload.{field}", why) for field, why in _FROZEN_OF_WORKLOAD.items()),
    _DEADLINE_DECIDES,
)


class EvalRoundTemplate(Model):
    """The parts of a round that a Validator's competition fixes in advance."""

    model_config = {"json_schema_extra": rules(_GENERATE_BEFORE_DEADLINE)}

    models: ModelSelection
    """models selects the MinerModels that compete."""
    evaluation: Evaluation = Evaluation()
    """evaluation defines how models are prompted and their answers scored."""
    admission: Admission = Admission()
    """admission has the conditions that a model must meet."""
    workload: Workload = Workload()
    """workload defines how evaluation Jobs run. In a round, what does not decide scores may be changed, for Jobs that
    are not made yet: all but queueName, resources.gpus and gpuResourceName, and deadlineSeconds if generateSeconds is
    absent."""

    packing: Packing | None = None
    """packing says whether one Job evaluates several models; it may be changed for Jobs that are not made yet. Absent:
    a Job for each model."""

    @property
    def generate_seconds(self) -> int:
        """Time that a model may take to generate: half of the Job's deadline, unless the round says otherwise.

        The other half is for images, weights, the engine's start and scoring.
        """
        return self.evaluation.generate_seconds or self.workload.deadline_seconds // 2

    active_deadline_seconds: Annotated[int, Field(ge=60, le=31536000)] | None = None
    """activeDeadlineSeconds is the time after which a round that has not ended fails; it counts from status.activeSince
    and may be changed. Absent: a Validator's round has a bound by its epochs, any other has none."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=31536000)] | None = None
    """ttlSecondsAfterFinished is the time after which the Jobs and pods of a finished round are removed; results stay
    in status and artifacts. Absent: they stay as long as the round."""


class EvalRoundSpec(EvalRoundTemplate):
    """The models and tasks of the round, and how they are evaluated."""

    model_config = {"json_schema_extra": _SPEC_RULES}

    tasks: Tasks
    """tasks defines the task set."""
    tasks_only: Annotated[bool, Field(json_schema_extra=_TASKS_ONLY_STAYS)] = False
    """tasksOnly builds the task set and evaluates no model: the round is complete with `status.taskSet`, and `models`
    is not looked at. A Validator makes such rounds for the tasks that it asks miners online. They are not archived, and
    the files of the newest two of a competition stay."""
    suspend: bool = False
    """suspend creates no new Jobs and suspends running ones; set to false to resume."""
    retry: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """retry takes a failed round up again when it is raised: what has no verdict by a fault of the infrastructure or
    because the round ended is done again, and good results stay. It never decreases."""


class TaskSetStatus(StatusModel):
    """The round's task set."""

    digest: Digest
    """digest is the SHA-256 of tasks.jsonl."""
    count: Count
    """count is the number of tasks."""
    uri: Text
    """uri is its location: claim and path in the artifact volume."""
    baseline: Score | None = None
    """baseline is the score of the best constant answer to these tasks, by the round's scorer."""


class ArchiveStatus(StatusModel):
    """The archive of the round's files."""

    uri: Text
    """uri is the place of the archive; below it `index.json` lists all files with their digests."""
    digest: Digest
    """digest is the SHA-256 of index.json."""
    files: Count = 0
    """files is the number of archived files."""
    bytes: Count = 0
    """bytes is their total size."""
    at: Time
    """at is the time at which the archive was complete."""


class FilesStatus(StatusModel):
    """The round's files on the artifact volume, by the operator's retention."""

    free_bytes: Count
    """freeBytes is the free space of the volume at that time."""
    checked_at: Time
    """checkedAt is the time at which a Job of the round looked at the volume last."""
    removed_at: Time | None = None
    """removedAt is the time at which the round's files were removed; absent: they are there."""


class RoundEstimate(StatusModel):
    """How far the evaluations of a running round are, and when it may end."""

    percent: Annotated[int, Field(ge=0, le=100)] = 0
    """percent is the share of the evaluations that is done, each in progress by its share of answered tasks."""
    end: Time | None = None
    """end is when the round ends if it proceeds as it has so far; absent before a twentieth is done."""
    text: ShortText = ""
    """text is both, for display; the time is in UTC."""
    at: Time
    """at is the time for which this holds, and of the progress in results; it is written every 10 s at most."""


class GpuSeconds(StatusModel):
    """GPU time of the round: seconds times GPUs of each evaluation pod."""

    held: Count = 0
    """held is the time from when a node had accepted a pod until its container ended, over all pods of the round's
    evaluations, with failed attempts, repetitions and controls."""
    generating: Count = 0
    """generating is the part of it in which an engine generated, by the results that have a score."""
    until: Time
    """until is the time up to which held is counted."""


class RoundCounts(StatusModel):
    """Number of models by state."""

    selected: Count = 0
    """selected is the size of the frozen set."""
    pending: Count = 0
    """pending models wait for files, tasks, a slot, or for a container to run."""
    running: Count = 0
    """running models have an evaluation of which a container runs or ran."""
    succeeded: Count = 0
    """succeeded models have a score."""
    rejected: Count = 0
    """rejected models were not admitted."""
    duplicate: Count = 0
    """duplicate models have another model's weights."""
    model_faults: Count = 0
    """modelFaults are models that score 0 because of their own fault."""
    unscored: Count = 0
    """unscored models have no score this round, by trouble of their own: all their attempts failed."""
    left_out: Count = 0
    """leftOut is the number of models that match as well, beyond the 1,024 that a round can hold; those with the
    earliest commit blocks compete."""
    infra_faults: Count = 0
    """infraFaults are models that could not be evaluated because of the infrastructure."""
    not_evaluated: Count = 0
    """notEvaluated are models whose evaluation had not ended when the round failed."""


class RoundPhase(StrEnum):
    """Summary of the conditions in one word, for display; programs should read the conditions."""

    PENDING = "Pending"
    PREPARING = "Preparing"
    RUNNING = "Running"
    COMPLETE = "Complete"
    FAILED = "Failed"
    SUSPENDED = "Suspended"


class FetchControl(StatusModel):
    """A model that is fetched again, to see whether fetching works: the fetch of another one gave up."""

    model: Name
    """model is the MinerModel."""
    since: Time
    """since is the time from which on a result of its fetch counts."""


class EvalRoundStatus(StatusModel):
    """Progress and results of the round."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """observedGeneration is the generation of the spec that this status describes."""
    phase: Annotated[RoundPhase, Open()] = RoundPhase.PENDING
    """phase is a one-word summary of the conditions: Pending, Preparing, Running, Complete, Failed or Suspended; a
    later version may have more of them."""
    progress: ShortText = ""
    """progress is `done/selected`."""
    best: ShortText = ""
    """best is the leading model so far, and its score."""
    estimate: RoundEstimate | None = None
    """estimate is how far the evaluations are, while the round runs."""
    gpu_seconds: GpuSeconds | None = None
    """gpuSeconds is the GPU time that the round has held, and the part of it that generated; absent without GPUs."""
    task_set: TaskSetStatus | None = None
    """taskSet identifies the tasks, once built."""
    counts: RoundCounts = RoundCounts()
    """counts has the number of models by state."""
    results: Annotated[
        list[ModelResult], Field(max_length=1024, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = []
    """results has one entry per model of the frozen set. The list is written as a whole, by the operator alone: managed
    fields of every entry would take as much room in etcd as the results."""
    fetch_controls: Annotated[
        list[FetchControl], Field(max_length=4, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = []
    """fetchControls are the models that were fetched again, to see whether fetching works; the last may still run."""
    leaderboard_digest: Digest | None = None
    """leaderboardDigest is the SHA-256 of the final ranking; set when the round completes."""
    archive: ArchiveStatus | None = None
    """archive is where the files of the finished round were archived, if the operator has an archive."""
    files: FilesStatus | None = None
    """files is the state of the finished round's files on the artifact volume, if the operator has a retention."""
    artifacts: Text | None = None
    """artifacts is the place of the round's files: claim and path in the artifact volume, `pvc://claim/path`. It has
    `tasks/` and one directory `results/<key>/` for each result with a key."""
    image: Text | None = None
    """image is the evaluator's image for all Jobs of the round, as the operator was configured when the round started.
    While none of its containers has ever run and the image cannot be pulled, it follows the configuration."""
    retry: Annotated[int, Field(ge=0)] = 0
    """retry is the value of spec.retry that was acted on."""
    series: Annotated[int, Field(ge=0)] = 0
    """series numbers the Jobs that count; a retry or another image begins a new series, whose Jobs have other names."""
    started_at: Time | None = None
    """startedAt is the time at which the set of models was frozen."""
    retried_at: Time | None = None
    """retriedAt is the time of the last retry."""
    active_since: Time | None = None
    """activeSince is the time since which the round is not suspended: of its first look at the models, its start, its
    last resumption or its last retry, whichever is last. Absent while it is suspended."""
    finished_at: Time | None = None
    """finishedAt is the time at which the round completed or failed."""
    conditions: Conditions = []
    """conditions are Ready, Stalled, TasksReady, Running, Complete and Failed, and Archived and FilesKept if the
    operator has an archive and a retention."""

    @property
    def begun(self) -> Time | None:
        """Time of the start or of the last retry: what failed before it is done again."""
        return max((at for at in (self.started_at, self.retried_at) if at is not None), default=None)

    @property
    def models_fixed(self) -> bool:
        """Whether the set is frozen, and each of its models has a commit or takes no part."""
        return self.started_at is not None and all(
            r.commit is not None or r.state in FINAL_STATES for r in self.results
        )


class EvalRound(Resource):
    """One evaluation of a set of models on one set of tasks."""

    crd: ClassVar[Kind] = Kind(
        kind="EvalRound",
        plural="evalrounds",
        short_names=("er",),
        name_max=48,
        columns=(
            Column("Phase", ".status.phase"),
            Column("Done", ".status.progress"),
            Column("Estimate", ".status.estimate.text"),
            Column("Best", ".status.best"),
            Column("Rejected", ".status.counts.rejected", "integer"),
            Column("Faults", ".status.counts.infraFaults", "integer", priority=1),
            Column("Tasks", ".status.taskSet.count", "integer"),
            REASON,
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )
    spec: EvalRoundSpec
    """spec has the models and tasks of the round. Immutable, except suspend, retry, activeDeadlineSeconds, packing,
    most of workload, and the parts of a seed that are added later."""
    status: EvalRoundStatus | None = None
    """status is written by the operator."""
