"""The three kinds from a file, as `kubectl get minermodels,evalrounds,validators -o json` writes it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from bitagent_kube.cache import said
from bitagent_kube.objects import Obj
from bitagent_kube.resources import MODELS, ROUNDS, VALIDATORS
from bitagent_leaderboard.model.board import Board, Measures, board
from bitagent_leaderboard.model.reading import RoundReader, read_model, read_validator
from bitagent_leaderboard.source.manifests import due, read_round

_KINDS = frozenset(each.kind for each in (MODELS, ROUNDS, VALIDATORS))

T = TypeVar("T")

log = logging.getLogger(__name__)


class ObjectsError(Exception):
    """Raised for a file that is not a list of objects."""


def read_objects(path: Path) -> list[Obj]:
    """Return the objects of a file: a List, or one object. Raises ObjectsError."""
    try:
        content: Any = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ObjectsError(f"{path}: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("items", []), list):
        raise ObjectsError(f"{path}: it is not what `kubectl get minermodels,evalrounds,validators -o json` writes")
    found: list[Obj] = content.get("items", [content])
    return found


def by_namespace(objects: Iterable[Obj]) -> dict[str, list[Obj]]:
    """Return the objects of the three kinds by namespace, by name; those that name none are of the namespace `""`."""
    found: dict[str, list[Obj]] = {}
    for obj in objects:
        if obj.get("kind") not in _KINDS:
            continue
        metadata = obj.get("metadata")
        namespace = metadata.get("namespace") if isinstance(metadata, dict) else None
        found.setdefault(str(namespace or ""), []).append(obj)
    return {name: found[name] for name in sorted(found)}


def board_of(objects: Iterable[Obj]) -> Board:
    """Return the board of objects; one that cannot be read is logged and left out."""
    by_kind: dict[str, list[Obj]] = {}
    for obj in objects:
        by_kind.setdefault(str(obj.get("kind")), []).append(obj)
    return board(
        revision=1,
        models=_read(by_kind.get("MinerModel", ()), read_model),
        rounds=_read(by_kind.get("EvalRound", ()), RoundReader()),
        validators=_read(by_kind.get("Validator", ()), read_validator),
    )


def _read(objects: Iterable[Obj], read: Callable[[Obj], T]) -> dict[str, T]:
    found: dict[str, T] = {}
    for obj in objects:
        try:
            found[str(obj["metadata"]["name"])] = read(obj)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            log.error("%s %s is left out: %s", obj.get("kind"), obj.get("metadata", {}).get("name"), said(error))
    return found


def with_manifests(found: Board, folder: Path) -> Board:
    """Return the board with the manifests of its newest rounds."""
    measures = {each.uid: Measures(each.version, read_round(folder, each)[0]) for each in due(found, {})}
    return replace(found, revision=found.revision + 1, measures=measures)
