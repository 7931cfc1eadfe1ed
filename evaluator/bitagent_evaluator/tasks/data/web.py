"""Files over HTTP: streamed, resumed after a broken connection, bounded in size.

Who is to blame is told apart: an address that is wrong, refused or too large is the spec's fault and final (TaskSetError); a server that does
not answer, or says 5xx or 429, is tried again for a while and then an infrastructure fault. Redirects are followed within http and https; a
secret header does not follow to another host. The client is huggingface_hub's, so proxies and certificates work for all sources alike.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from huggingface_hub.errors import HTTPError
from huggingface_hub.utils import get_session

from bitagent_crds.conditions import Reason
from bitagent_evaluator.addresses import check_address
from bitagent_evaluator.faults import InfrastructureFault
from bitagent_evaluator.hub.retries import ATTEMPTS, pause_seconds
from bitagent_evaluator.tasks.errors import TaskSetError

_log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 30.0
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which another try may go well."""
_NEVER = frozenset({"UnsupportedProtocol", "TooManyRedirects", "InvalidURL"})
"""Errors of the client that no second try cures. By name: which HTTP library huggingface_hub uses depends on its version."""
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(?:\d+|\*)")
_PIECE = 1 << 16


class _Passing(Exception):
    """A failure that often passes."""


@dataclass(frozen=True)
class Part:
    """A part of a file as a server sent it."""

    content: bytes
    start: int


@dataclass(frozen=True)
class WebFile:
    """One file on the web."""

    url: str
    headers: Mapping[str, str]
    what: str
    """What messages call it."""
    max_bytes: int
    """Largest file, or answer, that is taken."""

    @classmethod
    def named(cls, url: str, what: str, *, max_bytes: int, headers: Mapping[str, str] | None = None) -> Self:
        """The file at an address that a spec names. Raises TaskSetError where that is none."""
        try:
            check_address(url)
        except ValueError as error:
            raise TaskSetError(str(error)) from None
        return cls(url, headers or {}, what, max_bytes)

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
        found = self._ranged(f"{start}-{end - 1}", end - start)
        if found is None or found.start != start or len(found.content) != end - start:
            raise self._not_as_asked()
        return found.content

    def end(self, length: int) -> Part | None:
        """The last `length` bytes, or all there are; None where the server knows no ranges, or has nothing there. Raises as `stream`."""
        return self._ranged(f"-{length}", length)

    def _not_as_asked(self) -> TaskSetError:
        return TaskSetError(f"{self.what}: the server does not send the parts that it is asked for")

    def _ranged(self, wanted: str, most: int) -> Part | None:
        failures = 0
        while True:
            try:
                return self._part(f"bytes={wanted}", most)
            except _Passing as error:
                failures += 1
                self._pause(failures, error)

    def post(self, content: Mapping[str, Any]) -> Any:
        """The JSON answer to a JSON document. Raises as `stream`."""
        failures = 0
        while True:
            try:
                with self._open({}, content) as response:
                    self._check(response.status_code)
                    answer = bytearray()
                    for piece in response.iter_bytes(_PIECE):
                        answer += piece
                        if len(answer) > self.max_bytes:
                            raise TaskSetError(f"{self.what}: the answer is larger than {self.max_bytes} bytes")
                return json.loads(answer)
            except _Passing as error:
                failures += 1
                self._pause(failures, error)
            except (ValueError, RecursionError) as error:
                raise TaskSetError(f"{self.what} does not answer in JSON: {error}") from error

    def _from(self, position: int) -> Iterator[bytes]:
        with self._open({"Range": f"bytes={position}-"} if position else {}) as response:
            if position and response.status_code == 416:
                return  # The connection broke after the last byte.
            self._check(response.status_code)
            skip = position if response.status_code == 200 else 0  # A server without ranges sends the whole file.
            for piece in response.iter_bytes(_PIECE):
                kept = piece[skip:]
                skip = max(0, skip - len(piece))
                if kept:
                    yield kept

    def _part(self, wanted: str, most: int) -> Part | None:
        with self._open({"Range": wanted}) as response:
            if response.status_code == 416:
                return None
            self._check(response.status_code)
            said = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if response.status_code != 206 or said is None:
                return None
            first, last = map(int, said.groups())
            if last - first + 1 > most:
                raise self._not_as_asked()
            content = bytearray()
            for piece in response.iter_bytes(_PIECE):
                content += piece
                if len(content) > last - first + 1:
                    break
        if len(content) != last - first + 1:
            raise _Passing(f"{len(content)} of {last - first + 1} bytes arrived")
        return Part(bytes(content), first)

    @contextmanager
    def _open(self, headers: Mapping[str, str], document: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """A GET, or a POST of a JSON document."""
        method = "GET" if document is None else "POST"
        asked = {**self.headers, **headers, "Accept-Encoding": "identity"}
        options: dict[str, Any] = {
            "headers": asked,
            "json": document,
            "timeout": TIMEOUT_SECONDS,
            "follow_redirects": True,
        }
        with self._faults(), get_session().stream(method, self.url, **options) as response:
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
        if status in PASSING:
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
