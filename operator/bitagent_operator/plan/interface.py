"""What plans return: the status, what is to be made, suspended and deleted, and the Events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import EvalRoundStatus
from bitagent_crds.minermodel import MinerModelStatus
from bitagent_crds.model_result import ModelResult
from bitagent_crds.names import pack_key
from bitagent_crds.status import Condition
from bitagent_kube.objects import EventMessage
from bitagent_operator.observed.workloads import PodObject
from bitagent_operator.plan.inputs import NO_READS, LiveReads, ModelVolume


class EventReason(StrEnum):
    """Reasons of the Events that the operator posts."""

    INVALID = "Invalid"
    STATUS_NOT_WRITTEN = "StatusNotWritten"

    MODEL_FETCHED = "ModelFetched"
    MODEL_REJECTED = "ModelRejected"
    FETCH_FAILED = "FetchFailed"
    FETCH_DELAYED = "FetchDelayed"
    JOB_NOT_CREATED = "JobNotCreated"
    JOB_NOT_CHANGED = "JobNotChanged"
    JOB_REPLACED = "JobReplaced"
    ROUND_STARTED = "RoundStarted"
    ROUND_WAITING = "RoundWaiting"
    ROUND_RETRIED = "RoundRetried"
    IMAGE_CHANGED = "ImageChanged"
    TASK_SET_BUILT = "TaskSetBuilt"
    MODEL_EVALUATED = "ModelEvaluated"
    EVALUATION_FAILED = "EvaluationFailed"
    EVALUATION_DELAYED = "EvaluationDelayed"
    MODEL_UNSCORED = "ModelUnscored"
    CONTROL_STARTED = "ControlStarted"
    NEAR_COPY_FOUND = "NearCopyFound"
    ROUND_COMPLETE = "RoundComplete"
    ROUND_FAILED = "RoundFailed"
    ROUND_ARCHIVED = "RoundArchived"
    ARCHIVE_DELAYED = "ArchiveDelayed"
    FILES_REMOVED = "FilesRemoved"
    RETENTION_DELAYED = "RetentionDelayed"
    VALIDATOR_DEPLOYED = "ValidatorDeployed"
    VALIDATOR_NOT_RUNNING = "ValidatorNotRunning"
    REWRITER_READY = "RewriterReady"
    REWRITER_NOT_READY = "RewriterNotReady"


@dataclass(frozen=True)
class HubTrouble:
    """A fetch Job that ended by a trouble of the hub."""

    job: str
    """uid of the Job."""
    reason: Reason
    at: datetime
    retry_after: timedelta | None = None
    """Pause that the hub asked for."""
    repository: str = ""
    """The repository that was asked for."""


@dataclass(frozen=True)
class VolumePlan:
    """What to do about volumes before a fetch Job is created, in this order."""

    id: str
    """`names.cache_id` of the model that is fetched."""
    bytes: int
    """Size of its claim, if it has none yet."""
    delete: tuple[ModelVolume, ...] = ()
    """Claims to delete, to make room, or because their volume is gone."""


@dataclass(frozen=True)
class StartFetch:
    """A fetch Job to create."""

    need: str
    """Short hash of what the fetch is needed for; part of the Job's name."""
    since: datetime
    """Earliest time of a valid fetch: start of a round that needs it, end of one that missed files, or 1970 for any."""
    attempt: int
    commit: str | None = None
    """The commit to fetch, if a round has fixed it; None: what the revision stands for."""
    resolve_only: bool = False
    """Only resolve the revision, and fetch no files."""
    verify: bool = False
    """Hash the files that the cache has: an evaluation has missed or distrusted them."""
    facts_only: bool = False
    """Check the model and find its size, and fetch no files."""
    size_bytes: int | None = None
    """Size of the files, where each model has a volume of its own; its commit is given then."""


