"""The one exception of this room."""

from __future__ import annotations

from pathlib import Path


class ClusterError(Exception):
    """Something of the local cluster could not be done; the message says what, why, and what to do about it."""


def log_tail(log: Path, *, lines: int = 12) -> str:
    """Return the last lines of a log, indented for an error message; empty if there is no such file."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join("    " + line[:400] for line in text.splitlines()[-lines:])
