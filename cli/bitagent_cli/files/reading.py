"""The life of a reading pod: it is made, waited for, used, and removed whatever happens."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

from bitagent_cli.configuration import configuration
from bitagent_cli.connection import Failure
from bitagent_cli.explanation.pods import pod_row
from bitagent_cli.files.choice import Place
from bitagent_cli.files.pod import CONTAINER, PodSettings, reading_pod, settings_of
from bitagent_cli.files.receiver import ArchiveRefused, Unpacked, unpack
from bitagent_cli.output.terminal import Terminal
from bitagent_kube.cluster import ClusterClient, CommandFailed
from bitagent_kube.errors import ApiError
from bitagent_kube.objects import Obj, ObjectReference
from bitagent_kube.resources import PODS, ROUNDS

_ENDED = frozenset({"Succeeded", "Failed"})
_HOPELESS = frozenset({"ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError"})


async def _settings(client: ClusterClient) -> PodSettings:
    """Return the settings of the namespace's operator, or usual ones if they cannot be read."""
    try:
        return settings_of(await configuration(client) or {})
    except ApiError:
        return settings_of({})


@asynccontextmanager
async def reader(
    client: ClusterClient, obj: Obj, place: Place, terminal: Terminal, *, image: str = "", seconds: float
) -> AsyncIterator[str]:
    """Make a pod that can read a round's files, and yield its name. Raises Failure and ApiError."""
    settings = await _settings(client)
    used = image or str((obj.get("status") or {}).get("image") or "") or settings.image
    if not used:
        raise Failure("no image is known for the pod that reads: give one with --image")
    pod = await client.create(_pod(settings, obj, place, client.namespace, used))
    name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
    terminal.say(f"pod {name} reads {place.claim}")
    try:
        await until_running(client, name, seconds=seconds)
        yield name
    finally:
        await asyncio.shield(client.delete(PODS, name, uid=uid))


def _pod(settings: PodSettings, obj: Obj, place: Place, namespace: str, image: str) -> Obj:
    meta = obj["metadata"]
    owner = ObjectReference(ROUNDS.api_version, ROUNDS.kind, namespace, meta["name"], meta["uid"])
    name = f"{meta['name']}-files-{secrets.token_hex(3)}"
    return reading_pod(settings, name=name, owner=owner, claim=place.claim, path=place.path, image=image)


async def until_running(client: ClusterClient, name: str, *, seconds: float) -> None:
    """Wait until a pod runs. Raises Failure with what keeps it from running."""
    last: Obj = {}
    try:
        async with asyncio.timeout(seconds):
            while True:
                listing = await client.listing(PODS, fields=f"metadata.name={name}")
                if not listing.items:
                    raise Failure(f"pod {name} was deleted")
                last = listing.items[0]
                if _running(last):
                    return
                async for event in client.watch(PODS, version=listing.version, fields=f"metadata.name={name}"):
                    if event.type == "DELETED":
                        raise Failure(f"pod {name} was deleted")
                    if event.type == "BOOKMARK":
                        continue
                    last = event.object
                    if _running(last):
                        return
    except TimeoutError as error:
        raise Failure(f"pod {name} does not run after {seconds:g} s: {why_not(last)}") from error


def _running(pod: Obj) -> bool:
    """Whether the container of a pod runs. Raises Failure if it never will."""
    status = pod.get("status") or {}
    states = [each.get("state") or {} for each in status.get("containerStatuses") or []]
    waiting = {str((state.get("waiting") or {}).get("reason")) for state in states}
    if status.get("phase") in _ENDED or waiting & _HOPELESS:
        raise Failure(f"pod {pod['metadata']['name']} cannot run: {why_not(pod)}")
    return any("running" in state for state in states)


def why_not(pod: Obj) -> str:
    """Return what keeps a pod from running, in the words of whoever does."""
    if not pod:
        return "it was not seen"
    *_, phase, words = pod_row(pod)
    return words or f"it is {phase}, and nothing says why"


async def copy(
    client: ClusterClient, pod: str, *, root: str, paths: Sequence[str], target: Path, max_bytes: int
) -> Unpacked:
    """Copy files of a pod into an empty folder here. Raises Failure, ApiError and OSError."""
    program = files("bitagent_cli.files").joinpath("sender.py").read_text()
    command = ["python3", "-c", program, root, *paths]
    received = 0
    with tempfile.NamedTemporaryFile(dir=target, prefix=".received-", suffix=".tar.gz") as archive:
        try:
            async for piece in client.execute(pod, command, container=CONTAINER):
                received += len(piece)
                if received > max_bytes:
                    raise Failure(f"the pod sends more than {max_bytes} bytes: raise --max-bytes")
                archive.write(piece)
        except CommandFailed as error:
            raise Failure(f"the files could not be read: {error}") from error
        archive.flush()
        try:
            return await asyncio.to_thread(unpack, Path(archive.name), target, max_bytes=max_bytes)
        except ArchiveRefused as error:
            raise Failure(f"the files were not taken: {error}") from error


async def execute(client: ClusterClient, pod: str, command: Sequence[str]) -> bytes:
    """Run a command in a reading pod and return what it prints. Raises Failure and ApiError."""
    try:
        return b"".join([piece async for piece in client.execute(pod, command, container=CONTAINER)])
    except CommandFailed as error:
        raise Failure(f"`{command[0]}` failed in pod {pod}: {error}") from error
