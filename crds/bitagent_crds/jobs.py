"""The interface between operator and evaluator: a JSON document for each Job, and a short summary as its outcome.

The document is the annotation `bitagent.io/job` of the pod template, mounted as the file JOB_FILE by the downward
API: the Job is the only object, so a Job and its input cannot disagree. The summary is the container's termination
message (at most 4096 bytes); everything longer is in the artifact volume.

Exit codes (`exit_code`): 0 done; 78 the fault of the model or the spec, final; 75 a trouble that the Job's next pod
would meet as well, so that the Job ends and the operator makes another one later; all others an infrastructure fault,
tried again by the Job.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, TypeAdapter, model_serializer, model_validator

from bitagent_crds.conditions import Fault, Reason
from bitagent_crds.evalround import Admission
from bitagent_crds.evaluation import MAX_PACK, MAX_SHARDS, Evaluation, RunSpec
from bitagent_crds.fields import AnswerSketch, Commit, CommitmentHash, Count, Digest, Hotkey, Loss, Score, ShortText
from bitagent_crds.minermodel import EngineChoices, ModelFacts
from bitagent_crds.model_result import PhaseSeconds
from bitagent_crds.printable import escape_all
from bitagent_crds.results import Unanswered
from bitagent_crds.schema import Model, Open, StatusModel
from bitagent_crds.status import AnyReason
from bitagent_crds.tasks import Tasks

EXIT_OK = 0
EXIT_MODEL_FAULT = 78
EXIT_LATER = 75
EXIT_NO_MODEL = 66
"""Of `serve`: the directory holds no model; the operator fetches it again."""
EXIT_PACK_LOST = 70
"""Of a pack's outcome container: the engine's container ended in the middle of this model's evaluation, and its own
status says how."""
EXIT_NOT_BEGUN = 71
"""Of a pack's outcome container: the engine's container ended before this model's evaluation began."""
EXIT_STOPPED = 143
"""The pod was ended from outside, by SIGTERM: a shell's code for that. It costs no attempt."""
EXIT_USAGE = 2
EXIT_INFRASTRUCTURE = 1
TERMINATION_MESSAGE_BYTES = 4096
POD_MESSAGES_BYTES = 12 * 1024
"""What the kubelet keeps of the termination messages of one pod, in equal shares of its containers."""
JOB_ANNOTATION = "bitagent.io/job"
JOB_FILE = "/etc/bitagent/job.json"
TERMINATION_LOG = "/dev/termination-log"
LATER = frozenset({Reason.HUB_RATE_LIMITED, Reason.HUB_TOKEN_REJECTED, Reason.MODEL_FILES_MISSING})
"""Reasons that end with EXIT_LATER."""


class JobKind(StrEnum):
    """Kind of a Job document."""

    FETCH = "Fetch"
    TASK_SET = "TaskSet"
    EVALUATE = "Evaluate"
    PACK = "Pack"
    ARCHIVE = "Archive"
    RETENTION = "Retention"


CacheId = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
"""`names.cache_id` of a cached model."""


class CacheRoom(Model):
    """What an operator knows about the models in the cache, for a fetch that needs room."""

    in_use: list[CacheId] = []
    """Models that a running round has yet to evaluate: never removed."""
    done: list[CacheId] = []
    """Models that a running round has evaluated, and none will: removed first."""
    same_hotkey: list[CacheId] = []
    """Other models of the same hotkey: its share of the cache holds them and the new one."""
    share_bytes: Count = 0
    """Share of one hotkey; 0: unlimited."""


class CommitmentCheck(Model):
    """The hash that a miner has committed to; the files must have it."""

    hash: CommitmentHash
    """hash is the SHA-256 of the model's folder by the finetuning subnets' rule, in base64."""
    hotkey: Hotkey
    """hotkey is the miner's account, which may be part of what is hashed."""


