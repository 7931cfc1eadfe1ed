"""Progress of running evaluations, asked of their pods: read seldom, and never believed more than a hint.

The process that answers also runs a miner's model. So a request follows no redirect and takes no compression; the
answer is read up to a size, within a time; and whatever is not the document that was asked for is as none at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus

from pydantic import ValidationError

from bitagent_crds.names import ROUND_LABEL
from bitagent_crds.progress import PROGRESS_BYTES, PROGRESS_PATH, ProgressDocument
from bitagent_operator.observed.cache import Key, Kind
from bitagent_operator.observed.workloads import PodObject
from bitagent_operator.plan.inputs import PodProgress

POLL_SECONDS = 10.0
"""Time between two looks at a pod."""
REQUEST_SECONDS = 2.0
"""Time in which a pod must have answered."""
REQUESTS_IN_FLIGHT = 32
"""Pods that are asked at the same time: of 1,024 that all hang, each is asked every minute."""
MOST_TOKENS_PER_SECOND = 1_000_000
"""More than a pod can generate: what it says beyond that is not counted."""
_STEADY = timedelta(seconds=3)
"""Difference of the times of one moment by two answers."""

log = logging.getLogger(__name__)


class Outcome(StrEnum):
    """How one request ended; a label of a metric."""

    ANSWERED = "answered"
    MUTE = "mute"
    """The node took the connection, and the process gave no answer in time."""
    UNREACHABLE = "unreachable"
    """There was no connection: an image without a progress, a network policy, a lost node."""
    INVALID = "invalid"
    """The answer is not the document."""


class NotTheDocument(Exception):
    """Raised for an answer that is not a progress document."""


@dataclass
class ProgressReader:
    """Asks the pods of running evaluations how far they are, and keeps the last answer of each."""

    pods: Callable[[], Iterable[PodObject]]
    """Returns all pods that are known."""
    now: Callable[[], datetime]
    enqueue: Callable[[Iterable[Key]], None]
    """Receives the rounds of which something is news."""
    count: Callable[[Outcome], None] = lambda _outcome: None
    generated: Callable[[str, int], None] = lambda _round, _tokens: None
    """Receives the name of a round and the tokens that one of its evaluations has generated since the last look."""
    every: float = field(default_factory=lambda: POLL_SECONDS)
    """Seconds between two looks."""
    seconds: float = field(default_factory=lambda: REQUEST_SECONDS)
    """Time for one answer."""
    _known: dict[str, PodProgress] = field(default_factory=dict)
    _began: datetime = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.now()

    def of(self, pods: Iterable[PodObject]) -> Mapping[str, PodProgress]:
        """Return what is known of these pods, by uid."""
        return {pod.meta.uid: self._known[pod.meta.uid] for pod in pods if pod.meta.uid in self._known}

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            try:
                await self.poll()
            except Exception:  # a bug in what is only a hint must not stop the operator
                log.exception("the progress of the evaluations could not be read")
            await asyncio.sleep(self.every)

    async def poll(self) -> None:
        """Ask each pod that runs once, many at a time."""
        running = {pod.meta.uid: pod for pod in self.pods() if _serves(pod)}
        for uid in self._known.keys() - running.keys():
            del self._known[uid]
        slots = asyncio.Semaphore(REQUESTS_IN_FLIGHT)

        async def ask(pod: PodObject) -> bool:
            async with slots:
                return await self._ask(pod)

        news = await asyncio.gather(*map(ask, running.values()))
        changed = {pod.meta.labels.get(ROUND_LABEL, "") for pod, new in zip(running.values(), news, strict=True) if new}
        self.enqueue(Key(Kind.ROUND, name) for name in sorted(changed - {""}))

    async def _ask(self, pod: PodObject) -> bool:
        """Ask one pod; return whether its answer is news."""
        before = self._known.get(pod.meta.uid)
        try:
            document = await read(pod.address, pod.progress_port or 0, seconds=self.seconds)
        except TimeoutError:
            self.count(Outcome.MUTE)
            # One that never answered may be anything.
            if before is not None:
                self._known[pod.meta.uid] = replace(before, read_at=self.now(), mute=True)
            return before is not None and not before.mute
        except OSError:
            self.count(Outcome.UNREACHABLE)
            return False
        except NotTheDocument:
            self.count(Outcome.INVALID)
            return False
        self.count(Outcome.ANSWERED)
        now = self.now()
        advanced = now - timedelta(seconds=document.idle_seconds)
        if before is not None and abs(advanced - before.advanced_at) < _STEADY:
            advanced = before.advanced_at
        after = PodProgress(now, max(advanced, pod.started or advanced), document)
        self._known[pod.meta.uid] = after
        if tokens := self._new_tokens(pod, before, after):
            self.generated(pod.meta.labels.get(ROUND_LABEL, ""), tokens)
        return before is None or before.mute or _shown(before) != _shown(after)

    def _new_tokens(self, pod: PodObject, before: PodProgress | None, after: PodProgress) -> int:
        """Return how many tokens an evaluation has generated since the last look, or since its start.

        A number that is lower than before, or that of another evaluation of the pod, begins at 0. What a pod generated
        before this reader began was counted by another process.
        """
        document, started = after.document, pod.started or after.read_at
        if before is None:
            if started < self._began:
                return 0
            known, since = 0, started
        else:
            same = before.document.key == document.key and before.document.tokens <= document.tokens
            known, since = before.document.tokens if same else 0, before.read_at
        seconds = max(1.0, (after.read_at - since).total_seconds())
        return min(document.tokens - known, int(seconds * MOST_TOKENS_PER_SECOND))


def _serves(pod: PodObject) -> bool:
    """Whether the pod's container runs and names the port of its progress."""
    # Of a pod another container of which cannot start, the phase is Pending.
    runs = pod.started is not None and pod.terminated is None and not pod.meta.deleting
    runs = runs and pod.phase in ("Pending", "Running")
    return runs and bool(pod.address) and pod.progress_port is not None


