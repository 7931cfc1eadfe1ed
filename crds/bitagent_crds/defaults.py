"""Defaults of fields: which ones the API server writes into an object, and how a CEL rule reads the others.

The items of a list belong to whoever applies it. If the server added members to them, `kubectl apply` and Argo CD
would compare a list that they did not write with their own, and find a difference for ever. So the server fills in
defaults outside lists only; those inside items are in the models alone, and every reader has them from there.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def without_defaults_of_items(schema: Schema, *, listed: bool = False) -> Schema:
    """Return a structural schema without defaults inside list items; their descriptions name them instead."""
    out = dict(schema)
    if listed and "default" in out and out.pop("default") not in ("", [], {}):
        out["description"] = f"{out.get('description', '')} Default: {_text(schema['default'])}.".strip()
    if "properties" in out:
        out["properties"] = {
            name: without_defaults_of_items(child, listed=listed) for name, child in out["properties"].items()
        }
    if "items" in out:
        out["items"] = without_defaults_of_items(out["items"], listed=True)
    if isinstance(out.get("additionalProperties"), dict):
        out["additionalProperties"] = without_defaults_of_items(out["additionalProperties"], listed=listed)
    return out


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def given(path: str, default: str | int) -> str:
    """Return the CEL expression of a field of `self`, or its default where it or an object around it is absent."""
    parts = path.split(".")
    present = " && ".join(f"has(self.{'.'.join(parts[: n + 1])})" for n in range(len(parts)))
    literal = f"'{default}'" if isinstance(default, str) else str(default)
    return f"({present} ? self.{path} : {literal})"
