"""EvalRound: a frozen competition of models over one task set. Immutable once created, except `suspend`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from bitagent_crds.conditions import Conditions, Reason
from bitagent_crds.evaluation import Evaluation
from bitagent_crds.fields import (
    Commit,
    Count,
    Digest,
    Label,
    Loss,
    Name,
    Score,
    Seconds,
    ShortText,
    Text,
    Time,
)
from bitagent_crds.schema import Column, Kind, Model, Resource, cel, exactly_one, map_list, rules
from bitagent_crds.tasks import Tasks
from bitagent_crds.workload import Workload


class Admission(Model):
    """What this competition allows, judged on facts before any GPU is used."""

    max_parameters: Annotated[int, Field(ge=1, le=2**53)] | None = None
    """maxParameters is the largest number of parameters; absent: no limit."""
    max_repository_bytes: Annotated[int, Field(ge=1, le=2**53)] | None = None
    """maxRepositoryBytes is the largest size of the fetched files; absent: only the operator's own limit holds."""
    licenses: Annotated[list[ShortText], Field(max_length=32)] = []
    """licenses are the allowed licences, in lower case; empty: any."""
    architectures: Annotated[list[ShortText], Field(max_length=32)] = []
    """architectures are the allowed architecture classes; empty: any that the evaluator supports."""
    require_chat_template: bool = False
    """requireChatTemplate refuses models that ship no chat template."""


class ModelSelection(Model):
    """Which MinerModels compete; exactly one member is set. The set is frozen when the round starts."""

    model_config = {"json_schema_extra": rules(exactly_one("matchLabels", "names"))}

    match_labels: Annotated[dict[str, Label], Field(max_length=16)] | None = None
    """matchLabels selects the MinerModels of the namespace that carry all of these labels; empty selects all."""
    names: (
        Annotated[list[Name], Field(min_length=1, max_length=1024, json_schema_extra={"x-kubernetes-list-type": "set"})]
        | None
    ) = None
    """names lists MinerModels."""


_FROZEN = ["models", "tasks", "evaluation", "admission", "workload", "ttlSecondsAfterFinished"]
_SPEC_RULES = rules(
    *(
        cel(
            f"has(self.{f}) == has(oldSelf.{f}) && (!has(self.{f}) || self.{f} == oldSelf.{f})",
            f"{f} is immutable: only suspend may change; create a new EvalRound instead",
            reason="FieldValueForbidden",
        )
        for f in _FROZEN
    )
)


class EvalRoundTemplate(Model):
    """Everything of a round that a Validator's competition fixes in advance; the seed comes from the epoch's block."""

    models: ModelSelection
    """models says which MinerModels compete."""
    evaluation: Evaluation = Evaluation()
    """evaluation says how models answer and are judged."""
    admission: Admission = Admission()
    """admission says which models this competition allows."""
    workload: Workload = Workload()
    """workload says how evaluation Jobs run."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=31536000)] | None = None
    """ttlSecondsAfterFinished removes the round's Jobs and pods that long after it finished; results stay in status and artifacts. Absent: they stay with the round."""


class EvalRoundSpec(EvalRoundTemplate):
    """What competes on what."""

    model_config = {"json_schema_extra": _SPEC_RULES}

    tasks: Tasks
    """tasks says how the task set is made."""
    suspend: bool = False
    """suspend stops new Jobs and suspends running ones; clearing it goes on where the round stopped."""


class ResultState(StrEnum):
    """How far one model is in the round."""

    PENDING = "Pending"
    """Waiting for its files, the task set or a slot."""
    RUNNING = "Running"
    """Its evaluation Job exists."""
    SUCCEEDED = "Succeeded"
    """Evaluated; the score is final."""
    REJECTED = "Rejected"
    """Not admitted, unsafe or not obtainable; never reached a GPU; no score."""
    DUPLICATE = "Duplicate"
    """Its weights are another model's, which owns the score."""
    MODEL_FAULT = "ModelFault"
    """The model could not be evaluated by its own fault; score 0."""
    INFRA_FAULT = "InfraFault"
    """The infrastructure failed it for good; no score, and the round cannot complete."""


FINAL_STATES = frozenset(set(ResultState) - {ResultState.PENDING, ResultState.RUNNING})


class PhaseSeconds(Model):
    """Where one evaluation's time went, in seconds."""

    load: Seconds
    """load is from process start to the engine's readiness."""
    generate: Seconds
    """generate is from the first prompt to the last answer."""
    score: Seconds
    """score is the time for verdicts."""