def _shown(found: PodProgress) -> tuple[object, ...]:
    document = found.document
    return document.phase, document.key, document.done, document.total, document.tokens, found.advanced_at


async def read(address: str, port: int, *, seconds: float) -> ProgressDocument:
    """Return the document of a pod.

    Raises OSError if there is no connection in time or it breaks, TimeoutError if there is one and no whole answer
    comes in time, and NotTheDocument for another answer.
    """
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(address, port, limit=PROGRESS_BYTES)
    except TimeoutError as error:
        raise OSError(f"no connection to {address} within {seconds:g} s") from error
    try:
        async with asyncio.timeout(seconds):
            host = f"[{address}]" if ":" in address else address
            writer.write(f"GET {PROGRESS_PATH} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
            await writer.drain()
            answer = await _up_to(reader, PROGRESS_BYTES)
    finally:
        writer.transport.abort()  # without waiting for the other side
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return parsed(answer)


async def _up_to(reader: asyncio.StreamReader, size: int) -> bytes:
    """Return what comes until the end. Raises NotTheDocument if that is more than `size` bytes."""
    answer = b""
    while len(answer) <= size:
        part = await reader.read(size + 1 - len(answer))
        if not part:
            return answer
        answer += part
    raise NotTheDocument(f"the answer has more than {size} bytes")


def parsed(answer: bytes) -> ProgressDocument:
    """Return the document in an HTTP answer. Raises NotTheDocument."""
    head, end, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split(b" ")
    if not end or not words[0].startswith(b"HTTP/1.") or words[1:2] != [str(HTTPStatus.OK.value).encode()]:
        raise NotTheDocument("the answer is not one with code 200")
    try:
        return ProgressDocument.model_validate_json(body)
    except ValidationError as error:
        raise NotTheDocument("the body is not a progress document") from error
