"""The one way in which a task set fails."""

from __future__ import annotations


class TaskSetError(Exception):
    """The task set cannot be built or read; the message says what to change."""
