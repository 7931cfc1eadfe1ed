"""The one way in which reading an answer fails."""

from __future__ import annotations


class AnswerError(ValueError):
    """The text is not a list of calls; the message says why.

    `refused` tells the two ways apart: False means that the official decoder fails on the text too; True means that the text goes
    beyond what is read here (it is too long, too deep, or would have to be executed to know its value). A refused answer passes
    nothing, not even a task that expects no call.
    """

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused
