"""Function descriptions of other conventions into BFCL's form.

Known are OpenAI's `{"type": "function", "function": {...}}` and its inside, JSON Schema or BFCL's own types, and arguments without a schema
around them, `{"city": {"type": "str", "required": true}}`, as BitAgent (`arguments`) and xLAM (`parameters`) write them. What a
description says in words stays as it is; types get BFCL's names, because the official checker knows no others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from bitagent_evaluator.tasks.rows.reader import Reason, RowSkipped

_TYPES = {
    **dict.fromkeys(("string", "str", "text", "date", "datetime", "time", "char", "email", "url", "enum"), "string"),
    **dict.fromkeys(("integer", "int", "long", "int32", "int64"), "integer"),
    **dict.fromkeys(("float", "number", "double", "num", "decimal"), "float"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(("array", "list", "sequence", "iterable", "set"), "array"),
    **dict.fromkeys(("tuple",), "tuple"),
    **dict.fromkeys(("dict", "object", "dictionary", "mapping", "map"), "dict"),
}
_ANY = "any"
"""What the checker takes for a type that says nothing: it compares with the ground truth alone."""
_GENERIC = re.compile(r"(\w+)\[(.*)\]", re.DOTALL)
_MAX_DEPTH = 32


def functions_of(data: Any) -> list[dict[str, Any]]:
    """All descriptions, in BFCL's form and in their order; of two of one name the first.

    `data` is a list, one description, or either as JSON text. Raises RowSkipped where something in it is no description.
    """
    if isinstance(data, str):
        try:
            data = json.loads(data) if data.strip() else []
        except (ValueError, RecursionError):
            raise RowSkipped(Reason.BAD_FUNCTIONS) from None
    if isinstance(data, dict):
        data = [data]
    if data is None:
        return []
    if not isinstance(data, list):
        raise RowSkipped(Reason.BAD_FUNCTIONS)
    functions: dict[str, dict[str, Any]] = {}
    for description in data:
        function = _function(description)
        functions.setdefault(function["name"], function)
    return list(functions.values())


def _function(data: Any) -> dict[str, Any]:
    if isinstance(data, dict) and isinstance(data.get("function"), dict):
        data = data["function"]
    if not isinstance(data, dict) or not isinstance(data.get("name"), str) or not data["name"].strip():
        raise RowSkipped(Reason.BAD_FUNCTIONS)
    parameters = data.get("parameters")
    if parameters is None:
        parameters = data.get("arguments")
    if isinstance(parameters, str):
        parameters = functions_json(parameters)
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, dict):
        raise RowSkipped(Reason.BAD_FUNCTIONS)
    properties, required = _with_schema(parameters) if _has_schema(parameters) else _without_schema(parameters)
    return {
        "name": data["name"].strip(),
        "description": _text(data.get("description")),
        "parameters": {"type": "dict", "properties": properties, "required": required},
    }


def functions_json(text: str) -> Any:
    """Parameters that came as JSON text. Raises RowSkipped."""
    try:
        return json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        raise RowSkipped(Reason.BAD_FUNCTIONS) from None


def _has_schema(parameters: Mapping[str, Any]) -> bool:
    """Whether there is a JSON Schema around the arguments. An argument may be called `properties` or `type`: its value is a schema then."""
    if "properties" in parameters:
        inner = parameters["properties"]
        return inner is None or (isinstance(inner, dict) and all(isinstance(value, dict) for value in inner.values()))
    return isinstance(parameters.get("type"), str)


def _with_schema(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    properties = {name: _schema(schema) for name, schema in (parameters.get("properties") or {}).items()}
    return properties, _names(parameters.get("required"), properties)


def _without_schema(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """BitAgent says `required` with each argument; where nobody says it, an argument is required that has no default and is not called optional."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, schema in parameters.items():
        if not isinstance(schema, dict):
            raise RowSkipped(Reason.BAD_FUNCTIONS)
        said = schema.get("required")
        properties[name] = _schema(
            {key: value for key, value in schema.items() if not isinstance(said, bool) or key != "required"}
        )
        if (
            said
            if isinstance(said, bool)
            else "default" not in schema and "optional" not in str(schema.get("type")).lower()
        ):
            required.append(name)
    return properties, required


def _names(required: Any, properties: Mapping[str, Any]) -> list[str]:
    listed: Iterable[Any] = required if isinstance(required, list) else ()
    return list(dict.fromkeys(name for name in listed if isinstance(name, str) and name in properties))


def _schema(data: Any, depth: int = 0) -> dict[str, Any]:
    """A type with all types in it renamed; everything else (enum, default, limits) as it was, in its order."""
    if not isinstance(data, dict):
        data = {"type": data} if isinstance(data, str) else {}
    if depth > _MAX_DEPTH:
        raise RowSkipped(Reason.BAD_FUNCTIONS)
    kind, items = _kind(data, depth)
    schema = {"type": kind} | {key: value for key, value in data.items() if key not in ("anyOf", "oneOf", "allOf")}
    schema["type"] = kind
    if "description" in schema:
        schema["description"] = _text(schema["description"])
    if isinstance(data.get("properties"), dict):
        schema["properties"] = {name: _schema(inner, depth + 1) for name, inner in data["properties"].items()}
    elif "properties" in schema:
        del schema["properties"]
    if kind in ("array", "tuple"):
        given = data.get("items", items)
        schema["items"] = _schema(given[0] if isinstance(given, list) and given else given, depth + 1)
    return schema


def _kind(data: Mapping[str, Any], depth: int) -> tuple[str, Any]:
    """BFCL's name of a schema's type, and what a list of it holds where the type itself says so (`List[int]`)."""
    if depth > _MAX_DEPTH:
        raise RowSkipped(Reason.BAD_FUNCTIONS)
    said = data.get("type")
    for member in ("anyOf", "oneOf", "allOf"):
        if said is None and isinstance(data.get(member), list):
            options = [option for option in data[member] if isinstance(option, dict) and option.get("type") != "null"]
            return _kind(options[0], depth + 1) if options else (_ANY, None)
    if isinstance(said, list):
        said = next((kind for kind in said if kind != "null"), None)
    if not isinstance(said, str):
        return ("dict" if isinstance(data.get("properties"), dict) else "array" if "items" in data else _ANY), None
    return _named(said, depth)


def _named(said: str, depth: int) -> tuple[str, Any]:
    if depth > _MAX_DEPTH:
        raise RowSkipped(Reason.BAD_FUNCTIONS)
    text = re.split(r"[,|]\s*(?:optional|none|null)\b", said.strip(), flags=re.IGNORECASE)[0].strip()
    generic = _GENERIC.fullmatch(text)
    if generic is None:
        return _TYPES.get(text.lower(), _ANY), None
    outer, inner = generic.group(1).lower(), generic.group(2)
    if outer == "optional":
        return _named(inner, depth + 1)
    kind = _TYPES.get(outer, _ANY)
    return kind, {"type": inner.split(",")[0].strip() if kind == "tuple" else inner}


def _text(description: Any) -> str:
    return description if isinstance(description, str) else "" if description is None else str(description)
