"""What a person wants to be told: becomes an Event on the object."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Happening(StrEnum):
    """Reasons of the Events that the operator posts."""

    MODEL_FETCHED = "ModelFetched"
    MODEL_REJECTED = "ModelRejected"
    FETCH_FAILED = "FetchFailed"
    JOB_NOT_CREATED = "JobNotCreated"
    ROUND_STARTED = "RoundStarted"
    TASK_SET_BUILT = "TaskSetBuilt"
    MODEL_EVALUATED = "ModelEvaluated"
    EVALUATION_FAILED = "EvaluationFailed"
    EVALUATION_DELAYED = "EvaluationDelayed"
    ROUND_COMPLETE = "RoundComplete"
    ROUND_FAILED = "RoundFailed"
    VALIDATOR_DEPLOYED = "ValidatorDeployed"
    VALIDATOR_NOT_RUNNING = "ValidatorNotRunning"


@dataclass(frozen=True)
class Notice:
    """One Event."""

    reason: Happening
    message: str
    warning: bool = False


@dataclass(frozen=True)
class Obsolete:
    """An object to delete: its name, and the uid that it must have."""

    name: str
    uid: str
