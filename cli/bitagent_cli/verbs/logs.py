"""`logs [KIND/]NAME`: logs of the pods that belong to an object, now and, with `--follow`, of those that come."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass

from bitagent_cli.connection import KINDS, Failure, UsageFailure, connected, ensure_served
from bitagent_cli.explanation.pods import container_names, started
from bitagent_cli.objects.ages import seconds_of
from bitagent_cli.output.tables import cell
from bitagent_cli.output.terminal import Colour, Terminal
from bitagent_cli.parser import Exit
from bitagent_cli.verbs.explain import LABELS
from bitagent_crds.names import MODEL_LABEL
from bitagent_crds.printable import escape_unprintable
from bitagent_kube.cluster import ClusterClient
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import Obj
from bitagent_kube.resources import PODS
from bitagent_kube.watch import EventType

LINE_BYTES = 16384
"""Longest line that is shown; the rest of a longer one is left out."""


@dataclass(frozen=True)
class Choice:
    """Which lines of a log."""

    follow: bool = False
    tail: int = -1
    since_seconds: int = 0

    def query(self, container: str) -> dict[str, str]:
        """Return the query of a container's log."""
        query = {"container": container}
        if self.follow:
            query["follow"] = "true"
        if self.tail >= 0:
            query["tailLines"] = str(self.tail)
        if self.since_seconds:
            query["sinceSeconds"] = str(self.since_seconds)
        return query


async def run(options: argparse.Namespace, terminal: Terminal) -> int:
    """Show the logs. Raises Failure if there is no such object."""
    try:
        choice = Choice(options.follow, options.tail, seconds_of(options.since))
    except ValueError as error:
        raise UsageFailure(f"--since {error}") from error
    async with connected(options) as client:
        kind, name = await find(client, options.name)
        labels = f"{LABELS[kind]}={name}" + (f",{MODEL_LABEL}={options.model}" if options.model else "")
        listing = await client.listing(PODS, labels=labels)
        pods = sorted(listing.items, key=lambda pod: str(pod["metadata"].get("creationTimestamp")))
        if not options.follow:
            if not pods:
                terminal.say(f"no pod belongs to {kind} {name} now: `bitagent explain {kind} {name}` has what is left")
            for pod in pods:
                await _show(client, pod, choice, terminal)
            return Exit.DONE
        await _follow(client, labels, pods, listing.version, choice, terminal)
    return Exit.DONE


async def find(client: ClusterClient, text: str) -> tuple[str, str]:
    """Return kind and name of the object that `[KIND/]NAME` names. Raises Failure if there is none, or several."""
    kind, sign, name = text.rpartition("/")
    if sign:
        if kind not in KINDS:
            raise Failure(f"{kind} is not a kind: er, mm or val is expected before the slash")
        if await client.get(KINDS[kind], name) is None:
            await ensure_served(client)
            raise Failure(f"there is no {KINDS[kind].kind} {name} in namespace {client.namespace}")
        return kind, name
    found = [short for short, resource in KINDS.items() if await client.get(resource, text) is not None]
    if not found:
        await ensure_served(client)
        raise Failure(f"there is no EvalRound, MinerModel or Validator {text} in namespace {client.namespace}")
    if len(found) > 1:
        raise Failure(f"several objects have that name: say {' or '.join(f'{short}/{text}' for short in found)}")
    return found[0], text


async def _show(client: ClusterClient, pod: Obj, choice: Choice, terminal: Terminal) -> None:
    """Show the logs of the containers of a pod that have any."""
    for container in container_names(pod):
        if started(pod, container):
            await _stream(client, pod["metadata"]["name"], container, choice, terminal)


async def _stream(client: ClusterClient, pod: str, container: str, choice: Choice, terminal: Terminal) -> None:
    head = terminal.paint(cell(f"{pod}/{container}"), Colour.DIM)
    path = f"{PODS.path(client.namespace, pod)}/log"
    try:
        async for line in client.lines(path, choice.query(container)):
            text = escape_unprintable(line[:LINE_BYTES].decode(errors="replace"), keep="\t")
            terminal.line(f"{head} {text}")
            if choice.follow:
                terminal.out.flush()
    except ApiError as error:
        terminal.say(f"{pod}/{container}: {error.message}")


async def _follow(
    client: ClusterClient, labels: str, pods: list[Obj], version: str, choice: Choice, terminal: Terminal
) -> None:
    """Show the logs of all containers until interrupted, each from when it runs."""
    shown: set[tuple[str, str]] = set()
    async with asyncio.TaskGroup() as group:

        def take(pod: Obj) -> None:
            for container in container_names(pod):
                key = pod["metadata"]["uid"], container
                if key not in shown and started(pod, container):
                    shown.add(key)
                    group.create_task(_stream(client, pod["metadata"]["name"], container, choice, terminal))

        for pod in pods:
            take(pod)
        while True:
            try:
                async for event in client.watch(PODS, version=version, labels=labels):
                    version = str(event.object["metadata"].get("resourceVersion") or version)
                    if event.type not in (EventType.DELETED, EventType.BOOKMARK):
                        take(event.object)
            except ApiError as error:
                if error.code not in (0, 410):
                    raise
                listing = await client.listing(PODS, labels=labels)
                version = listing.version
                for pod in listing.items:
                    take(pod)
