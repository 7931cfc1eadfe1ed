"""What runs inside the bounded child: a worker, and the one exception by which it refuses its input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Refused(Exception):
    """The input is at fault. `reason` is a word for machines, the text is for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Worker(Protocol):
    """What a module that is run in the child provides."""

    def handle(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        """Answer one request; Refused when the input is at fault."""
        ...
