"""Whose fault it is that there is no score. Everything that is neither of these is a fault in this program, and counts as infrastructure."""

from __future__ import annotations

from bitagent_crds.conditions import Reason


class ModelFault(Exception):
    """The submitted model is at fault: score 0, another try would end the same."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class InfrastructureFault(Exception):
    """The machine or its surroundings are at fault: to be tried again, never a score."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
