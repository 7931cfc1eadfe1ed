"""Why a request or an answer is not authentic, for both wires."""

from __future__ import annotations

from enum import StrEnum


class AuthFault(StrEnum):
    """What is wrong with a request's or an answer's proof of who sent it."""

    MALFORMED = "Malformed"
    """A header is missing or has no valid form."""
    WRONG_RECEIVER = "WrongReceiver"
    """It was signed for another hotkey."""
    STALE = "Stale"
    """Its time is outside the window around the clock of this machine."""
    REPLAYED = "Replayed"
    """It was accepted before, or it belongs to another request."""
    BAD_SIGNATURE = "BadSignature"
    """The signature is not that of the hotkey."""
    UNSUITED_KEY = "UnsuitedKey"
    """This wire does not know signatures of this kind of key."""


class AuthError(Exception):
    """A request or an answer is not authentic. The message repeats nothing of it, so that it may be sent back."""

    def __init__(self, fault: AuthFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault
