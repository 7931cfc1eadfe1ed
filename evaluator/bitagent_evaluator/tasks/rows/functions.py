"""Convert function descriptions of other conventions to BFCL's form.

Supported are OpenAI's `{"type": "function", "function": {...}}` and its inner object, Anthropic's and MCP's
`input_schema`, Gemini's `functionDeclarations`, Bedrock's `toolSpec`, Cohere's `parameter_definitions`, JSON Schema
with its definitions or BFCL's own types,
and arguments without a schema around them, `{"city": {"type": "str", "required": true}}`, as BitAgent (`arguments`)
and xLAM (`parameters`) write them. Descriptions stay as they are; types get BFCL's names, the only ones the official
checker knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bitagent_evaluator.tasks.rows.base import RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.notation import parse_value
from bitagent_evaluator.tasks.rows.references import without_references

_TYPES = {
    **dict.fromkeys(("string", "str", "text", "date", "datetime", "time", "char", "email", "url", "enum"), "string"),
    **dict.fromkeys(("integer", "int", "long", "int32", "int64"), "integer"),
    **dict.fromkeys(("float", "number", "double", "num", "decimal"), "float"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(("array", "list", "sequence", "iterable", "set"), "array"),
    **dict.fromkeys(("tuple",), "tuple"),
    **dict.fromkeys(("dict", "object", "dictionary", "mapping", "map"), "dict"),
}
PARAMETERS = (
    "parameters",
    "arguments",
    "input_schema",
    "inputSchema",
    "params",
    "args",
    "parameter_definitions",
    "parametersJsonSchema",
)
"""Names of a function's parameters in different conventions, the usual ones first."""
_LISTS = ("functionDeclarations", "function_declarations")
_INNER = ("function", "toolSpec", "tool_spec")
"""Members in which the description itself is."""
_ANY = "any"
"""The checker's name of an unknown type: it compares the value with the ground truth only."""
_GENERIC = re.compile(r"(\w+)\[(.*)\]", re.DOTALL)
_MAX_DEPTH = 32


def convert_functions(data: Any) -> list[dict[str, Any]]:
    """Return all descriptions in BFCL's form, in their order; of two with the same name, the first.

    `data` is a list, one description, or any of these as JSON text. Raises RowSkipped if something in it is not a
    description.
    """
    if isinstance(data, str):
        try:
            data = parse_value(data) if data.strip() else []
        except ValueError:
            raise RowSkipped(RowSkipReason.BAD_FUNCTIONS) from None
    if isinstance(data, dict):
        data = _by_name(data) or [data]
    if data is None:
        return []
    if not isinstance(data, list):
        raise RowSkipped(RowSkipReason.BAD_FUNCTIONS)
    functions: dict[str, dict[str, Any]] = {}
    for description in _declared(data):
        function = _convert_function(description)
        functions.setdefault(function["name"], function)
    return list(functions.values())


def _declared(data: list[Any]) -> list[Any]:
    """Return the items of a list, and in place of Gemini's objects of several functions those functions."""
    found: list[Any] = []
    for item in data:
        listed = [item[name] for name in _LISTS if isinstance(item.get(name), list)] if isinstance(item, dict) else []
        found += listed[0] if listed else [item]
    return found


