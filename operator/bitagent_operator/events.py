"""Events on the objects, for people: `kubectl describe` shows them.

The name of an Event follows from object, reason and text, so telling the same thing twice, also after a crash, makes one Event.
Events are a courtesy: one that cannot be posted is logged and forgotten.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from bitagent_crds.schema import API_VERSION
from bitagent_operator import naming
from bitagent_operator.api import Api, ApiError
from bitagent_operator.conditions import clip
from bitagent_operator.observed import Meta, Obj
from bitagent_operator.plan.notices import Notice

NOTE_LENGTH = 1000
_AT_ONCE = 8

log = logging.getLogger(__name__)


class Events:
    """Posts Events. `instance` names this operator process, such as its pod."""

    def __init__(self, api: Api, *, instance: str) -> None:
        self._api, self._instance = api, instance
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def post(self, kind: str, meta: Meta, notices: Iterable[Notice]) -> None:
        """Tell the notices about one object."""
        await asyncio.gather(*(self._post(self._event(kind, meta, notice)) for notice in notices))

    async def _post(self, event: Obj) -> None:
        regarding = event["regarding"]
        level = logging.WARNING if event["type"] == "Warning" else logging.INFO
        log.log(level, "%s %s: %s: %s", regarding["kind"], regarding["name"], event["reason"], event["note"])
        async with self._slots:
            try:
                await self._api.post_event(event)
            except ApiError as error:
                log.warning("event %s on %s could not be posted: %s", event["reason"], regarding["name"], error)

    def _event(self, kind: str, meta: Meta, notice: Notice) -> Obj:
        identity = naming.short_hash(meta.uid, str(meta.generation), notice.reason, notice.message, digits=16)
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{meta.name}.{identity}", "namespace": self._api.namespace},
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": f"bitagent.io/{naming.MANAGER}",
            "reportingInstance": self._instance,
            "action": "Reconcile",
            "reason": notice.reason.value,
            "note": clip(notice.message, NOTE_LENGTH),
            "type": "Warning" if notice.warning else "Normal",
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": kind,
                "name": meta.name,
                "namespace": self._api.namespace,
                "uid": meta.uid,
            },
        }