@dataclass(frozen=True)
class StartEvaluation:
    """An evaluation Job to create."""

    key: str
    """`evaluation_key`, or `control_key` of a control; part of the Job's name."""
    attempt: int
    entry: ModelResult
    """What is evaluated: the entry's frozen fields."""
    pods: int | None = None
    """Pods that may fail before the Job gives up; None: as the workload says."""
    preferred_nodes: tuple[str, ...] = ()
    """Nodes on which it should run, if they have room; empty: any."""
    control: bool = False
    """Whether it repeats an evaluation that has succeeded, to see whether the machines work."""
    others: tuple[StartEvaluation, ...] = ()
    """Evaluations of the same attempt that the same Job does after this one."""

    @property
    def job_key(self) -> str:
        """What names the Job: the evaluation's key, or that of the pack."""
        return pack_key([self.key, *(other.key for other in self.others)]) if self.others else self.key


@dataclass(frozen=True)
class StartArchive:
    """An archive Job to create."""

    attempt: int
    uri: str
    """Place of the round's archive."""


@dataclass(frozen=True)
class StartRetention:
    """A retention Job to create."""

    key: str
    """`naming.SWEEP_KEY` or `naming.REMOVE_KEY`."""
    attempt: int


@dataclass(frozen=True)
class JobSuspension:
    """A Job whose `spec.suspend` is to be set, with a mark that the operator did it."""

    name: str
    suspend: bool


@dataclass(frozen=True)
class JobDeletion:
    """A Job to delete, if it still has this uid."""

    name: str
    uid: str
    replaced: bool = False
    """Whether another one takes its name once it is gone: this must be seen at once."""


StatusT = TypeVar("StatusT", MinerModelStatus, EvalRoundStatus)


@dataclass(frozen=True, kw_only=True)
class Plan(Generic[StatusT]):
    """What to do for one object, in this order: create Jobs, write the status, suspend, delete, emit events."""

    status: StatusT
    suspend: tuple[JobSuspension, ...] = ()
    delete: tuple[JobDeletion, ...] = ()
    events: tuple[EventMessage, ...] = ()
    reads: LiveReads = NO_READS
    """Reads to make first; with any, the rest of the plan is void."""
    requeue_after: float | None = None
    """Seconds until this object must be reconciled again; None: when something changes."""


@dataclass(frozen=True, slots=True)
class Evicted:
    """Models that a fetch has removed from the cache to make room."""

    models: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class ModelPlan(Plan[MinerModelStatus]):
    """What to do for a MinerModel."""

    fetch: StartFetch | None = None
    resolve: StartFetch | None = None
    """A resolution, which does not wait for a fetch that is running."""
    troubles: tuple[HubTrouble, ...] = ()
    """What the last Jobs have met at the hub."""
    answered: datetime | None = None
    """When the hub answered a Job, if that is news."""
    volume: VolumePlan | None = None
    """What to do about volumes before `fetch`."""
    evicted: Evicted | None = None
    """What the last fetch has removed from the shared cache, if that is news."""


@dataclass(frozen=True, kw_only=True)
class RoundPlan(Plan[EvalRoundStatus]):
    """What to do for an EvalRound."""

    task_set_attempt: int | None = None
    """Attempt number of the task-set Job to create."""
    evaluate: tuple[StartEvaluation, ...] = ()
    held: int | None = None
    """Evaluation Jobs that hold GPUs; None: this was not looked at."""
    waits_for_slots: int = 0
    """Further ones that could start now, if there were slots."""
    archive: StartArchive | None = None
    retention: StartRetention | None = None


@dataclass(frozen=True, kw_only=True)
class ValidatorPlan:
    """What to report about a Validator. Its objects follow from the spec alone, and are applied before."""

    deployed: Condition
    events: tuple[EventMessage, ...] = ()
    mount_events_of: PodObject | None = None
    """A pod whose volumes do not seem to be mounted: read its Events, then plan again."""
    requeue_after: float | None = None
    """Seconds until this object must be reconciled again; None: with the next full list."""