class FetchJob(Model):
    """Resolve a model's revision, check its safety by headers, and download it into the cache.

    The hub's address and token come from the environment (HF_ENDPOINT, HF_TOKEN), as every hub client reads them.
    """

    kind: Literal[JobKind.FETCH] = JobKind.FETCH
    repo: str | None = None
    """Repository on the hub; None for a directory."""
    revision: str = "main"
    """Branch, tag or commit of `repo`."""
    directory: str | None = None
    """Absolute path of a mounted model directory, instead of `repo`."""
    cache_dir: str
    """Absolute path of the mounted model cache; the model is written to `names.cached_model_path(...)` below it."""
    max_bytes: Count
    """Maximum total size of the files to fetch."""
    cache_max_bytes: Count
    """Maximum size of the cache, kept by removing models; 0: unlimited."""
    resolve_only: bool = False
    """Return only the commit that the revision stands for."""
    facts_only: bool | None = None
    """Check the model and return its facts, and fetch no files; absent: False. An evaluator of an earlier version does
    not know this member, and is given it only where it is needed."""
    verify: bool = False
    """Hash a model that is in the cache, and fetch it again if it is not what was fetched."""
    room: CacheRoom = CacheRoom()
    """Which models may be removed."""
    admissions: list[Admission] | None = None
    """Rules of the rounds and competitions that will judge the model: if each of them refuses it, by facts that are
    known before, its files are not fetched. Absent: they are fetched."""
    operator_token: bool = False
    """Whether HF_TOKEN is the operator's own: if the hub does not accept it, that is not the model's fault."""
    commitment: CommitmentCheck | None = None
    """What the files are compared with. Absent: with nothing. An evaluator of an earlier version does not know this
    member, and is given it only where it is needed."""


class FetchSummary(StatusModel):
    """Outcome of a FetchJob."""

    reason: AnyReason
    """Fetched; Resolved if only that was asked for; CacheFull if the files wait for room; or the cause of the
    failure."""
    message: str = ""
    facts: ModelFacts | None = None
    """Present if the repository could be read, also for an unsafe model whose headers are sound. With reason Resolved
    they are those that are known before the files are fetched."""
    commit: Commit | None = None
    """The commit that the revision stands for, if only that was asked for."""
    retry_after_seconds: Count | None = None
    """Seconds that the hub asks to wait, at the end of the fetch; absent if it did not say."""
    evicted_models: Count | None = None
    """Models that were removed from the cache to make room; absent if none was."""
    evicted_bytes: Count | None = None
    """Their bytes."""


class RewriterAddress(Model):
    """Where a Validator's rewriter answers, and what it is."""

    url: str
    """Base URL, up to and including `/v1`."""
    model: str
    """Name of the model at the endpoint."""
    repo: str
    """Origin of the model's files: a repository, or a directory of a volume."""
    commit: Commit
    """Commit of the model's files."""
    engine: EngineChoices = EngineChoices()
    """Choices for the inference engine."""
    image: str = ""
    """Image of the server."""


class TaskSetJob(Model):
    """Build a round's task set.

    Keys come from the environment: `source_key(i)` for `tasks.sources[i]`, `alteration_key(i)` for
    `tasks.alterations[i]`. The hub's address comes from HF_ENDPOINT.
    """

    kind: Literal[JobKind.TASK_SET] = JobKind.TASK_SET
    tasks: Tasks
    """The round's tasks, as in its spec."""
    evaluation: Evaluation = Evaluation()
    """The round's evaluation, as in its spec; a scorer or prompt format that the image does not have is refused."""
    rewriter: RewriterAddress | None = None
    """The rewriter of the round's Validator, for a `rewrite` that names no url."""
    files: dict[Annotated[str, Field(pattern=r"^[0-9]+$")], str] = {}
    """Absolute path of the mounted file of each JSONL source that is mounted, by its index in `tasks.sources`."""
    out_dir: str
    """Absolute path of the directory to write tasks.jsonl and manifest.json to."""


class TaskSetSummary(StatusModel):
    """Outcome of a TaskSetJob."""

    reason: AnyReason
    """TasksReady, or TasksFailed, UnjudgeableTasks, UnknownScorer or UnknownPromptFormat when the spec cannot be
    satisfied (exit 78: a second attempt would fail alike)."""
    message: str = ""
    digest: Digest | None = None
    count: Count = 0
    baseline: Score | None = None
    """Score of the best constant answer by the round's scorer; None if there is none to compare with."""


