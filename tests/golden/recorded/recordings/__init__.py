"""What the programs did before they were restructured, observed from outside and compared with `expected/*.json`.

One module per subject, each with `observe(folder) -> JSON`. They start the installed programs by name, read YAML files,
and import no module of the product, except `rendering` (prompts as token ids) and `metrics` (metric registries).
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol, cast

SUBJECTS = ("task_sets", "verdicts", "prompts", "crds", "commands", "metrics", "results")


class Subject(Protocol):
    """A module of this package."""

    def observe(self, folder: Path) -> dict[str, Any]:
        """What is recorded, as JSON; `folder` is empty and may be filled."""
        ...


def subject(name: str) -> Subject:
    """The module of a subject."""
    return cast(Subject, importlib.import_module(f"{__name__}.{name}"))
