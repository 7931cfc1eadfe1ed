"""Render docs/reference.md from the schemas that the API server gets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bitagent_crds.conditions import ConditionType, Fault, Reason
from bitagent_crds.schema import API_VERSION, Resource, manifest

_OPEN = {
    "conditions[].type": "[condition](#conditions)",
    "conditions[].reason": "[reason](#reasons)",
    "results[].reason": "[reason](#reasons)",
    "failures[].reason": "[reason](#reasons)",
}
"""Fields whose values have their own table; a definition does not list them, because later versions add some."""


def _type(schema: dict[str, Any], path: str) -> str:
    if link := next((link for end, link in _OPEN.items() if path.endswith(end)), None):
        return link
    if enum := schema.get("enum"):
        return " \\| ".join(f"`{v}`" for v in enum if v != "")
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'], f'{path}[]')}"
    if "additionalProperties" in schema:
        return "map of string"
    return str(schema.get("format") or schema.get("type", "integer or string"))


def _bounds(schema: dict[str, Any]) -> str:
    parts = []
    if "minimum" in schema or "maximum" in schema:
        parts.append(f"{schema.get('minimum', '')}..{schema.get('maximum', '')}")
    limits = (("maxLength", "≤ {} characters"), ("maxItems", "≤ {} items"), ("maxProperties", "≤ {} entries"))
    for key, text in limits:
        if key in schema:
            parts.append(text.format(schema[key]))
    if schema.get("default") not in (None, "", [], {}) and not isinstance(schema.get("default"), dict):
        parts.append(f"default `{schema['default']}`")
    return ", ".join(parts)


def _rows(schema: dict[str, Any], path: str) -> Iterator[str]:
    required = schema.get("required", ())
    for name, child in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        star = " *" if name in required else ""
        description = str(child.get("description", "")).replace("\n", " ").replace("|", "\\|")
        yield f"| `{here}`{star} | {_type(child, here)} | {description} | {_bounds(child)} |"
        yield from _rows(child, here)
        yield from _rows(child.get("items", {}), f"{here}[]")


def _rules(schema: dict[str, Any], path: str) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        yield f"- `{path}`: {rule['message']}"
    for name, child in schema.get("properties", {}).items():
        yield from _rules(child, f"{path}.{name}")
        yield from _rules(child.get("items", {}), f"{path}.{name}[]")


def _conditions() -> Iterator[str]:
    yield "| condition | kind | holds when |"
    yield "|---|---|---|"
    for condition in ConditionType:
        yield f"| `{condition}` | {condition.kind} | {condition.meaning} |"


def _reasons() -> Iterator[str]:
    yield "The fault is where a failure comes from:"
    yield ""
    for fault in Fault:
        yield f"- {fault}: {fault.meaning}"
    yield ""
    yield "| reason | fault | meaning |"
    yield "|---|---|---|"
    for reason in Reason:
        yield f"| `{reason}` | {reason.fault} | {reason.meaning} |"


def page(kinds: tuple[type[Resource], ...]) -> str:
    """Return the page, byte for byte what is committed as docs/reference.md."""
    out = [
        "# Field reference",
        "",
        "Generated from the models in `crds/bitagent_crds` by `make crds`.",
        f"All kinds are `{API_VERSION}`, namespaced, category `bitagent`.",
        "A star marks required fields. The API server writes defaults into objects, but not inside lists, where they",
        "are part of a field's meaning: a list stays as it was applied.",
    ]
    for kind in kinds:
        schema = manifest(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        out += ["", f"## {kind.crd.kind} ({', '.join(kind.crd.short_names)})", "", str(schema["description"])]
        for part in ("spec", "status"):
            out += ["", f"### {part}", "", "| field | type | meaning | bounds |", "|---|---|---|---|"]
            out += _rows(schema["properties"][part], part)
            if rules := list(dict.fromkeys(_rules(schema["properties"][part], part))):
                out += ["", "Rules that the API server enforces:", "", *rules]
    out += ["", "## Conditions", "", *_conditions(), "", "## Reasons", "", *_reasons(), ""]
    return "\n".join(out)
