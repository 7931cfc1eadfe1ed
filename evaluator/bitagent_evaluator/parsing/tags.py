"""Calls whose function is named outside JSON: tags, as Llama 3 and Qwen3-Coder write them, and Mistral's marks.

<function=f>{"a": 1}</function>
<function=f><parameter=a>1</parameter></function>
[TOOL_CALLS]f[ARGS]{"a": 1}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bitagent_evaluator.parsing.calls import AnswerError, Call, Calls, named_call
from bitagent_evaluator.parsing.json import find_json_values

_FUNCTION = re.compile(r"<function=([^<>\s=]{1,256})>")
_FUNCTION_END = "</function>"
_PARAMETER = re.compile(r"<parameter=([^<>\s=]{1,256})>")
_PARAMETER_END = "</parameter>"
_MISTRAL_CALL = re.compile(r"\[TOOL_CALLS\]\s{0,8}([^\s\[\]{}]{1,256})(?:\[CALL_ID\][^\s\[\]{}]{0,64})?\[ARGS\]")
_PLAIN_TEXT = frozenset({"string", "str", "text", "varchar", "char", "enum", "String"})
"""Type names of parameters whose value is the text itself."""


def parse_function_tags(text: str, functions: Sequence[Mapping[str, Any]] = ()) -> Calls:
    """Parse calls in tags. Raises AnswerError, also if one call of several cannot be read.

        <function=f>{"a": 1}</function>
        <function=f><parameter=a>1</parameter></function>

    Arguments are one JSON object, or a tag each. A tag's value is text without a type: the description in `functions`
    (BFCL's form) decides, as in the tool parser that vLLM has for Qwen3-Coder. A value of another type than text is
    read as JSON if it is JSON; so is one of a parameter that is not described. One line break at the beginning and one
    at the end of a value belong to the tags. The last closing tags may be missing.
    """
    starts = list(_FUNCTION.finditer(text))
    if not starts:
        raise AnswerError("no <function=...> tag")
    ends = [start.start() for start in starts[1:]] + [len(text)]
    return [
        _call(start[1], text[start.end() : end].partition(_FUNCTION_END)[0], functions, position=start.end())
        for start, end in zip(starts, ends, strict=True)
    ]


def _call(name: str, content: str, functions: Sequence[Mapping[str, Any]], *, position: int) -> Call:
    parameters = list(_PARAMETER.finditer(content))
    if not parameters:
        return _json_call(name, content, position=position)
    types = _types(name, functions)
    ends = [parameter.start() for parameter in parameters[1:]] + [len(content)]
    return {
        name: {
            parameter[1]: _value(content[parameter.end() : end].partition(_PARAMETER_END)[0], types.get(parameter[1]))
            for parameter, end in zip(parameters, ends, strict=True)
        }
    }


def _types(name: str, functions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The type of each parameter of a function, as far as it is described."""
    described = next((function for function in functions if function.get("name") == name), {})
    schema = described.get("parameters")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return {}
    return {key: value.get("type") for key, value in properties.items() if isinstance(value, dict)}


def _value(text: str, kind: object) -> Any:
    text = text.removeprefix("\n").removesuffix("\n")
    if isinstance(kind, str) and kind in _PLAIN_TEXT:
        return text
    plain = text.strip()
    if plain in _WORDS:
        return _WORDS[plain]
    try:
        values = find_json_values(f"[{plain}]")
    except AnswerError as error:
        if error.refused:
            raise
        return text
    # The value itself, if the text is one JSON value and nothing else.
    return values[0][0] if len(values) == 1 and isinstance(values[0], list) and len(values[0]) == 1 else text


_WORDS: Mapping[str, bool | None] = {"True": True, "False": False, "None": None}
"""Values as Python writes them."""


def _json_call(name: str, content: str, *, position: int) -> Call:
    try:
        values = find_json_values(content) if content.strip() else [{}]
    except AnswerError as error:
        error.position += position
        raise
    call = named_call(name, values[0]) if len(values) == 1 else None
    if call is None:
        raise AnswerError(f"the call of {name[:80]} has no object of arguments", position=position)
    return call


def parse_mistral_calls(text: str) -> Calls:
    """Parse `[TOOL_CALLS]f[ARGS]{"a": 1}`, once or several times, as Mistral's tokenizers since v11 write it.

    Raises AnswerError, also if one call of several cannot be read.
    """
    starts = list(_MISTRAL_CALL.finditer(text))
    if not starts:
        raise AnswerError("no [TOOL_CALLS] with a name and [ARGS]")
    ends = [start.start() for start in starts[1:]] + [len(text)]
    return [
        _json_call(start[1], text[start.end() : end], position=start.end())
        for start, end in zip(starts, ends, strict=True)
    ]
