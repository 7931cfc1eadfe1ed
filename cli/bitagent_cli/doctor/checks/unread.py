"""What could not be read. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bitagent_cli.doctor.findings import Area, Finding, unknown
from bitagent_cli.doctor.seen import Read


def unread(area: Area, what: str, read: Read[Any]) -> Iterator[Finding]:
    """Yield that something could not be read, if so."""
    if read.refused:
        yield unknown(area, f"{what} cannot be read: {read.refused}")