class ModelResult(Model):
    """One model's way through the round."""

    model: Name
    """model is the MinerModel's name; the set of names is frozen when the round starts."""
    state: ResultState = ResultState.PENDING
    """state says how far it is."""
    reason: Reason = Reason.PENDING
    """reason says why it is in that state."""
    message: Annotated[str, Field(max_length=512)] = ""
    """message tells a person what happened."""
    commit: Commit | None = None
    """commit is the commit that was evaluated, frozen with the first use."""
    weights_digest: Digest | None = None
    """weightsDigest identifies the weights that were evaluated."""
    duplicate_of: Name | None = None
    """duplicateOf is the model that owns these weights."""
    score: Score | None = None
    """score is the mean of the tasks' scores; with the Bfcl scorer the fraction of tasks passed, with Loss exp(-loss)."""
    rank: Annotated[int, Field(ge=1)] | None = None
    """rank is the place, 1 is best; equal scores share a rank. Set when the round completes."""
    passed: Count | None = None
    """passed is the number of tasks passed."""
    loss: Loss | None = None
    """loss is the mean loss of all samples, with scorer Loss."""
    batch_losses: Annotated[list[Loss], Field(max_length=32)] | None = None
    """batchLosses are the mean losses of the parts of the samples, in order, with scorer Loss."""
    attempts: Count = 0
    """attempts is how often the evaluation was started."""
    result_digest: Digest | None = None
    """resultDigest identifies the results in the artifact store."""
    started_at: Time | None = None
    """startedAt is when the evaluation Job started."""
    finished_at: Time | None = None
    """finishedAt is when the state became final."""
    seconds: PhaseSeconds | None = None
    """seconds tells where the time went."""


class TaskSetStatus(Model):
    """The round's task set."""

    digest: Digest
    """digest is the SHA-256 of tasks.jsonl."""
    count: Count
    """count is the number of tasks."""
    uri: Text
    """uri says where it is: claim and path in the artifact volume."""


class RoundCounts(Model):
    """How many models are in which state."""

    selected: Count = 0
    """selected is the size of the frozen set."""
    pending: Count = 0
    """pending models wait for files, tasks or a slot."""
    running: Count = 0
    """running models have an evaluation Job."""
    succeeded: Count = 0
    """succeeded models have a score."""
    rejected: Count = 0
    """rejected models were not admitted."""
    duplicate: Count = 0
    """duplicate models have another model's weights."""
    model_faults: Count = 0
    """modelFaults are models that scored 0 by their own fault."""
    infra_faults: Count = 0
    """infraFaults are models that the infrastructure failed."""


class RoundPhase(StrEnum):
    """A one-word summary for people; programs read the conditions."""

    PENDING = "Pending"
    PREPARING = "Preparing"
    RUNNING = "Running"
    COMPLETE = "Complete"
    FAILED = "Failed"
    SUSPENDED = "Suspended"


class EvalRoundStatus(Model):
    """How far the round is, and its results."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """observedGeneration is the generation of the spec that this status describes."""
    phase: RoundPhase = RoundPhase.PENDING
    """phase is a one-word summary of the conditions."""
    progress: ShortText = ""
    """progress is `done/selected`."""
    best: ShortText = ""
    """best is the leading model and its score, so far."""
    task_set: TaskSetStatus | None = None
    """taskSet identifies the tasks, once built."""
    counts: RoundCounts = RoundCounts()
    """counts summarises the results."""
    results: Annotated[list[ModelResult], Field(max_length=1024, json_schema_extra=map_list("model"))] = []
    """results holds one entry per model of the frozen set."""
    leaderboard_digest: Digest | None = None
    """leaderboardDigest is the SHA-256 of the final ranking; set when the round completes."""
    started_at: Time | None = None
    """startedAt is when the set of models was frozen."""
    finished_at: Time | None = None
    """finishedAt is when the round completed or failed."""
    conditions: Conditions = []
    """conditions are TasksReady, Running, Complete and Failed."""


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
            Column("Best", ".status.best"),
            Column("Rejected", ".status.counts.rejected", "integer"),
            Column("Faults", ".status.counts.infraFaults", "integer", priority=1),
            Column("Tasks", ".status.taskSet.count", "integer"),
            Column("TaskSet", ".status.taskSet.digest", priority=1),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )
    spec: EvalRoundSpec
    """spec is what competes on what; immutable, except suspend."""
    status: EvalRoundStatus | None = None
    """status is written by the operator."""
