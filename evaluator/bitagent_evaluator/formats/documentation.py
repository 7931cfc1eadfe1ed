"""Function descriptions as the leaderboard shows them to models: with a hint on the language, and Java and JavaScript types in words.

A model answers Java and JavaScript tasks with source text for every argument, so every parameter is shown as a string whose
description names the real type. The checker judges by the description in the task, which keeps the real types.
"""

from __future__ import annotations

import json
from typing import Any

from bitagent_crds.results import Language

_SYNTAX = {Language.PYTHON: "Python 3", Language.JAVA: "Java 8 SDK", Language.JAVASCRIPT: "JavaScript"}
_LISTS = {Language.JAVA: ("ArrayList", "Array"), Language.JAVASCRIPT: ("array",)}


def documented(functions: list[dict[str, Any]], language: Language) -> list[dict[str, Any]]:
    """Copies of the descriptions, in the order and wording of the official prompts."""
    return [_function(function, language) for function in functions]


def _function(function: dict[str, Any], language: Language) -> dict[str, Any]:
    hint = f" Note that the provided function is in {_SYNTAX[language]} syntax."
    shown = {**function, "description": function.get("description", "") + hint}
    if language is Language.PYTHON:
        return shown
    parameters = function["parameters"]
    properties = {name: _as_source_text(schema, language) for name, schema in parameters["properties"].items()}
    return {**shown, "parameters": {**parameters, "properties": properties}}


def _as_source_text(schema: dict[str, Any], language: Language) -> dict[str, Any]:
    kind, name = schema["type"], language.value
    if kind == "any":
        text = f" This parameter can be of any type of {name} object in string representation."
    else:
        text = f" This is {name} {kind} type parameter in string representation."
    dropped = set()
    if kind in _LISTS[language]:
        text += f" The list elements are of type {schema['items']['type']}; they are not in string representation."
        dropped.add("items")
    if language is Language.JAVASCRIPT and kind == "dict" and "properties" in schema:
        entries = json.dumps(schema["properties"])
        text += f" The dictionary entries have the following schema; they are not in string representation. {entries}"
        dropped.add("properties")
    changed = {"description": schema.get("description", "") + text, "type": "string"}
    return {key: changed.get(key, value) for key, value in schema.items() if key not in dropped} | changed
