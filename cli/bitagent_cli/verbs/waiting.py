"""Waiting for an object until it is ready or stalled, by a watch."""

from __future__ import annotations

import asyncio

from bitagent_cli.connection import Failure
from bitagent_cli.objects.rows import condition
from bitagent_cli.objects.submission import Outcome, outcome
from bitagent_cli.output.terminal import Terminal
from bitagent_kube.cluster import ClusterClient
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import Obj
from bitagent_kube.resources import ApiResource
from bitagent_kube.watch import EventType

GONE = 410
"""HTTP status of a watch whose version is too old: the collection has to be listed again."""


async def wait(
    client: ClusterClient, resource: ApiResource, name: str, terminal: Terminal, *, seconds: float, since: int = 0
) -> Outcome:
    """Return what becomes of an object, and say meanwhile what it waits for.

    Only statuses of `since` or a later generation count. Raises Failure after `seconds`, or if the object is deleted.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _wait(client, resource, name, terminal, since)
    except TimeoutError as error:
        raise Failure(f"{resource.kind} {name} is neither ready nor refused after {seconds:g} s") from error


async def _wait(client: ClusterClient, resource: ApiResource, name: str, terminal: Terminal, since: int) -> Outcome:
    said = ""
    while True:
        listing = await client.listing(resource, fields=f"metadata.name={name}")
        if not listing.items:
            raise Failure(f"{resource.kind} {name} was deleted")
        version, obj = listing.version, listing.items[0]
        try:
            if (found := _known(obj, since)) is not None:
                return found
            said = _say(obj, terminal, said)
            async for event in client.watch(resource, version=version, fields=f"metadata.name={name}"):
                if event.type is EventType.DELETED:
                    raise Failure(f"{resource.kind} {name} was deleted")
                if event.type is EventType.BOOKMARK:
                    continue
                if (found := _known(event.object, since)) is not None:
                    return found
                said = _say(event.object, terminal, said)
        except ApiError as error:
            if error.code != GONE and error.reason != "NoAnswer":
                raise


def _known(obj: Obj, since: int) -> Outcome | None:
    observed = int((obj.get("status") or {}).get("observedGeneration") or 0)
    return outcome(obj) if observed >= since else None


def _say(obj: Obj, terminal: Terminal, said: str) -> str:
    """Say why the object is not ready, unless that was said before."""
    ready = condition(obj.get("status") or {}, "Ready")
    text = f"{ready.get('reason', 'Pending')}: {ready.get('message', '')}".rstrip(": ")
    if text != said:
        terminal.say(text)
    return text
