"""A resource over HTTP: streamed and resumed, read by ranges, or asked in JSON; every answer bounded in size.

The only reader of the evaluator: the files of models and datasets on a hub, the files that a task source names, JSON
services. Redirects are followed within http and https; an Authorization header is not sent to another host. The client
is huggingface_hub's, so that proxies and certificates apply to all of them alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.support.faults import FetchError
from bitagent_evaluator.support.http import Backoff, TransientError, retry

TIMEOUT_SECONDS = 30.0
"""Longest time to connect, and longest silence within an answer."""
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which another attempt may succeed."""

_FINAL_ERRORS = frozenset({"UnsupportedProtocol", "TooManyRedirects", "InvalidURL"})
"""Errors of the client that no other attempt cures. By name: the HTTP library depends on huggingface_hub's version."""
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(?:\d+|\*)")
_ADVICE: Mapping[int, str] = {
    401: "it asks for a key: name the Secret that holds one",
    403: "the key does not open it",
    404: "there is nothing at that address",
    410: "it is gone for good",
}


@dataclass(frozen=True)
class HttpErrors:
    """The reasons and remedies that failures of one kind of server are reported with."""

    final: Reason
    """Reason if the address, the server or its answer cannot be used."""
    unavailable: Reason
    """Reason if the server does not answer, after all attempts."""
    advice: str
    """Remedy if the server does not answer."""

    def refuse(self, message: str) -> FetchError:
        """Return the error of something that no other attempt cures."""
        return FetchError(self.final, message)

    def transient(self, message: str, *, retry_after: str | None = None) -> TransientError:
        """Return the error of something that another attempt may cure; `retry_after` is the server's header."""
        return TransientError(message, reason=self.unavailable, advice=self.advice, retry_after=retry_after)

    def check(self, response: Any, what: str) -> None:
        """Check that an answer has content. Raises FetchError or TransientError if it has none."""
        status = response.status_code
        if status in (200, 206):
            return
        if status in TRANSIENT_STATUSES:
            raise self.transient(f"the server answers {status}", retry_after=response.headers.get("Retry-After"))
        raise self.refuse(f"{what}: the server answers {status}: {_ADVICE.get(status, 'check the address')}")


@dataclass(frozen=True)
class Part:
    """A part of a resource as a server sent it."""

    content: bytes
    start: int


@dataclass(frozen=True)
class HttpResource:
    """One resource; every method raises FetchError, after repeating what often passes."""

    url: str
    what: str
    """What messages call it."""
    errors: HttpErrors
    max_bytes: int
    """Largest file, or JSON answer, that is accepted."""
    headers: Mapping[str, str] = field(default_factory=dict)

    def stream(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`; None stands for the end of the file.

        A broken connection is resumed where it broke. Attempts are counted from the last byte that arrived.
        """
        position, backoff = start, Backoff()
        while end is None or position < end:
            try:
                for piece in self._stream_once(position, end):
                    position += len(piece)
                    backoff.reset()
                    if position > self.max_bytes:
                        raise self.errors.refuse(
                            f"{self.what} is larger than {self.max_bytes} bytes: more than this source takes"
                        )
                    yield piece
                return
            except TransientError as error:
                backoff.wait(error, self.what)

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` up to, not including, `end`. Refuses a server without ranges."""
        part = self._read_range(f"{start}-{end - 1}", end - start)
        if part is None or part.start != start or len(part.content) != end - start:
            raise self._wrong_range()
        return part.content

    def read_tail(self, length: int) -> Part | None:
        """Return the last `length` bytes, or all there are; None if the server has no ranges, or nothing there."""
        return self._read_range(f"-{length}", length)

    def post_json(self, document: Mapping[str, Any]) -> Any:
        """Return the JSON answer to a JSON document."""
        answer = retry(lambda: self._post_once(document), self.what)
        try:
            return json.loads(answer)
        except (ValueError, RecursionError) as error:
            raise self.errors.refuse(f"{self.what} does not answer in JSON: {error}") from error

    def _stream_once(self, position: int, end: int | None) -> Iterator[bytes]:
        ranged = position > 0 or end is not None
        asked = {"Range": f"bytes={position}-{'' if end is None else end - 1}"} if ranged else {}
        left = None if end is None else end - position
        with self._request("GET", asked) as response:
            if response.status_code == 416 and position and end is None:
                return  # The connection broke after the last byte.
            self.errors.check(response, self.what)
            if response.status_code == 206 and (sent := _content_range(response)) and sent[0] != position:
                raise self._wrong_range()
            skip = position if response.status_code == 200 else 0  # A server without ranges sends the whole file.
            for piece in response.iter_bytes():
                kept = piece[skip:][:left]
                skip = max(0, skip - len(piece))
                if kept:
                    yield kept
                if left is not None:
                    left -= len(kept)
                    if left == 0:
                        return
        if left is not None:
            raise self.errors.transient(f"the connection closed {left} bytes early")

    def _read_range(self, asked: str, most: int) -> Part | None:
        return retry(lambda: self._read_range_once(asked, most), self.what)

    def _read_range_once(self, asked: str, most: int) -> Part | None:
        with self._request("GET", {"Range": f"bytes={asked}"}) as response:
            if response.status_code == 416:
                return None
            self.errors.check(response, self.what)
            sent = _content_range(response)
            if response.status_code != 206 or sent is None:
                return None
            first, last = sent
            length = last - first + 1
            if length > most:
                raise self._wrong_range()
            content = bytearray()
            for piece in response.iter_bytes():
                content += piece
                if len(content) > length:
                    break
        if len(content) != length:
            raise self.errors.transient(f"{len(content)} of {length} bytes arrived")
        return Part(bytes(content), first)

    def _post_once(self, document: Mapping[str, Any]) -> bytes:
        with self._request("POST", {}, document) as response:
            self.errors.check(response, self.what)
            answer = bytearray()
            for piece in response.iter_bytes():
                answer += piece
                if len(answer) > self.max_bytes:
                    raise self.errors.refuse(f"{self.what}: the answer is larger than {self.max_bytes} bytes")
        return bytes(answer)

    def _wrong_range(self) -> FetchError:
        return self.errors.refuse(f"{self.what}: the server does not send the parts that it is asked for")

    @contextmanager
    def _request(
        self, method: str, headers: Mapping[str, str], document: Mapping[str, Any] | None = None
    ) -> Iterator[Any]:
        from huggingface_hub.errors import HTTPError  # takes longer to import than a set of local tasks to build
        from huggingface_hub.utils import get_session

        options: dict[str, Any] = {
            "headers": {**self.headers, **headers, "Accept-Encoding": "identity"},
            "json": document,
            "timeout": TIMEOUT_SECONDS,
            "follow_redirects": True,
        }
        try:
            with get_session().stream(method, self.url, **options) as response:
                yield response
        except HTTPError as error:
            kind = type(error).__name__
            if kind in _FINAL_ERRORS:
                message = f"{error or kind}: only http and https addresses that end somewhere are read"
                raise self.errors.refuse(f"{self.what}: {message}") from error
            raise self.errors.transient(f"{kind}: {error}") from error


def _content_range(response: Any) -> tuple[int, int] | None:
    """Return the first and the last position of a Content-Range header; None without one."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return (int(found[1]), int(found[2])) if found else None
