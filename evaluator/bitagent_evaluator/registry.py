"""Named implementations of one interface: built-ins by import path, others by entry point.

A registry holds names only. An implementation's module is imported when it is asked for, so that listing costs nothing and a heavy or
broken plug-in harms only those who name it. Another distribution adds to a registry with an entry point in the registry's group.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any


class UnknownName(LookupError):
    """Nothing of that name is registered; the message lists what is."""


@dataclass(frozen=True)
class Registry:
    """Implementations by name."""

    what: str
    """What is registered, in the singular, for messages."""
    group: str
    """Entry-point group that other distributions add to."""
    builtin: Mapping[str, str]
    """Import paths `module:attribute` of ours. They win over entry points: nobody replaces a built-in by installing a package."""

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted({*self.builtin, *(e.name for e in entry_points(group=self.group))})

    def load(self, name: str) -> Any:
        """The implementation called `name`. Raises UnknownName, or what its import raises."""
        if path := self.builtin.get(name):
            module, _, attribute = path.partition(":")
            return getattr(importlib.import_module(module), attribute)
        found: EntryPoint | None = next(iter(entry_points(group=self.group, name=name)), None)
        if found is None:
            raise UnknownName(f"no {self.what} {name!r}; there are: {', '.join(self.names())}")
        return found.load()