def _by_name(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the descriptions of an object that has them by name; none for any other object."""
    if not data or not all(isinstance(of, dict) and any(name in of for name in PARAMETERS) for of in data.values()):
        return []
    return [{"name": name, **of} for name, of in data.items() if "name" not in of or of["name"] == name]


def _convert_function(data: Any) -> dict[str, Any]:
    if isinstance(data, str):
        data = _parse_description(data)
    if isinstance(data, dict):
        data = next((data[name] for name in _INNER if isinstance(data.get(name), dict)), data)
    if not isinstance(data, dict) or not isinstance(data.get("name"), str) or not data["name"].strip():
        raise RowSkipped(RowSkipReason.BAD_FUNCTIONS)
    parameters = next((data[name] for name in PARAMETERS if data.get(name) is not None), None)
    if isinstance(parameters, str):
        parameters = _parse_description(parameters)
    if isinstance(parameters, dict) and isinstance(parameters.get("json"), dict) and len(parameters) == 1:
        parameters = parameters["json"]  # Bedrock's
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, dict):
        raise RowSkipped(RowSkipReason.BAD_FUNCTIONS)
    parameters = without_references(parameters, of=data["name"].strip())
    properties, required = _with_schema(parameters) if _has_schema(parameters) else _without_schema(parameters)
    return {
        "name": data["name"].strip(),
        "description": _as_text(data.get("description")),
        "parameters": {"type": "dict", "properties": properties, "required": required},
    }


def _parse_description(text: str) -> Any:
    """Return a description, or its parameters, given as a text. Raises RowSkipped if it is malformed."""
    try:
        return parse_value(text) if text.strip() else {}
    except ValueError:
        raise RowSkipped(RowSkipReason.BAD_FUNCTIONS) from None


def _has_schema(parameters: Mapping[str, Any]) -> bool:
    """Return whether there is a JSON Schema around the arguments.

    An argument may itself be called `properties` or `type`; its value is a schema then. Tables give every object the
    members of all rows, those of other functions as null.
    """
    if "properties" in parameters:
        inner = parameters["properties"]
        return inner is None or (
            isinstance(inner, dict) and all(of is None or isinstance(of, dict) for of in inner.values())
        )
    return isinstance(parameters.get("type"), str)


def _with_schema(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    described = (parameters.get("properties") or {}).items()
    properties = {name: _convert_schema(schema) for name, schema in described if schema is not None}
    return properties, _known_names(parameters.get("required"), properties)


def _without_schema(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return properties and required names of arguments without a schema around them.

    BitAgent states `required` with each argument. Where it is not stated, an argument is required unless it has a
    default or its type contains "optional".
    """
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, schema in parameters.items():
        if schema is None:
            continue
        if not isinstance(schema, dict):
            raise RowSkipped(RowSkipReason.BAD_FUNCTIONS)
        stated = schema.get("required")
        if isinstance(stated, bool):
            schema = {key: value for key, value in schema.items() if key != "required"}
            is_required = stated
        else:
            is_required = "default" not in schema and "optional" not in str(schema.get("type")).lower()
        properties[name] = _convert_schema(schema)
        if is_required:
            required.append(name)
    return properties, required


def _known_names(required: Any, properties: Mapping[str, Any]) -> list[str]:
    listed: Iterable[Any] = required if isinstance(required, list) else ()
    return list(dict.fromkeys(name for name in listed if isinstance(name, str) and name in properties))


def _convert_schema(data: Any, depth: int = 0) -> dict[str, Any]:
    """Return a schema with the types in it renamed; everything else (enum, default, limits) stays, in its order."""
    if not isinstance(data, dict):
        data = {"type": data} if isinstance(data, str) else {}
    if depth > _MAX_DEPTH:
        raise RowSkipped(RowSkipReason.BAD_FUNCTIONS)
    kind, items = _type_of(data, depth)
    schema = {"type": kind} | {key: value for key, value in data.items() if key not in ("anyOf", "oneOf", "allOf")}
    schema["type"] = kind
    if "description" in schema:
        schema["description"] = _as_text(schema["description"])
    if isinstance(data.get("properties"), dict):
        schema["properties"] = {
            name: _convert_schema(inner, depth + 1) for name, inner in data["properties"].items() if inner is not None
        }
    elif "properties" in schema:
        del schema["properties"]
    if kind in ("array", "tuple"):
        given = data.get("items", items)
        schema["items"] = _convert_schema(given[0] if isinstance(given, list) and given else given, depth + 1)
    return schema


def _type_of(data: Mapping[str, Any], depth: int) -> tuple[str, Any]:
    """Return BFCL's name of a schema's type, and the items of a list if the type states them (`List[int]`)."""
    if depth > _MAX_DEPTH:
        raise RowSkipped(RowSkipReason.BAD_FUNCTIONS)
    name = data.get("type")
    for member in ("anyOf", "oneOf", "allOf"):
        if name is None and isinstance(data.get(member), list):
            options = [option for option in data[member] if isinstance(option, dict) and option.get("type") != "null"]
            return _common([_type_of(option, depth + 1) for option in options], merged=member == "allOf")
    if isinstance(name, list):
        return _common([_type_of({**data, "type": kind}, depth + 1) for kind in name if kind not in ("null", None)])
    if not isinstance(name, str):
        return ("dict" if isinstance(data.get("properties"), dict) else "array" if "items" in data else _ANY), None
    return _rename_type(name, depth)


def _common(types: list[tuple[str, Any]], *, merged: bool = False) -> tuple[str, Any]:
    """Return the type of alternatives: the checker has no unions, and compares values of any type by themselves.

    The parts of `allOf` are `merged`: any of them may have the type.
    """
    known = [found for found in types if found[0] != _ANY] if merged else types
    return known[0] if len({kind for kind, _ in known}) == 1 else (_ANY, None)


def _rename_type(name: str, depth: int) -> tuple[str, Any]:
    if depth > _MAX_DEPTH:
        raise RowSkipped(RowSkipReason.BAD_FUNCTIONS)
    text = re.split(r"[,|]\s*(?:optional|none|null)\b", name.strip(), flags=re.IGNORECASE)[0].strip()
    generic = _GENERIC.fullmatch(text)
    if generic is None:
        return _TYPES.get(text.lower(), _ANY), None
    outer, inner = generic.group(1).lower(), generic.group(2)
    if outer == "optional":
        return _rename_type(inner, depth + 1)
    kind = _TYPES.get(outer, _ANY)
    return kind, {"type": inner.split(",")[0].strip() if kind == "tuple" else inner}


def _as_text(description: Any) -> str:
    return description if isinstance(description, str) else "" if description is None else str(description)
