"""`explain KIND NAME`: the story of one object."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable

from bitagent_cli.connection import KINDS, connected, get
from bitagent_cli.explanation.story import Known, document, story
from bitagent_cli.output import documents
from bitagent_cli.output.terminal import Terminal
from bitagent_cli.parser import Exit
from bitagent_crds.names import MODEL_LABEL, ROUND_LABEL, VALIDATOR_LABEL
from bitagent_kube.cluster import ClusterClient
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import Obj
from bitagent_kube.resources import CORE_EVENTS, PODS

LABELS = {"er": ROUND_LABEL, "mm": MODEL_LABEL, "val": VALIDATOR_LABEL}
"""Label of the pods that belong to an object of a kind."""


async def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Tell what happened to an object, where the time went, and what to do."""
    resource = KINDS[options.kind]
    async with connected(options) as client:
        obj = await get(client, resource, options.name)
        unread: list[str] = []
        events = await _if_allowed(
            client.list(CORE_EVENTS, fields=f"involvedObject.uid={obj['metadata']['uid']}"), "Events", unread
        )
        pods = await _if_allowed(pods_of(client, options.kind, options.name), "pods", unread)
        now = client.clock.now()
    known = Known(options.kind, {"kind": resource.kind, **obj}, now, events, pods, tuple(unread))
    if options.output:
        documents.write(terminal, document(known), options.output)
        return Exit.DONE
    for line in story(known, terminal, every=options.all):
        terminal.line(line)
    return Exit.DONE


async def _if_allowed(reading: Awaitable[list[Obj]], what: str, unread: list[str]) -> list[Obj]:
    """Return what is read; nothing, and why not, if that is refused."""
    try:
        return await reading
    except ApiError as error:
        unread.append(f"{what}: {error.message}")
        return []


async def pods_of(client: ClusterClient, kind: str, name: str) -> list[Obj]:
    """Return the pods that belong to an object, in the order of their creation."""
    found = await client.list(PODS, labels=f"{LABELS[kind]}={name}")
    return sorted(found, key=lambda pod: (str(pod["metadata"].get("creationTimestamp")), pod["metadata"]["name"]))
