"""What plans are given and what they return: the interface between decisions and the code that carries them out.

A plan may depend on something that the cache cannot prove: a result that is not there, an object that is gone. It then
returns `LiveReads`; the reconciler reads from the API server and plans again with the `LiveReadResults`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from bitagent_crds.conditions import Condition, Reason
from bitagent_crds.evalround import EvalRoundStatus, ModelSelection
from bitagent_crds.minermodel import MinerModelStatus
from bitagent_crds.model_result import ModelResult
from bitagent_crds.names import pack_key
from bitagent_crds.progress import ProgressDocument
from bitagent_kube.objects import EventMessage
from bitagent_operator.observed.objects import ModelObject, PodObject, ValidatorObject
from bitagent_operator.observed.queues import QueueState
from bitagent_operator.plan.shares import Share


@dataclass(frozen=True)
class LiveReads:
    """Uncached reads that a plan needs, because the cache cannot prove absence."""

    pods_of_jobs: frozenset[str] = frozenset()
    """uids of ended Jobs for which no pod with a result is cached: list their pods."""
    models: frozenset[str] = frozenset()
    """Names of MinerModels that are not cached: read them."""
    candidates: ModelSelection | None = None
    """The round is about to freeze its set: list the MinerModels that this selects."""
    events_of: frozenset[str] = frozenset()
    """uids of Jobs and pods that make no progress and do not say why: read the Events about them."""
    volumes: bool = False
    """Whether a model is about to get a volume: list the claims of all models' volumes."""

    def __bool__(self) -> bool:
        return bool(self.pods_of_jobs or self.models or self.events_of or self.candidates is not None or self.volumes)


@dataclass(frozen=True)
class ModelVolume:
    """The claim of one model's own volume."""

    id: str
    """`names.cache_id` of the model."""
    name: str
    uid: str
    bytes: int
    """Size that it asks for."""
    created: datetime
    deleting: bool = False
    lost: bool = False
    """Whether what it was bound to is gone."""


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
class LastEvent:
    """The newest Event about an object."""

    reason: str
    message: str
    warning: bool


@dataclass(frozen=True)
class Refusal:
    """Why the API server does not accept a Job."""

    reason: Reason
    """JobInvalid or JobRefused."""
    message: str
    final: bool = False
    """Whether it will not be tried again."""
    retry_at: datetime | None = None
    """When it is tried again, if it is."""
    at: datetime | None = None
    """When it was refused last."""


@dataclass(frozen=True)
class LiveReadResults:
    """Results of the live reads so far. Objects that exist are cached by now, and so among the plan's arguments."""

    jobs_with_listed_pods: frozenset[str] = frozenset()
    """uids of Jobs whose pods were listed after the Job had ended."""
    missing_models: frozenset[str] = frozenset()
    """Names of MinerModels that do not exist."""
    candidates: tuple[ModelObject, ...] | None = None
    """MinerModels for a round's set, listed just now; None if they were not listed."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """MinerModels that were listed or read and that this version cannot read: what is wrong with them, by name."""
    suspended: frozenset[str] = frozenset()
    """Names of MinerModels that were listed, cannot be read, and are suspended."""
    events: Mapping[str, LastEvent | None] = field(default_factory=dict)
    """The newest Event by the uid of its object; None: there is none."""
    volumes: tuple[ModelVolume, ...] | None = None
    """The claims of all models' volumes; None if they were not listed."""


@dataclass
class ReadRequests:
    """Collector of the live reads that turn out to be needed while a plan is made."""

    pods_of_jobs: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    events_of: set[str] = field(default_factory=set)
    look_at: datetime | None = None
    """When time alone changes what was planned; None: never."""

    def reads(self) -> LiveReads:
        """Return all of them."""
        return LiveReads(frozenset(self.pods_of_jobs), frozenset(self.models), events_of=frozenset(self.events_of))


SILENT = timedelta(seconds=5)
"""How long an object may make no progress before the Events about it are read."""
EVENTS_AGAIN = timedelta(seconds=15)
"""Time until they are read again."""
MAX_EVENT_READS = 8
"""Objects whose Events one pass reads: many that wait do so for one cause."""
NO_READS = LiveReads()
NO_RESULTS = LiveReadResults()


@dataclass(frozen=True)
class RetentionPolicy:
    """Which finished rounds keep their files on the artifact volume."""

    ttl: timedelta | None = None
    """Age from which on files are removed; None: any."""
    rounds_per_validator: int | None = None
    """Newest rounds of a Validator that keep theirs; None: any number."""
    min_free_bytes: int = 0
    """Free space that older rounds give way for."""


