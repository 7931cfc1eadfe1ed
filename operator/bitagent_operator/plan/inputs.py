"""What plans are given: one pass, with the settings, and with live reads where the cache cannot prove something.

A plan may depend on a result that is not there, or on an object that is gone. It then asks for `LiveReads`; the
reconciler reads from the API server and plans again with the `LiveReadResults`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import ModelSelection
from bitagent_crds.progress import ProgressDocument
from bitagent_operator.observed.objects import ModelObject, ValidatorObject
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
