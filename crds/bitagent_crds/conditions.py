"""Conditions and their reasons: one vocabulary for code, events, documentation and alerts.

A `Reason` carries its meaning and whose fault it reports; no other module decides that again. docs/reference.md has the
tables.
"""

from __future__ import annotations

from enum import StrEnum


class ConditionStatus(StrEnum):
    """Status of a condition, as in Kubernetes."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class ConditionType(StrEnum):
    """Conditions that the three kinds report."""

    kind: str
    """Kind that reports it."""
    meaning: str
    """What status True means, as one sentence."""

    def __new__(cls, value: str, kind: str = "", meaning: str = "") -> ConditionType:
        """Create the member `value`; the defaults are for lookups by value alone."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.kind = kind
        member.meaning = meaning
        return member

    READY = (
        "Ready",
        "every kind",
        "A model is fetched, a round complete, a validator works; else the reason is the first thing in the way.",
    )
    RESOLVED = "Resolved", "MinerModel", "The revision was resolved to a commit."
    SAFE = "Safe", "MinerModel", "File list, configuration and weight headers passed the safety checks."
    FETCHED = "Fetched", "MinerModel", "The files are in the model cache, verified."
    EVALUATED = "Evaluated", "MinerModel", "At least one round scored the model."
    TASKS_READY = "TasksReady", "EvalRound", "The task set is built."
    RUNNING = "Running", "EvalRound", "Models are being evaluated."
    COMPLETE = "Complete", "EvalRound", "Every selected model has its final verdict; scores and ranks are final."
    FAILED = "Failed", "EvalRound", "The round can never complete; no weights may be derived from it."
    ARCHIVED = (
        "Archived",
        "EvalRound",
        "The files of the finished round are in the archive, verified; absent while the operator has no archive.",
    )
    FILES_KEPT = (
        "FilesKept",
        "EvalRound",
        "The files of the finished round are on the artifact volume; absent while the operator has no retention.",
    )
    DEPLOYED = "Deployed", "Validator", "The pod that sets weights is running (written by the operator)."
    REWRITER_READY = "RewriterReady", "Validator", "The rewriter answers; absent without `spec.rewriter`."
    CHAIN_CONNECTED = "ChainConnected", "Validator", "The chain answers and its blocks advance."
    REGISTERED = "Registered", "Validator", "The hotkey has a slot on the subnet."
    PERMITTED = "Permitted", "Validator", "The hotkey may set weights."
    ROUND_CURRENT = (
        "RoundCurrent",
        "Validator",
        "Every competition has a round for the present epoch, or its last one is complete.",
    )
    STALLED = (
        "Stalled",
        "every kind",
        "No waiting helps: the object cannot be read or planned, or has failed for good; absent while all is well.",
    )
    WEIGHTS_CURRENT = "WeightsCurrent", "Validator", "The weights on the chain are those of the last complete rounds."
    ONLINE_CURRENT = (
        "OnlineCurrent",
        "Validator",
        "Miners were asked when they were due, and their answers scored; absent without `competitions[].online`.",
    )
    PASS_COMPLETE = (
        "PassComplete",
        "Validator",
        "Every part of the validator's last pass succeeded; what failed is named, and tried again later.",
    )


