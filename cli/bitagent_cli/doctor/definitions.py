"""The kinds as a cluster has them, compared with those of this version. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from bitagent_crds.evalround import EvalRound
from bitagent_crds.minermodel import MinerModel
from bitagent_crds.schema import GROUP, VERSION, Resource, manifest
from bitagent_crds.validator import Validator

KINDS: tuple[type[Resource], ...] = (MinerModel, EvalRound, Validator)
PLURALS = tuple(kind.crd.plural for kind in KINDS)


def definition_name(plural: str) -> str:
    """Return the name of a CustomResourceDefinition."""
    return f"{plural}.{GROUP}"


@cache
def own_fields(plural: str) -> frozenset[str]:
    """Return the paths of all fields of a kind in this version, such as `spec.tasks.count`."""
    kind = next(each for each in KINDS if each.crd.plural == plural)
    return fields(manifest(kind))


def fields(definition: Mapping[str, Any]) -> frozenset[str]:
    """Return the paths of all fields of a definition's version that this project uses; none if it has no such one."""
    versions = (definition.get("spec") or {}).get("versions") or []
    version = next((each for each in versions if each.get("name") == VERSION and each.get("served")), None)
    if version is None:
        return frozenset()
    return frozenset(_paths((version.get("schema") or {}).get("openAPIV3Schema") or {}))


def _paths(schema: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, member in (schema.get("properties") or {}).items():
        path = f"{prefix}.{name}" if prefix else name
        yield path
        yield from _paths(member, path)
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), Mapping):
            yield from _paths(schema[inner], prefix)


def outermost(paths: frozenset[str]) -> list[str]:
    """Return the paths that are below no other one, in order."""
    return sorted(path for path in paths if not any(path.startswith(f"{other}.") for other in paths))
