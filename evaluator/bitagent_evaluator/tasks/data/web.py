"""Files over HTTP: streamed, resumed after a broken connection, bounded in size.

Who is to blame is told apart: an address that is wrong, refused or too large is the spec's fault and final (TaskSetError); a server that does
not answer, or says 5xx or 429, is tried again for a while and then an infrastructure fault. Redirects are followed within http and https; a
secret header does not follow to another host. The client is huggingface_hub's, so proxies and certificates work for all sources alike.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from huggingface_hub.errors import HTTPError
from huggingface_hub.utils import get_session

from bitagent_crds.conditions import Reason
from bitagent_evaluator.faults import InfrastructureFault
from bitagent_evaluator.hub.retries import ATTEMPTS, pause_seconds
from bitagent_evaluator.tasks.errors import TaskSetError

_log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 30.0
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_NEVER = frozenset({"UnsupportedProtocol", "TooManyRedirects", "InvalidURL"})
"""Errors of the client that no second try cures. By name: which HTTP library huggingface_hub uses depends on its version."""
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_PIECE = 1 << 16


class _Passing(Exception):
    """A failure that often passes."""


@dataclass(frozen=True)
class Part:
    """A part of a file as a server sent it."""

    content: bytes
    start: int
    total: int


@dataclass(frozen=True)
class WebFile:
    """One file on the web."""

    url: str
    headers: Mapping[str, str]
    what: str
    """What messages call it."""
    max_bytes: int

    def stream(self) -> Iterator[bytes]:
        """All of it. Raises TaskSetError and InfrastructureFault."""
        position = failures = 0
        while True:
            try:
                for piece in self._from(position):
                    position, failures = position + len(piece), 0
                    if position > self.max_bytes:
                        raise TaskSetError(
                            f"{self.what} is larger than {self.max_bytes} bytes: more than this source takes"
                        )
                    yield piece
                return
            except _Passing as error:
                failures += 1
                self._pause(failures, error)

    def part(self, start: int, end: int) -> bytes:
        """The bytes from `start` up to, not including, `end`. Raises as `stream`, and TaskSetError where the server knows no ranges."""
        found = self.ranged(f"bytes={start}-{end - 1}")
        if found is None or found.start != start or len(found.content) != end - start:
            raise TaskSetError(f"{self.what}: the server does not send the parts that it is asked for")
        return found.content

    def ranged(self, wanted: str) -> Part | None:
        """What a `Range` header asks for; None where the server knows no ranges, or has nothing there. Raises as `stream`."""
        failures = 0
        while True:
            try:
                return self._ranged(wanted)
            except _Passing as error:
                failures += 1
                self._pause(failures, error)

    def post(self, content: Mapping[str, Any]) -> Any:
        """The JSON answer to a JSON document. Raises as `stream`."""
        failures = 0
        while True:
            try:
                with self._faults():
                    response = get_session().post(
                        self.url, headers=dict(self.headers), json=content, timeout=TIMEOUT_SECONDS
                    )
                    self._check(response.status_code)
                    return response.json()
            except _Passing as error:
                failures += 1
                self._pause(failures, error)
            except ValueError as error:
                raise TaskSetError(f"{self.what} does not answer in JSON: {error}") from error

    def _from(self, position: int) -> Iterator[bytes]:
        with self._open({"Range": f"bytes={position}-"} if position else {}) as response:
            self._check(response.status_code)
            skip = position if response.status_code == 200 else 0  # A server without ranges sends the whole file.
            for piece in response.iter_bytes(_PIECE):
                kept = piece[skip:]
                skip = max(0, skip - len(piece))
                if kept:
                    yield kept

    def _ranged(self, wanted: str) -> Part | None:
        with self._open({"Range": wanted}) as response:
            if response.status_code == 416:
                return None
            self._check(response.status_code)
            said = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if response.status_code != 206 or said is None:
                return None
            first, last, total = map(int, said.groups())
            content = bytearray()
            for piece in response.iter_bytes(_PIECE):
                content += piece
                if len(content) > last - first + 1:
                    break
        if len(content) != last - first + 1:
            raise _Passing(f"{len(content)} of {last - first + 1} bytes arrived")
        return Part(bytes(content), first, total)

    @contextmanager
    def _open(self, headers: Mapping[str, str]) -> Iterator[Any]:
        asked = {**self.headers, **headers, "Accept-Encoding": "identity"}
        with (
            self._faults(),
            get_session().stream(
                "GET", self.url, headers=asked, timeout=TIMEOUT_SECONDS, follow_redirects=True
            ) as response,
        ):
            yield response

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except HTTPError as error:
            kind = type(error).__name__
            if kind in _NEVER:
                raise TaskSetError(
                    f"{self.what}: {error or kind}: only http and https addresses that end somewhere are read"
                ) from error
            raise _Passing(f"{kind}: {error}") from error

    def _check(self, status: int) -> None:
        if status in (200, 206):
            return
        if status in _PASSING:
            raise _Passing(f"the server answers {status}")
        advice = {
            401: "it wants a key: name the Secret that holds one",
            403: "the key does not open it",
            404: "there is nothing at that address",
            410: "it is gone for good",
        }.get(status, "check the address")
        raise TaskSetError(f"{self.what}: the server answers {status}: {advice}")

    def _pause(self, failures: int, error: Exception) -> None:
        if failures >= ATTEMPTS:
            message = f"{self.what}: {error} ({ATTEMPTS} attempts); is the server up and reachable from here?"
            raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, message) from error
        pause = pause_seconds(failures)
        _log.warning("%s: %s; trying again in %.1f s", self.what, error, pause)
        time.sleep(pause)