class Fault(StrEnum):
    """Where a failure comes from, and whether another attempt can help."""

    meaning: str
    """Meaning, as one sentence."""

    def __new__(cls, value: str, meaning: str = "") -> Fault:
        """Create the member `value`; the defaults are for lookups by value alone."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    MODEL = "Model", "the submitted model; another attempt would end the same, only other files help."
    INFRASTRUCTURE = (
        "Infrastructure",
        "the cluster, the network, the chain or this program; tried again, never scored 0.",
    )
    SPEC = "Spec", "what the object's author wrote or refers to; it cannot be satisfied until one of the two changes."
    NONE = "None", "nothing failed; the reason reports a state or a choice."

    @property
    def final(self) -> bool:
        """Whether another attempt at the same work would end the same."""
        return self in (Fault.MODEL, Fault.SPEC)


class Reason(StrEnum):
    """Cause of a condition's status or a result's state; `message` gives the details."""

    fault: Fault
    """Where the failure comes from."""
    meaning: str
    """Meaning, as one sentence."""

    def __new__(cls, value: str, fault: Fault = Fault.NONE, meaning: str = "") -> Reason:
        """Create the member `value`; the defaults are for lookups by value alone."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.fault = fault
        member.meaning = meaning
        return member

    # Every kind
    INVALID = (
        "Invalid",
        Fault.SPEC,
        "The operator cannot read or plan the object; the message names the field and what is wrong.",
    )
    JOB_INVALID = (
        "JobInvalid",
        Fault.SPEC,
        "The API server refuses the Job that follows from the spec; the message has its words.",
    )
    JOB_REFUSED = (
        "JobRefused",
        Fault.INFRASTRUCTURE,
        "A quota, a policy, a missing right or a webhook keeps the API server from accepting the Job.",
    )
    # MinerModel: resolving and fetching
    PENDING = "Pending", Fault.NONE, "Nothing has been decided yet."
    FETCHING = "Fetching", Fault.NONE, "The fetch Job runs or is about to start."
    RESOLVED = "Resolved", Fault.NONE, "The revision was resolved to a commit."
    FETCHED = "Fetched", Fault.NONE, "The files are in the model cache, and their digests were verified."
    REPOSITORY_NOT_FOUND = (
        "RepositoryNotFound",
        Fault.SPEC,
        "The hub shows no such repository: it does not exist, or it is private and the token cannot see it.",
    )
    REVISION_NOT_FOUND = (
        "RevisionNotFound",
        Fault.SPEC,
        "The repository has no such branch, tag or commit, or lacks a file that the revision lists.",
    )
    ACCESS_DENIED = (
        "AccessDenied",
        Fault.SPEC,
        "The hub denies access to the repository: it is gated, private or disabled.",
    )
    HUB_UNAVAILABLE = (
        "HubUnavailable",
        Fault.INFRASTRUCTURE,
        "The hub cannot be reached, or answers with errors that usually pass.",
    )
    HUB_RATE_LIMITED = (
        "HubRateLimited",
        Fault.INFRASTRUCTURE,
        "The hub limits the number of requests (429); no fetch starts before the time in the message.",
    )
    HUB_TOKEN_REJECTED = (
        "HubTokenRejected",
        Fault.INFRASTRUCTURE,
        "The hub does not accept the operator's own token, whatever the repository.",
    )
    WAITING_FOR_FETCH_SLOT = (
        "WaitingForFetchSlot",
        Fault.NONE,
        "As many fetch Jobs run as the operator allows at once; the fetch starts when its turn comes.",
    )
    FETCH_FAILED = (
        "FetchFailed",
        Fault.INFRASTRUCTURE,
        "The download failed: an unexpected answer of the hub, or a cache that cannot be written.",
    )
    CACHE_FULL = (
        "CacheFull",
        Fault.NONE,
        "The model cache has no room beside models that are in use; the fetch continues when there is.",
    )
    VOLUME_FULL = (
        "VolumeFull",
        Fault.INFRASTRUCTURE,
        "The volume of the model cache has less free space than the files need.",
    )
    TOO_MANY_MODELS = (
        "TooManyModels",
        Fault.SPEC,
        "The hotkey has more MinerModels than the operator allows; the newest ones are not fetched.",
    )
    FILES_CHANGED = (
        "FilesChanged",
        Fault.INFRASTRUCTURE,
        "The files of the revision changed while they were fetched.",
    )
    # MinerModel: safety
    SAFE = "Safe", Fault.NONE, "File list, configuration, tokenizer and weight headers passed the safety checks."
    NO_SAFETENSORS = "NoSafetensors", Fault.MODEL, "The model has no weights in the safetensors format."
    CORRUPT_WEIGHTS = (
        "CorruptWeights",
        Fault.MODEL,
        "The weight files are damaged, contradict their headers, or do not match the configuration.",
    )
    COMMITMENT_MISMATCH = (
        "CommitmentMismatch",
        Fault.MODEL,
        "The files are not those whose hash the miner has committed to.",
    )
    CUSTOM_CODE = "CustomCode", Fault.MODEL, "The model needs Python code of its repository, which is never run."
    BAD_CONFIG = "BadConfig", Fault.MODEL, "A configuration file is missing, malformed or outside the allowed ranges."
    BAD_TOKENIZER = (
        "BadTokenizer",
        Fault.MODEL,
        "The tokenizer is missing, malformed, does not fit the model, or does more than turn text into tokens.",
    )
    TOO_LARGE = "TooLarge", Fault.MODEL, "The files exceed the number or total size that the operator allows."
    UNSUPPORTED_ARCHITECTURE = (
        "UnsupportedArchitecture",
        Fault.MODEL,
        "The evaluator does not support the model's architecture.",
    )
    UNSUPPORTED_QUANTIZATION = (
        "UnsupportedQuantization",
        Fault.MODEL,
        "The evaluator does not support the model's quantisation.",
    )
    # Admission to a round
    TOO_MANY_PARAMETERS = "TooManyParameters", Fault.MODEL, "The model has more parameters than the round admits."
    LICENSE_NOT_ALLOWED = (
        "LicenseNotAllowed",
        Fault.MODEL,
        "The model's licence is not among those that the round admits.",
    )
    ARCHITECTURE_NOT_ALLOWED = (
        "ArchitectureNotAllowed",
        Fault.MODEL,
        "The model's architecture is not among those that the round admits.",
    )
    TOKENIZER_NOT_ALLOWED = (
        "TokenizerNotAllowed",
        Fault.MODEL,
        "The model's tokenizer is not among those that the round admits.",
    )
    NO_CHAT_TEMPLATE = "NoChatTemplate", Fault.MODEL, "The model has no chat template, and the round requires one."
    NEEDS_TOO_MUCH_MEMORY = (
        "NeedsTooMuchMemory",
        Fault.MODEL,
        "The model's shape needs more memory than the round's bounds allow.",
    )
    REPOSITORY_TOO_LARGE = "RepositoryTooLarge", Fault.MODEL, "The model's files are larger than the round admits."
    COMMIT_TOO_LATE = (
        "CommitTooLate",
        Fault.NONE,
        "The model was not fixed before the round's seed: its commit block, its resolution or a change came later.",
    )
    MODEL_DELETED = "ModelDeleted", Fault.NONE, "The MinerModel was deleted before it could be evaluated."
    MODEL_NOT_FOUND = "ModelNotFound", Fault.SPEC, "The round names a model for which there was no MinerModel."
    MODEL_REPLACED = (
        "ModelReplaced",
        Fault.NONE,
        "The MinerModel was deleted in the round, and another one was made under its name.",
    )
    DUPLICATE_WEIGHTS = (
        "DuplicateWeights",
        Fault.MODEL,
        "Another model of the round has the same weights and owns their score.",
    )
    # Evaluation
    WAITING_FOR_MODEL = "WaitingForModel", Fault.NONE, "The model's files are not in the cache yet."
    WAITING_FOR_TASKS = "WaitingForTasks", Fault.NONE, "The round's task set is not built yet."
    WAITING_FOR_SLOT = (
        "WaitingForSlot",
        Fault.NONE,
        "The evaluation waits for a free slot: of its round, or of those that all rounds share.",
    )
    WAITING_IN_QUEUE = (
        "WaitingInQueue",
        Fault.NONE,
        "The Job waits in a queue of Kueue for its turn or for quota; the message has the queue's words.",
    )
    PREEMPTED = (
        "Preempted",
        Fault.NONE,
        "The queue has taken the GPU of the evaluation for other work; it continues once it is admitted again.",
    )
    WAITING_IN_PACK = (
        "WaitingInPack",
        Fault.NONE,
        "Its Job evaluates several models with one engine, and others come before this one.",
    )
    JOB_SUSPENDED = (
        "JobSuspended",
        Fault.NONE,
        "Something else than the operator, such as a queue, has suspended the Job; it runs once that resumes it.",
    )
    STARTING = (
        "Starting",
        Fault.NONE,
        "The Job's pod is being created, or its node prepares it; no container of it runs yet.",
    )
    WAITING_FOR_NODE = (
        "WaitingForNode",
        Fault.NONE,
        "No node accepts the pod at present, as while all GPUs are in use; the message has the scheduler's words.",
    )
    EVALUATING = "Evaluating", Fault.NONE, "A container of the evaluation runs."
    EVALUATED = "Evaluated", Fault.NONE, "The model was evaluated and has a score."
    SHARD_EVALUATED = (
        "ShardEvaluated",
        Fault.NONE,
        "A pod has asked its shard of the tasks; the last pod to end scores the answers of all (`workload.shards`).",
    )
    NOT_EVALUATED = (
        "NotEvaluated",
        Fault.NONE,
        "The model has no score: its round failed before the evaluation ended, or no complete round gave it one.",
    )
    NON_FINITE_WEIGHTS = "NonFiniteWeights", Fault.MODEL, "A weight is NaN or infinite."
    TEMPLATE_REFUSED = (
        "TemplateRefused",
        Fault.MODEL,
        "The chat template fails to render, or does what a template may not do.",
    )
    MODEL_LOAD_FAILED = (
        "ModelLoadFailed",
        Fault.MODEL,
        "The inference engine rejects the model's configuration or weights.",
    )
    # Infrastructure
    QUEUE_NOT_FOUND = (
        "QueueNotFound",
        Fault.INFRASTRUCTURE,
        "The Job names a LocalQueue that does not exist in its namespace, or Kueue is not installed.",
    )
    QUEUE_UNAVAILABLE = (
        "QueueUnavailable",
        Fault.INFRASTRUCTURE,
        "The Job's LocalQueue or its ClusterQueue is stopped or missing, or the Job's Workload is deactivated.",
    )
    STOPPED = (
        "Stopped",
        Fault.INFRASTRUCTURE,
        "The pod was ended from outside, by SIGTERM; its answers are kept, and it costs no attempt.",
    )
    OUT_OF_MEMORY = "OutOfMemory", Fault.INFRASTRUCTURE, "The pod or its GPU had too little memory."
    ENGINE_STALLED = (
        "EngineStalled",
        Fault.INFRASTRUCTURE,
        "The process of an evaluation lived without progress: no step of its engine, or nothing read or computed.",
    )
    MEMORY_IN_USE = (
        "MemoryInUse",
        Fault.INFRASTRUCTURE,
        "Another process holds the memory of the GPU that the evaluation needs.",
    )
    MODEL_FILES_MISSING = (
        "ModelFilesMissing",
        Fault.INFRASTRUCTURE,
        "The cache has lost or damaged the model's files, though they were fetched; they are fetched again.",
    )
    PACK_ENDED = (
        "PackEnded",
        Fault.INFRASTRUCTURE,
        "The Job that evaluates several models with one engine ended before the turn of this one.",
    )
    CRASHED = (
        "Crashed",
        Fault.INFRASTRUCTURE,
        "The process ended without a result: by a signal, or by an error that has no reason of its own.",
    )
    ENGINE_FAILED = (
        "EngineFailed",
        Fault.INFRASTRUCTURE,
        "The inference engine failed while it loaded or ran the model; the message has its error.",
    )
    NODE_PRESSURE = (
        "NodePressure",
        Fault.INFRASTRUCTURE,
        "The node evicted the pod, because memory or ephemeral storage ran short or the pod exceeded its limit.",
    )
    EVICTED = "Evicted", Fault.INFRASTRUCTURE, "The pod was preempted, or its node was drained or lost."
    IMAGE_PULL_FAILED = "ImagePullFailed", Fault.INFRASTRUCTURE, "The container image cannot be pulled."
    UNSCHEDULABLE = (
        "Unschedulable",
        Fault.INFRASTRUCTURE,
        "No node has accepted the pod for longer than the operator's `unschedulableSeconds`.",
    )
    SCHEDULING_GATED = (
        "SchedulingGated",
        Fault.INFRASTRUCTURE,
        "The pod has scheduling gates, which whatever added them must remove before a node can be chosen.",
    )
    POD_REFUSED = (
        "PodRefused",
        Fault.INFRASTRUCTURE,
        "The Job cannot create its pod: a quota, a limit range, a missing class, a policy; the message has the words.",
    )
    POD_NOT_STARTED = (
        "PodNotStarted",
        Fault.INFRASTRUCTURE,
        "The node cannot start the pod: a volume, ConfigMap, Secret, runtime or an added container is the cause.",
    )
    START_TIMED_OUT = (
        "StartTimedOut",
        Fault.INFRASTRUCTURE,
        "No container ran within `workload.startTimeoutSeconds` or the time of its Job, and nothing says why.",
    )
    DEADLINE_EXCEEDED = "DeadlineExceeded", Fault.INFRASTRUCTURE, "The Job, or an attempt of it, reached its deadline."
    RESULT_LOST = "ResultLost", Fault.INFRASTRUCTURE, "The Job ended, but no pod with its result is left."
    ATTEMPTS_EXHAUSTED = (
        "AttemptsExhausted",
        Fault.INFRASTRUCTURE,
        "All attempts of the Job failed, and no pod is left to show why.",
    )
    INFRASTRUCTURE_FAULT = (
        "InfrastructureFault",
        Fault.INFRASTRUCTURE,
        "A failure outside the model that has no reason of its own; the message describes it.",
    )
    # EvalRound
    MODEL_INVALID = (
        "ModelInvalid",
        Fault.NONE,
        "The operator cannot read a MinerModel that the round selects; the round starts when it can.",
    )
    WAITING_FOR_MODELS = (
        "WaitingForModels",
        Fault.NONE,
        "Models that the round selects do not exist; it waits a little, since they may be applied just now.",
    )
    NO_MODELS = "NoModels", Fault.SPEC, "The selection matches no MinerModel, or all that it matched were deleted."
    FREEZING_MODELS = (
        "FreezingModels",
        Fault.NONE,
        "The revisions of the round's models are being resolved to commits, before its seed can be known.",
    )
    WAITING_FOR_SEED = (
        "WaitingForSeed",
        Fault.NONE,
        "Every model is fixed; the round waits for the hash of its seed's block and for the validator's secret.",
    )
    SEED_MISMATCH = (
        "SeedMismatch",
        Fault.SPEC,
        "The secret in `tasks.seedFrom` does not have the digest that was committed to.",
    )
    SEED_NOT_REVEALED = (
        "SeedNotRevealed",
        Fault.INFRASTRUCTURE,
        "Block hash and secret of the round's seed were not published within the time limit.",
    )
    WAITING_FOR_REWRITER = (
        "WaitingForRewriter",
        Fault.NONE,
        "The Validator's rewriter does not answer yet; the message says why, and until when the round waits.",
    )
    REWRITER_UNAVAILABLE = (
        "RewriterUnavailable",
        Fault.INFRASTRUCTURE,
        "The Validator's rewriter did not become ready in the time that `spec.rewriter.startTimeoutSeconds` allows.",
    )
    NO_REWRITER = (
        "NoRewriter",
        Fault.SPEC,
        "A `rewrite` of the round names no url, and the round belongs to no Validator that has a rewriter.",
    )
    BUILDING_TASKS = "BuildingTasks", Fault.NONE, "The task-set Job runs or is about to start."
    TASKS_READY = "TasksReady", Fault.NONE, "The task set is built."
    TASKS_FAILED = "TasksFailed", Fault.SPEC, "The task set cannot be built from the spec."
    UNKNOWN_SCORER = (
        "UnknownScorer",
        Fault.SPEC,
        "The round names a scorer that neither the evaluator nor a package in its image has.",
    )
    UNKNOWN_PROMPT_FORMAT = (
        "UnknownPromptFormat",
        Fault.SPEC,
        "The round names a prompt format that neither the evaluator nor a package in its image has.",
    )
    UNJUDGEABLE_TASKS = (
        "UnjudgeableTasks",
        Fault.SPEC,
        "The round's scorer gives nothing for these tasks, or the same to right and wrong answers.",
    )
    ROUND_RUNNING = "RoundRunning", Fault.NONE, "Models are being evaluated."
    ROUND_COMPLETE = "RoundComplete", Fault.NONE, "Every selected model has its final verdict."
    ROUND_SUSPENDED = "RoundSuspended", Fault.NONE, "`spec.suspend` of the round is true."
    ROUND_HAS_INFRASTRUCTURE_FAULTS = (
        "InfrastructureFaults",
        Fault.INFRASTRUCTURE,
        "The infrastructure failed the task set or at least one model for good, so the round cannot complete.",
    )
    ROUND_DEADLINE_EXCEEDED = (
        "RoundDeadlineExceeded",
        Fault.INFRASTRUCTURE,
        "The round had not ended at `spec.activeDeadlineSeconds`.",
    )
    NOT_FAILED = "NotFailed", Fault.NONE, "The round has not failed."
    ROUND_RETRIED = "RoundRetried", Fault.NONE, "The round had failed, and `spec.retry` was raised since."
    ARCHIVING = "Archiving", Fault.NONE, "The archive Job of the finished round runs or is about to start."
    ARCHIVED = "Archived", Fault.NONE, "The round's files are in the archive; every object was read back."
    ARCHIVE_UNAVAILABLE = (
        "ArchiveUnavailable",
        Fault.INFRASTRUCTURE,
        "The archive cannot be reached, or answers with errors that usually pass.",
    )
    ARCHIVE_DENIED = (
        "ArchiveDenied",
        Fault.INFRASTRUCTURE,
        "The archive has no such bucket, or refuses the credentials of the operator's configuration.",
    )
    ARCHIVE_CONFLICT = (
        "ArchiveConflict",
        Fault.INFRASTRUCTURE,
        "The archive holds another object where a file of the round belongs; it is never overwritten.",
    )
    FILES_KEPT = "FilesKept", Fault.NONE, "The round's files are on the artifact volume."
    FILES_REMOVED = (
        "FilesRemoved",
        Fault.NONE,
        "The operator's retention has removed the round's files from the artifact volume; the message names the rule.",
    )
    RETENTION_FAILED = (
        "RetentionFailed",
        Fault.INFRASTRUCTURE,
        "The Job that measures the artifact volume, or removes files of it, failed; it is tried again.",
    )
    SPACE_SHORT = (
        "SpaceShort",
        Fault.INFRASTRUCTURE,
        "The artifact volume has less free space than the operator's floor, and no other round's files may be removed.",
    )
    # Validator
    DEPLOYMENT_AVAILABLE = "DeploymentAvailable", Fault.NONE, "The validator's pod is ready."
    DEPLOYMENT_PROGRESSING = "DeploymentProgressing", Fault.NONE, "The validator's pod is being created or is starting."
    SECRET_NOT_FOUND = (
        "SecretNotFound",
        Fault.SPEC,
        "The Secret with the hotkey or with a shared key of seeds, or its key, does not exist.",
    )
    SUSPENDED = "Suspended", Fault.NONE, "`spec.suspend` of the object is true."
    REWRITER_READY = "RewriterReady", Fault.NONE, "The rewriter's model is loaded, and a pod answers."
    REWRITER_LOADING = "RewriterLoading", Fault.NONE, "The rewriter's pods are being created or load the model."
    REWRITER_IDLE = (
        "RewriterIdle",
        Fault.NONE,
        "No round needs the rewriter, so no pod runs; the next round that rewords starts it.",
    )
    CONNECTED = "Connected", Fault.NONE, "The chain is followed block by block."
    CHAIN_UNREACHABLE = "ChainUnreachable", Fault.INFRASTRUCTURE, "No endpoint of the chain answers."
    CHAIN_STALLED = "ChainStalled", Fault.INFRASTRUCTURE, "The chain answers but finalises no new blocks."
    REGISTERED = "Registered", Fault.NONE, "The hotkey has a slot on the subnet."
    NOT_REGISTERED = "NotRegistered", Fault.SPEC, "The hotkey has no slot on the subnet."
    SUBNET_NOT_FOUND = "SubnetNotFound", Fault.SPEC, "The chain has no subnet with this netuid."
    MECHANISM_NOT_FOUND = (
        "MechanismNotFound",
        Fault.SPEC,
        "The subnet has no mechanism of the number that a competition sets weights for.",
    )
    PERMIT_HELD = "PermitHeld", Fault.NONE, "The hotkey holds a validator permit and enough stake."
    NO_PERMIT = "NoPermit", Fault.SPEC, "The hotkey holds no validator permit."
    STAKE_TOO_LOW = "StakeTooLow", Fault.SPEC, "The hotkey's stake is below what setting weights requires."
    ROUND_IN_PROGRESS = "RoundInProgress", Fault.NONE, "The round of a competition is running."
    ROUND_FAILED = (
        "RoundFailed",
        Fault.NONE,
        "The last round of a competition failed; its Failed condition has the cause.",
    )
    WAITING_FOR_EPOCH = "WaitingForEpoch", Fault.NONE, "The round of the epoch has not been created yet."
    WEIGHTS_SET = "WeightsSet", Fault.NONE, "The chain holds the current weights."
    WEIGHTS_PENDING = "WeightsPending", Fault.NONE, "The weights are not on the chain yet."
    RATE_LIMITED = "RateLimited", Fault.NONE, "The subnet allows the next setting of weights only at a later block."
    SUBMISSION_FAILED = (
        "SubmissionFailed",
        Fault.INFRASTRUCTURE,
        "The chain does not accept the weights, or the submission ended without a result; it is repeated later.",
    )
    SUBMISSION_TIMED_OUT = (
        "SubmissionTimedOut",
        Fault.INFRASTRUCTURE,
        "The submission reached `weights.timeoutSeconds` and was stopped.",
    )
    VERSION_KEY_TOO_LOW = "VersionKeyTooLow", Fault.SPEC, "`weights.versionKey` is below the version key of the subnet."
    NO_ELIGIBLE_MINERS = (
        "NoEligibleMiners",
        Fault.NONE,
        "No registered miner has a score above the baseline in the last complete rounds; `status.unpaid` says why.",
    )
    POLICY_UNAVAILABLE = (
        "PolicyUnavailable",
        Fault.SPEC,
        "A competition names a policy that this validator does not have or cannot apply; no weights are set.",
    )
    PASS_COMPLETE = "PassComplete", Fault.NONE, "Every part of the last pass succeeded."
    PART_FAILED = (
        "PartFailed",
        Fault.INFRASTRUCTURE,
        "Parts of the last pass failed, and the others were carried out; the message names them.",
    )
    ONLINE_STEP_DONE = "OnlineStepDone", Fault.NONE, "The last step of each competition's online evaluation counted."
    ONLINE_STEP_PENDING = "OnlineStepPending", Fault.NONE, "The first step of online evaluation has not ended."
    POOL_PENDING = "PoolPending", Fault.NONE, "The first task set of online evaluation is being built."
    POOL_UNAVAILABLE = (
        "PoolUnavailable",
        Fault.INFRASTRUCTURE,
        "The task set of online evaluation could not be built or read; miners keep their means, and weights are set.",
    )
    EXAMINER_UNAVAILABLE = (
        "ExaminerUnavailable",
        Fault.INFRASTRUCTURE,
        "The examiner in the validator's pod gives no tasks or scores; miners keep their means, and weights are set.",
    )
    NO_MINER_ANSWERED = (
        "NoMinerAnswered",
        Fault.INFRASTRUCTURE,
        "No asked miner could be reached, so the step does not count: the pod's own network may be the cause.",
    )
    CHAIN_BEHIND = (
        "ChainBehind",
        Fault.INFRASTRUCTURE,
        "The newest block of the node is too old, or another endpoint is far ahead of it.",
    )
    CHAIN_CONTRADICTED = (
        "ChainContradicted",
        Fault.INFRASTRUCTURE,
        "The node's height contradicts the other endpoints, or what the chain can have reached by now.",
    )
    WRONG_CHAIN = "WrongChain", Fault.SPEC, "The endpoint is of another chain than the one that the Validator began on."
    RATE_LIMITED_BY_NODE = (
        "RateLimitedByNode",
        Fault.INFRASTRUCTURE,
        "The endpoints limit the number of requests (429); they are not asked before the time that they name.",
    )
    CLOCK_SKEW = (
        "ClockSkew",
        Fault.INFRASTRUCTURE,
        "The pod's clock differs from the chain's, so a sealed row would be revealed in a wrong epoch; none is sent.",
    )
    REVEAL_PENDING = (
        "RevealPending",
        Fault.NONE,
        "The weights were sent sealed; the chain reveals them in the epoch in the message.",
    )
    REVEAL_MISSED = (
        "RevealMissed",
        Fault.INFRASTRUCTURE,
        "The chain did not apply a sealed row in its epoch; the message has the likely cause, and it is set again.",
    )
    ROW_TOO_LONG = (
        "RowTooLong",
        Fault.SPEC,
        "A sealed row of so many weights exceeds the largest commit that the chain accepts.",
    )
    FOREIGN_WEIGHTS = (
        "ForeignWeights",
        Fault.SPEC,
        "Another process sets weights for this hotkey; it is left alone until it has been quiet for long.",
    )
    STANDING_BY = "StandingBy", Fault.NONE, "Another Validator acts for this hotkey on this subnet."
    CANNOT_PAY_FEES = (
        "CannotPayFees",
        Fault.SPEC,
        "The coldkey that owns the hotkey cannot pay the fee of a submission: fund the coldkey.",
    )
    NONCE_TAKEN = (
        "NonceTaken",
        Fault.INFRASTRUCTURE,
        "Other transactions of the hotkey were first, as of another process with the same key; it is sent again.",
    )
    REVEAL_ROUND_REFUSED = (
        "RevealRoundRefused",
        Fault.INFRASTRUCTURE,
        "The chain already has the drand round that a commit names; the commit is planned again.",
    )
    BURN_UNAVAILABLE = (
        "BurnUnavailable",
        Fault.SPEC,
        "The target of burning has no slot on the subnet, or does not belong to the subnet's owner.",
    )
    GUARD_HELD = (
        "GuardHeld",
        Fault.NONE,
        "`weights.guard` holds the row, and the last one stays, until a person accepts it by the annotation.",
    )
    POLICY_FAILED = (
        "PolicyFailed",
        Fault.SPEC,
        "A competition's policy failed; its last shares stay, and the other competitions are paid.",
    )
    LAST_WEIGHTS_KEPT = (
        "LastWeightsKept",
        Fault.NONE,
        "There is no new row, and the last good one is set again before the chain's activity cutoff.",
    )
    ROUNDS_NOT_STARTED = (
        "RoundsNotStarted",
        Fault.NONE,
        "No round starts while the hotkey may not set weights, unless `spec.roundsWithoutPermit` asks for it.",
    )
    DRY_RUN = "DryRun", Fault.NONE, "`weights.mode` is DryRun: weights are computed and not submitted."
    WEIGHTS_OFF = "WeightsOff", Fault.NONE, "`weights.mode` is Off: no weights are computed."
