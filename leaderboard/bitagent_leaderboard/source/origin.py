"""Where the data comes from: namespaces of the cluster, or a file, and volumes with manifests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bitagent_kube.client import connect
from bitagent_kube.objects import Obj
from bitagent_kube.resources import MODELS, ROUNDS, VALIDATORS
from bitagent_leaderboard.model.board import Board
from bitagent_leaderboard.source.documents import board_of, by_namespace, read_objects, with_manifests

MANAGER = "bitagent-leaderboard"
"""Name by which requests to the API server are known; none of them writes."""


@dataclass(frozen=True)
class Artifacts:
    """An artifact volume, or a copy of it."""

    namespace: str | None
    """None: of all namespaces."""
    folder: Path


@dataclass(frozen=True)
class Origin:
    """Where the data comes from."""

    namespaces: tuple[str, ...]
    """Namespaces of the cluster; empty: a file."""
    objects: Path | None
    artifacts: tuple[Artifacts, ...]

    def artifacts_of(self, namespace: str) -> Path | None:
        """Return the folder with a namespace's manifests: its own, or that of all; None if there is neither."""
        found = {each.namespace: each.folder for each in self.artifacts}
        return found.get(namespace, found.get(None))


async def boards_from(origin: Origin) -> dict[str, Board]:
    """Return the boards as they are now, by namespace. Raises ApiError and ObjectsError."""
    boards = {}
    for namespace, objects in (await _objects_of(origin)).items():
        found, folder = board_of(objects), origin.artifacts_of(namespace)
        boards[namespace] = with_manifests(found, folder) if folder is not None else found
    return boards


async def _objects_of(origin: Origin) -> dict[str, list[Obj]]:
    if origin.objects is not None:
        return by_namespace(read_objects(origin.objects)) or {"": []}
    found: dict[str, list[Obj]] = {}
    for namespace in origin.namespaces:
        found[namespace] = []
        async with connect(namespace=namespace, field_manager=MANAGER) as client:
            for resource in (MODELS, ROUNDS, VALIDATORS):
                found[namespace] += [{**each, "kind": resource.kind} for each in await client.list(resource)]
    return found
