"""Kubernetes Events, which `kubectl describe` shows. Best effort: failures are logged and dropped.

An Event's name follows from its object, reason and text, so that posting it again, also after a crash, does not make
a second one. The API server deletes Events after an hour, unless configured otherwise.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
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
_AT_ONCE = 8
"""Concurrent requests."""

log = logging.getLogger(__name__)


class EventRecorder:
    """Posts Events as one controller. `instance` is the name of this process, such as its pod."""

    def __init__(self, client: Client, *, instance: str) -> None:
        self._client, self._instance = client, instance
        self._slots = asyncio.Semaphore(_AT_ONCE)

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
        level = logging.WARNING if message.warning else logging.INFO
        log.log(level, "%s %s: %s: %s", regarding.kind, regarding.name, message.reason, message.message)
        async with self._slots:
            try:
                await self._client.create(self._event(regarding, message, occasion))
            except ApiError as error:
                if not error.conflict:
                    log.warning("event %s on %s could not be posted: %s", message.reason, regarding.name, error)

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


def clip_bytes(text: str, limit: int) -> str:
    """Make the text printable and cut it to `limit` bytes of UTF-8; an ellipsis marks the cut."""
    text = escape_unprintable(text, keep=BREAKS)
    encoded = text.encode()
    return text if len(encoded) <= limit else encoded[: limit - 3].decode(errors="ignore") + "…"
