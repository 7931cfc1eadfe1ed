"""Why a fetch ended without a model, and whose fault it is."""

from __future__ import annotations

from bitagent_crds.conditions import Reason

MODEL_FAULTS = frozenset(
    {
        Reason.REPOSITORY_NOT_FOUND,
        Reason.REVISION_NOT_FOUND,
        Reason.ACCESS_DENIED,
        Reason.NO_SAFETENSORS,
        Reason.CORRUPT_WEIGHTS,
        Reason.CUSTOM_CODE,
        Reason.BAD_CONFIG,
        Reason.BAD_TOKENIZER,
        Reason.TOO_LARGE,
        Reason.UNSUPPORTED_ARCHITECTURE,
        Reason.UNSUPPORTED_QUANTIZATION,
    }
)
"""Reasons that another try cannot change."""


class FetchError(Exception):
    """The model could not be fetched."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Transient(Exception):
    """A request failed in a way that often passes: a 5xx, a 429, a reset connection. `lasting` says whose fault it is when it does not pass."""

    def __init__(self, message: str, lasting: Reason = Reason.HUB_UNAVAILABLE) -> None:
        super().__init__(message)
        self.lasting = lasting
