"""Kubernetes Events, which `kubectl describe` shows. Best effort: failures are logged and dropped.

An Event's name follows from its object, reason and text, so that posting it again, also after a crash, does not make
a second one. The API server deletes Events after an hour, unless configured otherwise.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from bitagent_crds.names import short_hash
from bitagent_crds.printable import BREAKS, escape_unprintable
from bitagent_crds.schema import GROUP
from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import EventMessage, Obj, ObjectReference, micro_time
from bitagent_kube.resources import EVENTS

NOTE_BYTES = 1024
"""Limit of the API for an Event's text."""
POST_SECONDS = 30.0
"""Time limit of one `post`; Events that were not posted by then are dropped, so that the caller can continue."""
QUEUE_LENGTH = 4096
"""Events that may wait to be posted in the background: those of four rounds of 1,024 models that end at once."""
_AT_ONCE = 8
"""Concurrent requests."""

_Waiting = tuple[ObjectReference, EventMessage, str]

log = logging.getLogger(__name__)


class EventRecorder:
    """Posts Events as one controller. `instance` is the name of this process, such as its pod.

    `post` waits for the requests. `submit` does not: what it takes is posted by `run`, and the rest by `drain`.
    `dropped` is called for each Event that is not posted, because too many wait or the end has come.
    """

    def __init__(self, client: Client, *, instance: str, dropped: Callable[[], None] = lambda: None) -> None:
        self._client, self._instance, self._dropped = client, instance, dropped
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue(QUEUE_LENGTH)

    def __len__(self) -> int:
        """Return the number of Events that wait to be posted in the background."""
        return self._queue.qsize()

    def submit(self, regarding: ObjectReference, messages: Iterable[EventMessage], *, occasion: str = "") -> None:
        """Log the messages, and queue them as Events about one object; see `post`."""
        for message in messages:
            _log(regarding, message)
            try:
                self._queue.put_nowait((regarding, message, occasion))
            except asyncio.QueueFull:
                self._dropped()

    async def run(self) -> None:
        """Post what is submitted until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(self._work())

    async def drain(self, *, seconds: float) -> None:
        """Post what waits, for at most `seconds`; drop the rest. `run` has ended."""
        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(self._work(until_empty=True) for _ in range(_AT_ONCE)))
        except TimeoutError:
            left = self._queue.qsize()
            for _ in range(left):
                self._queue.get_nowait()
                self._dropped()
            log.warning("%d events could not be posted in %g s", left, seconds)

    async def _work(self, *, until_empty: bool = False) -> None:
        while not (until_empty and self._queue.empty()):
            waiting = await self._queue.get()
            try:
                async with asyncio.timeout(POST_SECONDS):
                    sent = await self._create(*waiting)
            except TimeoutError:
                regarding, message, _ = waiting
                log.warning("event %s on %s was not posted in %g s", message.reason, regarding.name, POST_SECONDS)
                self._dropped()
            except asyncio.CancelledError:
                self._put_back(waiting)
                raise
            else:
                if not sent:
                    self._put_back(waiting)

    def _put_back(self, waiting: _Waiting) -> None:
        """Keep an Event whose request was cut off: posting it again does not make a second one."""
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            self._dropped()

    async def post(self, regarding: ObjectReference, messages: Iterable[EventMessage], *, occasion: str = "") -> None:
        """Log the messages and post them as Events about one object.

        The same message is posted once for each `occasion`, such as a generation of the object.
        """
        try:
            async with asyncio.timeout(POST_SECONDS):
                await asyncio.gather(*(self._post(regarding, message, occasion) for message in messages))
        except TimeoutError:
            log.warning("not all events on %s could be posted in %g s", regarding.name, POST_SECONDS)

    async def _post(self, regarding: ObjectReference, message: EventMessage, occasion: str) -> None:
        _log(regarding, message)
        async with self._slots:
            if not await self._create(regarding, message, occasion):
                self._dropped()

    async def _create(self, regarding: ObjectReference, message: EventMessage, occasion: str) -> bool:
        """Post an Event; return False if that was not tried, because this process may not write at present."""
        try:
            await self._client.create(self._event(regarding, message, occasion))
        except ApiError as error:
            if error.not_sent:
                return False
            if not error.conflict:
                log.warning("event %s on %s could not be posted: %s", message.reason, regarding.name, error)
                self._dropped()
        return True

    def _event(self, regarding: ObjectReference, message: EventMessage, occasion: str) -> Obj:
        identity = short_hash(regarding.uid, occasion, message.reason, message.message, digits=16)
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": f"{regarding.name}.{identity}", "namespace": regarding.namespace},
            "eventTime": micro_time(datetime.now(UTC)),
            "reportingController": f"{GROUP}/{self._client.field_manager}",
            "reportingInstance": self._instance,
            "action": "Reconcile",
            "reason": str(message.reason),
            "note": clip_bytes(message.message, NOTE_BYTES),
            "type": "Warning" if message.warning else "Normal",
            "regarding": regarding.to_wire(),
        }


class ObjectEvents:
    """Events about one object."""

    def __init__(self, recorder: EventRecorder, regarding: ObjectReference) -> None:
        self._recorder, self._regarding = recorder, regarding

    async def normal(self, reason: str, message: str, *, occasion: str = "") -> None:
        """Post an Event of type Normal."""
        await self._recorder.post(self._regarding, [EventMessage(reason, message)], occasion=occasion)

    async def warning(self, reason: str, message: str, *, occasion: str = "") -> None:
        """Post an Event of type Warning."""
        await self._recorder.post(self._regarding, [EventMessage(reason, message, warning=True)], occasion=occasion)


def _log(regarding: ObjectReference, message: EventMessage) -> None:
    level = logging.WARNING if message.warning else logging.INFO
    fields = {"kind": regarding.kind, "name": regarding.name, "event": str(message.reason)}
    text = "%s %s: %s: %s"
    log.log(level, text, regarding.kind, regarding.name, message.reason, message.message, extra={"fields": fields})


def clip_bytes(text: str, limit: int) -> str:
    """Make the text printable and cut it to `limit` bytes of UTF-8; an ellipsis marks the cut."""
    text = escape_unprintable(text, keep=BREAKS)
    encoded = text.encode()
    return text if len(encoded) <= limit else encoded[: limit - 3].decode(errors="ignore") + "…"
