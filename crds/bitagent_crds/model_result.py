"""The result of one model in a round: an entry of `status.results` of an EvalRound."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from bitagent_crds.conditions import Reason
from bitagent_crds.fields import (
    AnswerSketch,
    Commit,
    Count,
    Digest,
    Hotkey,
    Loss,
    Name,
    ObjectName,
    PromptFormatName,
    Score,
    Seconds,
    Time,
)
from bitagent_crds.minermodel import PRESERVED, EngineChoices, FrozenChoices
from bitagent_crds.names import evaluation_key
from bitagent_crds.progress import EvaluationPhase
from bitagent_crds.schema import Open, StatusModel
from bitagent_crds.status import AnyReason
from bitagent_crds.task_forms import BuiltinPromptFormat


class ResultState(StrEnum):
    """State of one model in the round."""

    PENDING = "Pending"
    """It waits for its files, the task set, a slot, or for the first container of its Job to run."""
    RUNNING = "Running"
    """A container of its evaluation runs or ran; with `failures` it may also wait for its repetition or for a
    control."""
    SUCCEEDED = "Succeeded"
    """Evaluated; the score is final."""
    REJECTED = "Rejected"
    """Not admitted, unsafe or not obtainable; never run on a GPU; no score."""
    DUPLICATE = "Duplicate"
    """Its weights equal those of another model, which owns the score."""
    MODEL_FAULT = "ModelFault"
    """A fault of the model prevented the evaluation; score 0."""
    UNSCORED = "Unscored"
    """Every attempt at it failed, and the same machines worked for others: its own trouble; no score this round, and
    the round completes."""
    INFRA_FAULT = "InfraFault"
    """The infrastructure failed it for good; no score, and the round cannot complete."""
    NOT_EVALUATED = "NotEvaluated"
    """The round failed before the evaluation ended; no score."""


FINAL_STATES = frozenset(set(ResultState) - {ResultState.PENDING, ResultState.RUNNING})


class PhaseSeconds(StatusModel):
    """Duration of each phase of one evaluation, in seconds."""

    load: Seconds
    """load is the time from process start to the engine's readiness."""
    generate: Seconds
    """generate is the time from the first prompt to the last answer."""
    score: Seconds
    """score is the time for the verdicts."""
    waiting: Seconds | None = None
    """waiting is the time of its pods until a node had accepted them; no GPU was held."""
    pulling: Seconds | None = None
    """pulling is the time from then until their containers ran: images and volumes; the GPUs were held."""
    idle: Seconds | None = None
    """idle is the time of their containers that is in no other phase, such as that of attempts that failed, and of
    processes that start and end; the GPUs were held."""


class ResultProgress(StatusModel):
    """How far an evaluation is that runs, by what its process says: a hint, and never a verdict."""

    phase: Annotated[EvaluationPhase, Open()] | None = None
    """phase is Loading, Generating or Scoring; a later version may have more of them."""
    done: Count = 0
    """done is the number of tasks with an answer."""
    total: Count = 0
    """total is the number of tasks that can be asked; 0 while that is not known."""
    tokens_per_second: Count = 0
    """tokensPerSecond is the mean rate of this attempt's finished answers."""
    idle_since: Time | None = None
    """idleSince is the time of its last progress, if that was more than a minute ago."""


class CopyEvidence(StatusModel):
    """How much two models are alike."""

    weights: Score
    """weights is the similarity of the weights: 1.0 for equal ones and for those that differ by permutation or scaling
    only."""
    answers: Score
    """answers is the share of tasks on which both models gave the same answer, estimated from their sketches; with
    losses the smaller loss over the larger."""
    mistakes: Score | None = None
    """mistakes is the share of the wrong answers of either model that both gave; absent if there are too few."""


class Failure(StatusModel):
    """An evaluation Job that gave up for a cause that the model itself can have, such as too little memory."""

    attempt: Annotated[int, Field(ge=1)]
    """attempt is the number of the Job."""
    reason: AnyReason
    """reason is the cause."""
    attempts: Annotated[int, Field(ge=0)] = 0
    """attempts is the number of containers of the evaluation that had started until then."""
    at: Time
    """at is the time at which the Job gave up."""
    nodes: Annotated[list[ObjectName], Field(max_length=3)] = []
    """nodes are those on which its last pods ran."""


