"""What a doctor found. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bitagent_cli.doctor.seen import Read


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """It works, and something may be missing."""
    BAD = "bad"
    """Rounds or weights cannot work."""
    UNKNOWN = "unknown"
    """It could not be looked at."""


class Area(StrEnum):
    """What was looked at."""

    SERVER = "server"
    DEFINITIONS = "definitions"
    OPERATOR = "operator"
    RIGHTS = "rights"
    STORAGE = "storage"
    GPUS = "gpus"
    POD_SECURITY = "pod security"
    IMAGES = "images"
    POLICIES = "policies"
    HUB = "hub"
    OBJECTS = "objects"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    area: Area
    level: Level
    text: str
    do: str = ""
    """What to do about it; empty if nothing has to be done."""


def ok(area: Area, text: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(area, Level.OK, text)


def warn(area: Area, text: str, do: str) -> Finding:
    """Return a finding of something that may be missing."""
    return Finding(area, Level.WARN, text, do)


def bad(area: Area, text: str, do: str) -> Finding:
    """Return a finding of what keeps rounds or weights from working."""
    return Finding(area, Level.BAD, text, do)


def unknown(area: Area, text: str, do: str = "") -> Finding:
    """Return a finding of something that could not be looked at."""
    return Finding(area, Level.UNKNOWN, text, do)


def unread(area: Area, what: str, read: Read[Any]) -> Iterator[Finding]:
    """Yield that something could not be read, if so."""
    if read.refused:
        yield unknown(area, f"{what} cannot be read: {read.refused}")