class MemoryLimits(Model):
    """The parts of a round's admission that bound the memory of one evaluation."""

    max_parameters: Count | None = None
    """Largest number of parameters that the round admits; None: no limit."""
    max_memory_bytes: Count | None = None
    """Largest need of memory that the round admits; None: that of the largest model of a known shape."""


class EvaluateJob(Model):
    """Evaluate one model on a task set. On the wire the fields of `run` are members of the document itself."""

    kind: Literal[JobKind.EVALUATE] = JobKind.EVALUATE
    model_dir: str
    """Absolute path of the model's files, read-only."""
    task_set_dir: str
    """Absolute path of tasks.jsonl and manifest.json, read-only."""
    out_dir: str
    """Absolute path of the results; answers of an earlier attempt there are reused."""
    memory_limits: MemoryLimits | None = None
    """What the round admits, to decide whose fault a lack of memory is; None: no limits."""
    shards: Annotated[int, Field(ge=2, le=MAX_SHARDS)] | None = None
    """Number of pods that share the tasks; each has its index from the environment. None: one pod asks them all."""
    run: RunSpec
    """What is run; commit and weights digest are required, and tasks.jsonl must have its task-set digest."""

    @model_validator(mode="before")
    @classmethod
    def _nest_run(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "run" in data:
            return data
        names = {n for name, field in RunSpec.model_fields.items() for n in (name, field.alias)}
        own = {name: value for name, value in data.items() if name not in names}
        return own | {"run": {name: value for name, value in data.items() if name in names}}

    @model_validator(mode="after")
    def _check_identity(self) -> EvaluateJob:
        if self.run.commit is None or self.run.weights_digest is None:
            raise ValueError("commit and weightsDigest are required")
        return self

    @model_serializer(mode="wrap")
    def _flatten_run(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        run: dict[str, Any] = content.pop("run")
        return content | run


class HardwareFacts(StatusModel):
    """Hardware and engine of one evaluation. Two evaluations had the same surroundings if all fields are equal."""

    name: ShortText
    """Model name of the GPU, or of the processor."""
    gpus: Count = 0
    """Number of GPUs; 0 for the CPU."""
    memory_bytes: Count = 0
    """Total memory of one GPU; 0 for the CPU."""
    driver: ShortText = ""
    """Version of the GPU's kernel driver; empty if unknown."""
    engine: ShortText = ""
    """Name and version of the inference engine."""


class EvaluateSummary(StatusModel):
    """Outcome of an EvaluateJob."""

    reason: AnyReason
    """Evaluated, ShardEvaluated, or a fault of the model or the infrastructure."""
    message: str = ""
    score: Score | None = None
    """Present when evaluated; "0.000000" for a model's fault."""
    interval: Annotated[list[Score], Field(min_length=2, max_length=2)] | None = None
    """95 % confidence interval of `score`, lower end first; absent if it was not computed."""
    passed: Count = 0
    total: Count = 0
    """Number of tasks; of a shard, that of its answers."""
    loss: Loss | None = None
    """Mean loss of all samples, with scorer Loss."""
    batch_losses: Annotated[list[Loss], Field(max_length=32)] | None = None
    """Mean losses of the parts of the samples, in order, with scorer Loss."""
    result_digest: Digest | None = None
    """SHA-256 of results/manifest.json."""
    answer_sketch: AnswerSketch | None = None
    """Fingerprint of the answers, to compare models of one task set; None with losses."""
    task_set_digest: Digest | None = None
    resumed: Count = 0
    """Number of answers reused from an earlier attempt."""
    unanswered: dict[Annotated[Unanswered, Open()], Count] | None = None
    """Number of tasks without an answer that counts, by cause; absent if all have one."""
    seconds: PhaseSeconds | None = None
    device: ShortText = ""
    """Devices of all attempts that generated answers, in words."""
    hardware: HardwareFacts | None = None
    """Hardware of this attempt, also after a failure; absent if the attempt used none."""


class PackMember(Model):
    """One model of a pack."""

    key: Annotated[str, Field(pattern=r"^[0-9a-z]{1,32}$")]
    """Key of its evaluation; its outcome is handed to the container `outcome_container(key)`."""
    job: EvaluateJob
    """Its evaluation, as in a Job of its own."""


class PackJob(Model):
    """Evaluate several models one after the other with one engine, each as if it were alone."""

    kind: Literal[JobKind.PACK] = JobKind.PACK
    members: Annotated[list[PackMember], Field(min_length=1, max_length=MAX_PACK)]
    """In the order of evaluation."""
    outcomes_dir: str
    """Absolute path of the directory that the pod's containers share, for the outcomes."""
    member_seconds: Annotated[int, Field(ge=1)]
    """Time that one evaluation may take; one that reaches it ends, and the next one begins."""
    message_bytes: Annotated[int, Field(ge=512)] = TERMINATION_MESSAGE_BYTES
    """Longest termination message of one container of the pod."""


class PackSummary(StatusModel):
    """Outcome of the engine's container of a PackJob; the outcomes of the models are those of the other containers."""

    reason: AnyReason
    """Evaluated if each model has a verdict, else the infrastructure's fault."""
    message: str = ""


class ArchiveJob(Model):
    """Write the files of a finished round to S3-compatible storage.

    The credentials come from the environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
    """

    kind: Literal[JobKind.ARCHIVE] = JobKind.ARCHIVE
    round: str
    """Name of the round, for the index."""
    round_uid: str
    """Its uid."""
    round_dir: str
    """Absolute path of the round's directory of the artifact volume, read-only."""
    expected: list[ShortText] = []
    """What that directory must hold by the round's status: a volume without it is another one."""
    leaderboard: str | None = None
    """Absolute path of the round's signed leaderboard, which is archived if the file exists."""
    uri: str
    """Place of the archive: `s3://<bucket>/<prefix>`."""
    endpoint: str | None = None
    """Address of the server; None: that of AWS in `region`."""
    region: str = "us-east-1"
    path_style: bool = True
    """Whether the bucket is in the path of a request, not in the name of the host."""
    ca_file: str | None = None
    """Absolute path of a PEM file with the certificates to trust beside the system's."""


class ArchiveSummary(StatusModel):
    """Outcome of an ArchiveJob."""

    reason: AnyReason
    """Archived, or ArchiveUnavailable, ArchiveDenied, ArchiveConflict or another failure; each is tried again."""
    message: str = ""
    digest: Digest | None = None
    """SHA-256 of the archive's index.json, once it is complete."""
    files: Count = 0
    bytes: Count = 0

    @property
    def complete(self) -> bool:
        """Whether the work is done."""
        return self.digest is not None


class RetentionJob(Model):
    """Measure the artifact volume, record that a round has finished, and remove files that are not needed."""

    kind: Literal[JobKind.RETENTION] = JobKind.RETENTION
    rounds_dir: str
    """Absolute path of the folder of all rounds of the artifact volume."""
    round_uid: str
    """The round that the Job is made for."""
    namespace: str
    """Its namespace: folders that record another one are never touched."""
    archive: Digest | None = None
    """Digest of its archive; None: there is none."""
    require_archive: bool = False
    """Whether files without an archive are never removed."""
    tasks_only: bool = False
    """Whether the round has built a task set and nothing else: it is never archived, and its removal needs no
    archive."""
    remove: bool = False
    """Whether the round's files are removed."""
    known: list[ShortText] | None = None
    """uids of all rounds that exist: the files of others are removed. None: no others are."""


class RetentionSummary(StatusModel):
    """Outcome of a RetentionJob."""

    reason: AnyReason
    """FilesKept, FilesRemoved, or a failure; each is tried again."""
    message: str = ""
    free_bytes: Count | None = None
    """Free space of the volume afterwards; None after a failure."""

    @property
    def complete(self) -> bool:
        """Whether the work is done."""
        return self.free_bytes is not None


Job = FetchJob | TaskSetJob | EvaluateJob | PackJob | ArchiveJob | RetentionJob
"""Any Job's document."""
ANY_JOB: TypeAdapter[Job] = TypeAdapter(Annotated[Job, Field(discriminator="kind")])


def document(job: Job) -> str:
    """Return a Job's document. Those of a round's own Jobs leave out the members that have their defaults.

    A round keeps its image when the operator is upgraded, and an evaluator refuses members that it does not know. So a
    later version may add a member whose default means what was meant before. A default must never change.
    """
    frozen = isinstance(job, TaskSetJob | EvaluateJob | PackJob)
    content = job.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=frozen)
    return json.dumps({"kind": job.kind} | content, ensure_ascii=False, separators=(",", ":"))


def exit_code(reason: Reason) -> int:
    """Return the exit code of a process that ends with `reason`."""
    if reason.fault.final:
        return EXIT_MODEL_FAULT
    if reason in LATER:
        return EXIT_LATER
    if reason is Reason.STOPPED:
        return EXIT_STOPPED
    return EXIT_INFRASTRUCTURE if reason.fault is Fault.INFRASTRUCTURE else EXIT_OK


OPERATOR_KEYS = "OPERATOR_KEYS"
"""Environment variable with the indices of the sources whose key is the operator's own, with commas between them: if
the hub does not accept it, that is not the round's fault. It is not a member of the document, which an evaluator of an
earlier version that a round has frozen would refuse."""


STALL_SECONDS_KEY = "STALL_SECONDS"
"""Environment variable of a pack with its round's `workload.stallSeconds`; for the same reason the document has no
such member. Absent: `evaluation.STALL_SECONDS`."""


def source_key(index: int) -> str:
    """Return the environment variable for the token or API key of `tasks.sources[index]`."""
    return f"SOURCE_{index}_KEY"


def alteration_key(index: int) -> str:
    """Return the environment variable for the API key of `tasks.alterations[index]`."""
    return f"ALTERATION_{index}_KEY"


def outcome_container(key: str) -> str:
    """Return the name of the container of a pack's pod that ends as the evaluation `key` does."""
    return f"outcome-{key}"


def termination_message(summary: Model) -> str:
    """Return the summary as JSON that fits a termination message, all of it printable.

    Only `message` is cut, if it is too long.
    """
    plain = escape_all(summary.model_dump(mode="json", by_alias=True, exclude_none=True))
    return _fitting(plain, TERMINATION_MESSAGE_BYTES)


_IN_FILES_ONLY = {"task_set_digest", "resumed", "unanswered", "device", "hardware"}
"""Members of an EvaluateSummary that no plan reads; the results' summary.json has them."""


OTHERS_CONTAINERS = 4
"""Containers that others may add to a pack's pod, such as a mesh and an agent for secrets, each with its init
container: the kubelet cuts what is longer than a share, and a summary that is cut cannot be read."""


def pack_messages_bytes(members: int) -> int:
    """Return the longest termination message of a pack's containers, beside the engine's and those of others."""
    return min(TERMINATION_MESSAGE_BYTES, POD_MESSAGES_BYTES // (members + 1 + OTHERS_CONTAINERS))


def outcome_message(summary: EvaluateSummary, limit: int) -> str | None:
    """Return the termination message of one model of a pack, in `limit` bytes; None if it does not fit."""
    plain = escape_all(summary.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=_IN_FILES_ONLY))
    text = _fitting(plain, limit)
    return text if len(text.encode()) <= limit else None


def _fitting(plain: dict[str, Any], limit: int) -> str:
    """Return compact JSON of at most so many bytes; only `message` is cut, and nothing else if that is not enough."""
    text = _compact(plain)
    excess = len(text.encode()) - limit
    while excess > 0 and plain.get("message"):
        plain["message"] = plain["message"][: max(0, len(plain["message"]) - max(excess, 16))]
        text = _compact(plain)
        excess = len(text.encode()) - limit
    return text


def _compact(plain: object) -> str:
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