class ModelResult(StatusModel):
    """State and result of one model in the round."""

    model: Name
    """model is the MinerModel's name; the set of names is frozen when the round starts."""
    state: Annotated[ResultState, Open()] = ResultState.PENDING
    """state of this model's evaluation: Pending, Running, Succeeded, Rejected, Duplicate, ModelFault, Unscored,
    InfraFault or NotEvaluated; a later version may have more of them."""
    reason: AnyReason = Reason.PENDING
    """reason is the machine-readable cause of the state."""
    message: Annotated[str, Field(max_length=512)] = ""
    """message is a human-readable explanation."""
    commit: Commit | None = None
    """commit is the commit that is evaluated. With `tasks.seedFrom` it is fixed before the seed is known, otherwise
    when the model is admitted."""
    weights_digest: Digest | None = None
    """weightsDigest identifies the weights that were evaluated."""
    model_digest: Digest | None = None
    """modelDigest identifies everything that was evaluated: weights, tokenizer, template and configuration."""
    repo: Annotated[str, Field(max_length=1024)] | None = None
    """repo is the origin of the files: a repository, or a directory of a volume."""
    prompt_format: PromptFormatName | None = None
    """promptFormat is the format that the round or the model chose; Auto: by the model's files."""
    engine: Annotated[FrozenChoices | None, Field(json_schema_extra=PRESERVED)] = None
    """engine has the model's choices for the inference engine, frozen with the commit."""
    hotkey: Hotkey | None = None
    """hotkey is the miner's account, whom the score pays; frozen with the set, and once more with the commit."""
    commit_block: Count | None = None
    """commitBlock is the block at which the miner claims to have committed to the model; frozen as hotkey."""
    model_uid: Annotated[str, Field(max_length=64)] | None = None
    """modelUid is the uid of the MinerModel, frozen with the set; another one of the same name takes no part."""
    duplicate_of: Name | None = None
    """duplicateOf is the model that owns these weights."""
    near_copy_of: Name | None = None
    """nearCopyOf is the model that was committed earlier, and that this one is a near copy of by its weights and its
    answers. It has a score of its own; whether it earns is up to the competition. Set when the round completes."""
    evidence: CopyEvidence | None = None
    """evidence is how much the model is like that of nearCopyOf."""
    score: Score | None = None
    """score is the mean of the tasks' scores, or of the kinds' means with aggregate Kinds; with scorer Bfcl the
    fraction of tasks passed, with Loss exp(-loss)."""
    interval: Annotated[list[Score], Field(min_length=2, max_length=2)] | None = None
    """interval is the 95 % confidence interval of score, lower end first; absent if it was not computed."""
    rank: Annotated[int, Field(ge=1)] | None = None
    """rank is the place, 1 is best; equal scores share a rank. Set when the round completes."""
    passed: Count | None = None
    """passed is the number of tasks passed."""
    loss: Loss | None = None
    """loss is the mean loss of all samples, with scorer Loss."""
    batch_losses: Annotated[list[Loss], Field(max_length=32)] | None = None
    """batchLosses are the mean losses of the parts of the samples, in order, with scorer Loss."""
    attempts: Count = 0
    """attempts is the number of times that a container of the evaluation started."""
    disruptions: Annotated[list[Time], Field(max_length=32)] = []
    """disruptions are the times at which its pods were evicted, preempted or lost their node, since the last entry of
    failures."""
    stalls: Annotated[list[Time], Field(max_length=16)] = []
    """stalls are the times at which its Job was ended because its process lived without progress, since the last entry
    of failures; another one follows, up to workload.maxAttempts."""
    failures: Annotated[list[Failure], Field(max_length=2)] = []
    """failures are the Jobs that gave up for a cause that the model itself can have, unless a later one succeeded.
    After the first one the model is tried once more when the others have ended; after the second a control decides
    whose trouble it is."""
    node: ObjectName | None = None
    """node is the node on which it runs, or on which the answers were completed."""
    result_digest: Digest | None = None
    """resultDigest identifies the results in the artifact store."""
    key: Annotated[str, Field(max_length=32)] | None = None
    """key names the evaluation: its files are below `results/<key>` of status.artifacts, and its Jobs have it in the
    label `bitagent.io/key`. Set when the evaluation starts."""
    answer_sketch: AnswerSketch | None = None
    """answerSketch is a fingerprint of the answers, to compare with those of other models of this round."""
    started_at: Time | None = None
    """startedAt is the time at which the evaluation Job started."""
    finished_at: Time | None = None
    """finishedAt is the time at which the state became final."""
    seconds: PhaseSeconds | None = None
    """seconds has the duration of each phase, over all attempts whose pods were left at the end."""
    progress: ResultProgress | None = None
    """progress is how far the evaluation is while its container runs; absent if its image says nothing of it."""

    @property
    def evaluation_key(self) -> str | None:
        """Key of the evaluation: of everything that decides its answers in this round; None before admission.

        Facts that an earlier version recorded have no model digest: weights and commit then stand for the files.
        """
        if self.weights_digest is None:
            return None
        return evaluation_key(
            self.model_digest or f"{self.weights_digest}@{self.commit}",
            prompt_format=self.prompt_format or BuiltinPromptFormat.AUTO,
            engine=(self.engine or EngineChoices()).model_dump_json(by_alias=True, exclude_defaults=True),
        )
