"""Conditions and their reasons: one vocabulary for code, events, documentation and alerts."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from bitagent_crds.fields import Text, Time
from bitagent_crds.schema import Model, map_list


class ConditionStatus(StrEnum):
    """Whether the condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class ConditionType(StrEnum):
    """Every condition that the three kinds report."""

    RESOLVED = "Resolved"
    """MinerModel: the revision was resolved to a commit."""
    SAFE = "Safe"
    """MinerModel: file list, configuration and weight headers passed the safety checks."""
    FETCHED = "Fetched"
    """MinerModel: the files are in the model cache, verified."""
    EVALUATED = "Evaluated"
    """MinerModel: at least one round gave it a score."""
    TASKS_READY = "TasksReady"
    """EvalRound: the task set is built."""
    RUNNING = "Running"
    """EvalRound: models are being evaluated."""
    COMPLETE = "Complete"
    """EvalRound: every selected model has its final verdict; scores and ranks are final."""
    FAILED = "Failed"
    """EvalRound: it can never complete; no weights may be derived from it."""
    DEPLOYED = "Deployed"
    """Validator: the pod that sets weights is running (written by the operator)."""
    CHAIN_CONNECTED = "ChainConnected"
    """Validator: the chain answers and its blocks advance."""
    REGISTERED = "Registered"
    """Validator: the hotkey has a slot on the subnet."""
    PERMITTED = "Permitted"
    """Validator: the hotkey may set weights."""
    ROUND_CURRENT = "RoundCurrent"
    """Validator: every competition has a round for the present epoch, or its last one is complete."""
    WEIGHTS_CURRENT = "WeightsCurrent"
    """Validator: the weights on the chain are those of the last complete rounds."""


class Reason(StrEnum):
    """Why a condition has its status, or a result its state. The text is in `message`."""

    # MinerModel: resolving and fetching
    PENDING = "Pending"
    FETCHING = "Fetching"
    RESOLVED = "Resolved"
    FETCHED = "Fetched"
    REPOSITORY_NOT_FOUND = "RepositoryNotFound"
    REVISION_NOT_FOUND = "RevisionNotFound"
    ACCESS_DENIED = "AccessDenied"
    HUB_UNAVAILABLE = "HubUnavailable"
    FETCH_FAILED = "FetchFailed"
    # MinerModel: safety
    SAFE = "Safe"
    NO_SAFETENSORS = "NoSafetensors"
    CORRUPT_WEIGHTS = "CorruptWeights"
    CUSTOM_CODE = "CustomCode"
    BAD_CONFIG = "BadConfig"
    BAD_TOKENIZER = "BadTokenizer"
    TOO_LARGE = "TooLarge"
    UNSUPPORTED_ARCHITECTURE = "UnsupportedArchitecture"
    UNSUPPORTED_QUANTIZATION = "UnsupportedQuantization"
    # Admission to a round
    TOO_MANY_PARAMETERS = "TooManyParameters"
    LICENSE_NOT_ALLOWED = "LicenseNotAllowed"
    ARCHITECTURE_NOT_ALLOWED = "ArchitectureNotAllowed"
    NO_CHAT_TEMPLATE = "NoChatTemplate"
    REPOSITORY_TOO_LARGE = "RepositoryTooLarge"
    MODEL_DELETED = "ModelDeleted"
    DUPLICATE_WEIGHTS = "DuplicateWeights"
    # Evaluation
    WAITING_FOR_MODEL = "WaitingForModel"
    WAITING_FOR_TASKS = "WaitingForTasks"
    WAITING_FOR_SLOT = "WaitingForSlot"
    EVALUATING = "Evaluating"
    EVALUATED = "Evaluated"
    NOT_EVALUATED = "NotEvaluated"
    NON_FINITE_WEIGHTS = "NonFiniteWeights"
    TEMPLATE_REFUSED = "TemplateRefused"
    MODEL_LOAD_FAILED = "ModelLoadFailed"
    # Infrastructure
    OUT_OF_MEMORY = "OutOfMemory"
    EVICTED = "Evicted"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    UNSCHEDULABLE = "Unschedulable"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    RESULT_LOST = "ResultLost"
    ATTEMPTS_EXHAUSTED = "AttemptsExhausted"
    INFRASTRUCTURE_FAULT = "InfrastructureFault"
    # EvalRound
    NO_MODELS = "NoModels"
    BUILDING_TASKS = "BuildingTasks"
    TASKS_READY = "TasksReady"
    TASKS_FAILED = "TasksFailed"
    ROUND_RUNNING = "RoundRunning"
    ROUND_COMPLETE = "RoundComplete"
    ROUND_SUSPENDED = "RoundSuspended"
    INFRASTRUCTURE_FAULTS = "InfrastructureFaults"
    NOT_FAILED = "NotFailed"
    # Validator
    DEPLOYMENT_AVAILABLE = "DeploymentAvailable"
    DEPLOYMENT_PROGRESSING = "DeploymentProgressing"
    SECRET_NOT_FOUND = "SecretNotFound"
    SUSPENDED = "Suspended"
    CONNECTED = "Connected"
    CHAIN_UNREACHABLE = "ChainUnreachable"
    CHAIN_STALLED = "ChainStalled"
    REGISTERED = "Registered"
    NOT_REGISTERED = "NotRegistered"
    SUBNET_NOT_FOUND = "SubnetNotFound"
    PERMIT_HELD = "PermitHeld"
    NO_PERMIT = "NoPermit"
    STAKE_TOO_LOW = "StakeTooLow"
    ROUND_IN_PROGRESS = "RoundInProgress"
    ROUND_FAILED = "RoundFailed"
    WAITING_FOR_EPOCH = "WaitingForEpoch"
    WEIGHTS_SET = "WeightsSet"
    WEIGHTS_PENDING = "WeightsPending"
    RATE_LIMITED = "RateLimited"
    SUBMISSION_FAILED = "SubmissionFailed"
    SUBMISSION_TIMED_OUT = "SubmissionTimedOut"
    VERSION_KEY_TOO_LOW = "VersionKeyTooLow"
    NO_ELIGIBLE_MINERS = "NoEligibleMiners"
    DRY_RUN = "DryRun"
    WEIGHTS_OFF = "WeightsOff"


class Condition(Model):
    """An observation of one aspect of an object."""

    type: ConditionType
    """type names the aspect."""
    status: ConditionStatus
    """status says whether it holds."""
    reason: Reason
    """reason is the machine-readable cause."""
    message: Text = ""
    """message tells a person what happened and what to do."""
    observed_generation: Annotated[int, Field(ge=0)] = 0
    """observedGeneration is the generation of the spec that was judged."""
    last_transition_time: Time
    """lastTransitionTime is when `status` last changed."""


Conditions = Annotated[list[Condition], Field(max_length=12, json_schema_extra=map_list("type"))]
