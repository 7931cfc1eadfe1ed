"""The CustomResourceDefinitions without descriptions and the messages of validation rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from recordings.program import ROOT

PLACES = ("crds", "charts/*/files/crds", "charts/*/crds")
"""Where the YAML files may lie; all copies of one are the same."""


def observe(folder: Path) -> dict[str, Any]:
    """The definitions, by file name."""
    found: dict[str, Any] = {}
    for place in PLACES:
        for path in sorted(ROOT.glob(f"{place}/bitagent.io_*.yaml")):
            definition = without_words(yaml.safe_load(path.read_bytes()))
            if found.setdefault(path.stem, definition) != definition:
                raise AssertionError(f"{path} differs from another copy")
    return found


def without_words(value: Any, *, names: bool = False) -> Any:
    """Return a copy without `description` and `message` of rules; with `names` the keys are names of fields."""
    if isinstance(value, list):
        return [without_words(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    left_out = set() if names else {"description", *({"message"} if "rule" in value else ())}
    return {
        key: without_words(entry, names=key == "properties" and not names)
        for key, entry in value.items()
        if key not in left_out
    }
