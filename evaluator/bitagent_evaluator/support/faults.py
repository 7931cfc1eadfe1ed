"""Failures with a `Reason` of the contract: of the model, the infrastructure or a fetch; and pydantic errors in words.

Every other exception is a fault in this program, and counts as infrastructure.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from bitagent_crds.conditions import Reason
from bitagent_crds.printable import BREAKS, escape_unprintable


@dataclass(frozen=True)
class FirstError:
    """Where a document is wrong, and why. As text: `where: message`, or the message alone for the whole document."""

    where: str
    """Field names and indices with dots between them; empty for the whole document."""
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


def first_error(error: ValidationError, *, whole: str = "") -> FirstError:
    """Return the first error. `whole` names the document, for an error that concerns all of it.

    The input is left out: it may hold a secret or any amount of untrusted text.
    """
    found = error.errors(include_url=False, include_input=False)[0]
    return FirstError(".".join(str(part) for part in found["loc"]) or whole, found["msg"])


class ReasonedError(Exception):
    """A failure with the reason and the message that a status or a summary carries; the message is printable."""

    def __init__(self, reason: Reason, message: str) -> None:
        message = escape_unprintable(message, keep=BREAKS)
        super().__init__(message)
        self.reason = reason
        self.message = message


class ModelFault(ReasonedError):
    """The submitted model is at fault: it scores 0, and another attempt would end the same."""


class InfrastructureFault(ReasonedError):
    """The machine or its surroundings are at fault: tried again, never a score."""


class FetchError(ReasonedError):
    """A download failed for good; `reason.fault` says whose fault it is."""

    def __init__(self, reason: Reason, message: str, *, retry_after: float | None = None) -> None:
        """`retry_after`: seconds that the server asks to wait before the next request, if it does."""
        super().__init__(reason, message)
        self.retry_after = retry_after
