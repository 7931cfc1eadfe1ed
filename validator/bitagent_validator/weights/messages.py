"""What the submitting process is told, on its standard input, and what it answers, on its standard output."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Request(_Message):
    """One row to submit."""

    endpoint: str
    """The websocket address of the node on which the row was decided."""
    hotkey_file: Path
    hotkey: str
    """The account that the file must hold."""
    netuid: int
    weights: dict[int, int]
    """u16 by uid."""
    version_key: int
    era_blocks: int
    """The transaction cannot enter a block this many after the finalised one at which it was signed."""


class Outcome(StrEnum):
    """How the submission ended, as far as the process can tell."""

    INCLUDED = "Included"
    """The chain accepted it."""
    REFUSED = "Refused"
    """It is certain that this row neither is nor will be on the chain."""
    UNKNOWN = "Unknown"
    """It may have been sent; only the chain knows."""
    TIMED_OUT = "TimedOut"
    """As Unknown: the process was killed at its time limit."""


class Result(_Message):
    """What came of it."""

    outcome: Outcome
    code: str = ""
    """The SDK's error code, such as rate_limited."""
    message: str = ""
    extrinsic: str = ""
    """`block-index`, when included."""
