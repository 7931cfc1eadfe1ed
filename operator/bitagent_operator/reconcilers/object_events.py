"""The newest Event about Jobs and pods that make no progress: read seldom, since a status does not have their words."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from bitagent_kube.client import Client
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import Obj
from bitagent_kube.resources import CORE_EVENTS
from bitagent_operator.plan.inputs import EVENTS_AGAIN, LastEvent

log = logging.getLogger(__name__)


@dataclass
class LastEvents:
    """What was read last, by the uid of the object; the same object is read at most once in EVENTS_AGAIN."""

    _known: dict[str, tuple[datetime, LastEvent | None]] = field(default_factory=dict)

    async def read(self, client: Client, uids: Collection[str], *, now: datetime) -> dict[str, LastEvent | None]:
        """Return the newest Event about each object. A read that fails is as one without Events: they only explain."""
        known = {uid: entry for uid, entry in self._known.items() if now < entry[0] + EVENTS_AGAIN}
        missing = [uid for uid in uids if uid not in known]
        found = await asyncio.gather(*(_read(client, uid) for uid in missing))
        known |= {uid: (now, event) for uid, event in zip(missing, found, strict=True)}
        self._known |= known
        for uid in self._known.keys() - known.keys():
            if now >= self._known[uid][0] + EVENTS_AGAIN:
                del self._known[uid]
        return {uid: known[uid][1] for uid in uids}


async def _read(client: Client, uid: str) -> LastEvent | None:
    try:
        events = await client.list(CORE_EVENTS, fields=f"involvedObject.uid={uid}")
    except ApiError as error:
        log.warning("the Events about object %s cannot be read: %s", uid, error)
        return None
    newest = max(events, key=_time, default=None)
    if newest is None:
        return None
    reason, message = str(newest.get("reason", "")), str(newest.get("message", ""))
    return LastEvent(reason, message, warning=newest.get("type") == "Warning")


def _time(event: Obj) -> tuple[str, int]:
    """Return when an Event happened last, then its version: times are to the second."""
    series, meta = event.get("series") or {}, event["metadata"]
    at = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return str(at or meta.get("creationTimestamp", ""))[:19], int(meta.get("resourceVersion", "0"))