@dataclass(frozen=True)
class Settings:
    """The part of the operator's configuration that plans depend on."""

    artifact_claim: str
    """PersistentVolumeClaim of the artifacts."""
    unschedulable_after: timedelta
    """Grace period before an unschedulable pod is reported."""
    models_per_hotkey: int = 0
    """MinerModels of one hotkey that are fetched; 0: any number."""
    cache_is_bounded: bool = False
    """Whether files may have been removed from the model cache to make room."""
    archive_uri: str = ""
    """Place of all archives of the namespace; empty: there is no archive."""
    retention: RetentionPolicy | None = None
    """Which finished rounds keep their files; None: all of them."""
    image: str = ""
    """The evaluator's image; a round keeps the one with which it started."""
    volume_per_model: bool = False
    """Whether each model has a volume of its own: then its size is found before its files are fetched."""


@dataclass(frozen=True)
class PodProgress:
    """What an evaluation's process said of itself last."""

    read_at: datetime
    """When it was heard last; see `mute`."""
    advanced_at: datetime
    """When it had made progress last, by its own words."""
    document: ProgressDocument
    mute: bool = False
    """Whether at `read_at` its node took the connection, and the process gave no answer."""


@dataclass(frozen=True)
class Pass:
    """One planning pass: everything a plan depends on besides the observed objects."""

    now: datetime
    settings: Settings
    live: LiveReadResults = NO_RESULTS
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    """Jobs of this object that the API server did not accept last time, by name."""
    requests: ReadRequests = field(default_factory=ReadRequests)
    """Receives the live reads that this pass needs."""
    validator: ValidatorObject | None = None
    """The Validator whose rewriter a round may use; None: none, or it is not known."""
    queues: QueueState = field(default_factory=QueueState)
    """Kueue's queues, as far as they were read."""
    progress: Mapping[str, PodProgress] = field(default_factory=dict)
    """What running evaluations say of themselves, by the uids of their pods: a hint."""
    last_fetched: datetime | None = None
    """When the newest fetch in the namespace began that has succeeded, for a round with one that gave up."""
    share: Share | None = None
    """The round's share of the evaluation Jobs that all rounds may run at once; None: any number."""
    removing: bool = False
    """Whether a Job is removing the round's files, or has a pod that has not ended."""

    def may_exist(self, model: str) -> bool:
        """Whether it is not known yet what became of a MinerModel that is not cached: read it."""
        return model not in self.live.missing_models and model not in self.live.unreadable

    def look_at(self, moment: datetime) -> None:
        """Plan again at that time, unless it is past."""
        if moment > self.now:
            known = self.requests.look_at
            self.requests.look_at = moment if known is None else min(moment, known)

    def next_look(self) -> float | None:
        """Return the seconds until time alone changes the plan; None if only a change of an object does."""
        at = self.requests.look_at
        return None if at is None else (at - self.now).total_seconds()

    def last_event(self, uid: str, *, since: datetime) -> LastEvent | None:
        """Return the newest Event about an object that has made no progress since then; None if it is not known.

        Only Events say why a Job has no pod, or why a node does not start one.
        """
        if self.now < since + SILENT:
            self.look_at(since + SILENT)
            return None
        self.look_at(self.now + EVENTS_AGAIN)
        if uid not in self.live.events and len(self.live.events) + len(self.requests.events_of) < MAX_EVENT_READS:
            self.requests.events_of.add(uid)
        return self.live.events.get(uid)

    def refusal(self, job: str) -> Refusal | None:
        """Return why a Job may not be created now: it was refused for good, or it is too early to try again."""
        found = self.refusals.get(job)
        if found is None or found.final or (found.retry_at is not None and found.retry_at > self.now):
            return found
        return None

    def next_retry(self) -> float | None:
        """Return the seconds until the next Job that was refused may be tried again; None if none is too early.

        One that is due and that this pass does not try waits for something else, such as a slot, or is not needed.
        """
        times = [r.retry_at for r in self.refusals.values() if r.retry_at is not None and r.retry_at > self.now]
        return (min(times) - self.now).total_seconds() if times else None


class EventReason(StrEnum):
    """Reasons of the Events that the operator posts."""

    INVALID = "Invalid"
    STATUS_NOT_WRITTEN = "StatusNotWritten"

    MODEL_FETCHED = "ModelFetched"
    MODEL_REJECTED = "ModelRejected"
    FETCH_FAILED = "FetchFailed"
    FETCH_DELAYED = "FetchDelayed"
    JOB_NOT_CREATED = "JobNotCreated"
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
