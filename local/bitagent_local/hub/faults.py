"""Faults of the hub that a test switches on, and the record of requests.

``POST /_admin/faults`` replaces all faults, so ``{}`` removes them. ``GET /_admin/requests`` lists the requests since
``DELETE /_admin/requests``: a test proves with it what was downloaded and what was not.
"""

from __future__ import annotations

import fnmatch
import threading
from collections import deque
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

REQUESTS_KEPT = 20_000


class Ending(StrEnum):
    """The end of a broken download."""

    CLOSE = "close"
    RESET = "reset"
    STALL = "stall"


class BrokenDownload(BaseModel):
    """Downloads that end too early."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    match: str = Field(default="*.safetensors", description="shell pattern over OWNER/NAME/FILE")
    after_bytes: int = Field(ge=0, description="bytes of the body that arrive")
    times: int = Field(default=1, ge=1, description="number of downloads that break")
    ending: Ending = Field(default=Ending.CLOSE, description="an orderly close, a reset, or silence")


class HubFaultRequest(BaseModel):
    """The body of ``POST /_admin/faults``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unavailable: int = Field(default=0, ge=0, description="number of requests that are answered with 503")
    download: BrokenDownload | None = None


class HubFaults:
    """The active faults and the recorded requests; used from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unavailable = 0
        self._download: BrokenDownload | None = None
        self._broken = 0
        self._lifted = threading.Event()
        self._requests: deque[dict[str, Any]] = deque(maxlen=REQUESTS_KEPT)

    def apply(self, request: HubFaultRequest) -> None:
        """Replace all faults by these; downloads that the old ones stalled are closed."""
        with self._lock:
            self._unavailable, self._download, self._broken = request.unavailable, request.download, 0
            self._lifted.set()
            self._lifted = threading.Event()

    def unavailable(self) -> bool:
        """Whether to answer the next request with 503; counts it."""
        with self._lock:
            self._unavailable -= 1 if (hit := self._unavailable > 0) else 0
            return hit

    def download(self, name: str, length: int) -> BrokenDownload | None:
        """Return the fault of a download of this length, if it is to break; counts it."""
        with self._lock:
            fault = self._download
            if fault is None or self._broken >= fault.times or length <= fault.after_bytes:
                return None
            if not fnmatch.fnmatchcase(name, fault.match):
                return None
            self._broken += 1
            return fault

    def wait_until_lifted(self) -> None:
        """Wait until the active faults are replaced."""
        with self._lock:
            lifted = self._lifted
        lifted.wait()

    def record(self, **request: Any) -> None:
        """Record a request."""
        with self._lock:
            self._requests.append(request)

    def requests(self) -> list[dict[str, Any]]:
        """Return the requests since the last ``forget``, oldest first."""
        with self._lock:
            return list(self._requests)

    def forget(self) -> None:
        """Start a new list of requests."""
        with self._lock:
            self._requests.clear()
