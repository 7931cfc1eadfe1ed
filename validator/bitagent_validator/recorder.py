"""Kubernetes Events about the Validator. Best effort: an event that cannot be written is logged, and nothing waits for it."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

from bitagent_crds.schema import API_VERSION
from bitagent_validator.kube import Api, ApiError, path, time_text
from bitagent_validator.seen import ValidatorObject

log = logging.getLogger(__name__)

MESSAGE_MAX = 1024


class Recorder:
    """Writes events about one Validator."""

    def __init__(self, api: Api, about: ValidatorObject) -> None:
        self._api = api
        self._about = about

    async def note(self, reason: str, message: str) -> None:
        """Something happened as it should."""
        log.info("%s: %s", reason, message)
        await self._write("Normal", reason, message)

    async def warn(self, reason: str, message: str) -> None:
        """Something a person should look at."""
        log.warning("%s: %s", reason, message)
        await self._write("Warning", reason, message)

    async def _write(self, kind: str, reason: str, message: str) -> None:
        about, now = self._about, time_text(datetime.now(UTC))
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{about.name}.{time.time_ns():x}", "namespace": about.namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": "Validator",
                "name": about.name,
                "namespace": about.namespace,
                "uid": about.uid,
            },
            "type": kind,
            "reason": reason,
            "message": message[:MESSAGE_MAX],
            "source": {"component": self._api.manager},
            "reportingComponent": self._api.manager,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            await self._api.create(path("v1", "events", namespace=about.namespace), event)
        except ApiError as error:
            log.warning("event %s was not written: %s", reason, error)
