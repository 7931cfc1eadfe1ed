"""References of JSON Schema (`{"$ref": "#/$defs/Place"}`) in a function's parameters, replaced by what they name.

Libraries that make schemas of classes, such as pydantic, write each class once, under `$defs`. BFCL's form has no place
for definitions, so a model would be shown a name without its meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitagent_evaluator.tasks.rows.base import RowSkipped, RowSkipReason

_DEFINITIONS = ("$defs", "definitions")
_REFERENCE = "$ref"
_MAX_RESOLVED = 512
"""Most references that are replaced in one description: definitions may name each other, and double at every level."""
_MAX_DEPTH = 64
MAX_ADDED = 1 << 18
"""Most characters that definitions may have together, each as often as it is referred to: a few large ones make
megabytes."""


def without_references(parameters: Mapping[str, Any], *, of: str = "") -> dict[str, Any]:
    """Return a schema with all its local references replaced. `of` is the name of its function.

    A reference to a definition that it is a part of keeps only the type and the description. Raises RowSkipped for a
    reference that names nothing here, and for too many or too much text in place of them.
    """
    resolver = _Resolver(parameters, of)
    is_schema = "properties" in parameters  # otherwise an argument may be called `definitions`
    rest = {name: value for name, value in parameters.items() if not is_schema or name not in _DEFINITIONS}
    resolved: dict[str, Any] = resolver.resolved(rest, ())
    return resolved


class _Resolver:
    """Replaces the references of one schema."""

    def __init__(self, root: Mapping[str, Any], name: str) -> None:
        self._root = root
        self._name = name
        self._replaced = 0
        self._added = 0

    def resolved(self, value: Any, inside: tuple[str, ...], depth: int = 0) -> Any:
        """Return a part of the schema without references; `inside` are those that are being replaced around it."""
        if inside:
            self._count(value)
        if depth > _MAX_DEPTH:  # A task may not be so deep; that is checked, and counted, where it is made.
            return value
        if isinstance(value, list):
            return [self.resolved(item, inside, depth + 1) for item in value]
        if not isinstance(value, dict):
            return value
        named = value.get(_REFERENCE)
        if not isinstance(named, str):
            return {name: self.resolved(member, inside, depth + 1) for name, member in value.items()}
        self._replaced += 1
        if self._replaced > _MAX_RESOLVED:
            raise RowSkipped(RowSkipReason.TOO_MANY_REFERENCES, repr(self._name))
        beside = {name: member for name, member in value.items() if name != _REFERENCE}
        definition = self._find(named)
        if named in inside:
            definition = {name: definition[name] for name in ("type", "description") if name in definition}
        found: dict[str, Any] = self.resolved({**definition, **beside}, (*inside, named), depth + 1)
        return found

    def _count(self, value: Any) -> None:
        """Count a part of a definition. Raises RowSkipped once there are too many characters."""
        self._added += len(value) if isinstance(value, str) else 1
        if isinstance(value, dict):
            self._added += sum(len(name) for name in value)
        if self._added > MAX_ADDED:
            raise RowSkipped(RowSkipReason.TOO_MANY_REFERENCES, repr(self._name))

    def _find(self, reference: str) -> dict[str, Any]:
        """Return what `#/$defs/Place` names. Raises RowSkipped if nothing here has the name."""
        found: Any = self._root
        start, *path = reference.split("/")
        for part in path if start == "#" else ():
            found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        if not path or start != "#" or not isinstance(found, dict) or found is self._root:
            raise RowSkipped(RowSkipReason.BAD_FUNCTIONS)
        return found
