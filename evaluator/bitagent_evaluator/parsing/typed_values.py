"""Values that an answer writes as text without a type: the description of the parameter decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bitagent_evaluator.parsing.calls import AnswerError
from bitagent_evaluator.parsing.json import find_json_values, python_value

_PLAIN_TEXT = frozenset({"string", "str", "text", "varchar", "char", "enum", "String"})
"""Type names of parameters whose value is the text itself."""
_WORDS: Mapping[str, bool | None] = {"True": True, "False": False, "None": None}
"""Values as Python writes them."""
_CDATA, _CDATA_END = "<![CDATA[", "]]>"
"""What XML writes around a text that may have marks, as MiniCPM does."""


def parameter_schemas(name: str, functions: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the description of each parameter of a function, as far as it is in `functions` (BFCL's form)."""
    described = next((function for function in functions if function.get("name") == name), {})
    schema = described.get("parameters")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return {}
    return {key: value for key, value in properties.items() if isinstance(value, dict)}


def parameter_types(name: str, functions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the type of each parameter of a function, as far as it is described."""
    return {key: value.get("type") for key, value in parameter_schemas(name, functions).items()}


def is_plain_text(kind: object) -> bool:
    """Return whether the value of a parameter of this type is the text itself."""
    return isinstance(kind, str) and kind in _PLAIN_TEXT


def typed_value(text: str, kind: object) -> Any:
    """Return the value of a text, for a parameter of the type `kind` (None: not described).

    A value of another type than text is read as JSON if it is JSON, else as Python's list or object, as in the tool
    parsers that vLLM has for these models. One line break at the beginning and one at the end belong to the marks
    around it. JSON that exceeds a limit is a text as well: if it were refused, a text were a call where its function is
    described, and none where it was removed.
    """
    text = text.removeprefix("\n").removesuffix("\n")
    if text.strip().startswith(_CDATA) and text.rstrip().endswith(_CDATA_END):
        text = text.strip()[len(_CDATA) : -len(_CDATA_END)]
    if is_plain_text(kind):
        return text
    plain = text.strip()
    if plain in _WORDS:
        return _WORDS[plain]
    try:
        values = find_json_values(f"[{plain}]")
    except AnswerError:
        values = []
    # The value itself, if the text is one JSON value and nothing else.
    if len(values) == 1 and isinstance(values[0], list) and len(values[0]) == 1:
        return values[0][0]
    try:
        return next(iter(python_value(plain)), text)
    except AnswerError:
        return text
