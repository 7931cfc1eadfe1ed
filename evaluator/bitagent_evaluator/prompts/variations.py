"""System prompts as the leaderboard varies them: wording, layout, function descriptions and the format of calls.

The wording is that of the installed bfcl-eval package; the descriptions in XML and Python are laid out here by its
rules. Prompts equal the official ones byte for byte (`tests/golden/test_bfcl_prompts.py`), peculiarities included: a
parameter's tag in XML has no commas, and a parameter without a `required` list beside it counts as required.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bfcl_eval.constants import default_prompts

from bitagent_crds.task_forms import FunctionDocFormat
from bitagent_crds.task_set import PromptVariation

_PYTHON_TYPES = {"string": "str", "number": "float", "integer": "int", "boolean": "bool"}
_LISTS, _DICTS = ("array", "list", "tuple"), ("object", "dict")


def variation_prompt(variation: PromptVariation, functions: Sequence[dict[str, Any]]) -> str:
    """Return the system prompt for functions in BFCL's form, which are shown as they are."""
    style = default_prompts.PROMPT_STYLE_TEMPLATES[variation.style]
    tag = "tool_call_with_tag" if variation.tool_call_tag else "tool_call_no_tag"
    text: str = default_prompts.PROMPT_TEMPLATE_MAPPING[variation.layout].format(
        persona=style["persona"],
        task=style["task"],
        tool_call_format=style[tag].format(
            output_format=default_prompts.OUTPUT_FORMAT_MAPPING[variation.return_format],
            param_types=default_prompts.PARAM_TYPE_MAPPING[variation.return_format],
        ),
        multiturn_behavior=style["multiturn_behavior"],
        available_tools=style["available_tools"].format(
            format=variation.function_doc_format.value,
            functions=_DOCUMENT[variation.function_doc_format](functions),
        ),
    )
    return text


def _in_json(functions: Sequence[dict[str, Any]]) -> str:
    return json.dumps(functions, indent=4)


def _in_xml(functions: Sequence[dict[str, Any]]) -> str:
    return "\n".join(map(_xml_function, functions))


def _xml_function(function: dict[str, Any]) -> str:
    parameters = "".join(_xml_parameters(function.get("parameters", {}), indent=4))
    return (
        f'<function name="{function["name"]}">\n  <desc>{function.get("description", "")}</desc>\n'
        f"  <params>\n{parameters}  </params>\n</function>\n"
    )


def _xml_parameters(schema: dict[str, Any], *, indent: int) -> Iterator[str]:
    """Yield the lines of each property of an object's schema."""
    required, space = schema.get("required"), " " * indent
    for name, parameter in schema.get("properties", {}).items():
        needed = "true" if required is None or name in required else "false"
        tag = f'<param name="{name}" type="{_xml_type(parameter)}" required="{needed}"'
        if "default" in parameter:
            tag += f' default="{parameter["default"]!r}"'
        yield f"{space}{tag.replace(',', '')}>\n{space}  <desc>{_described(parameter)}</desc>\n"
        if "properties" in parameter:
            yield f"{space}  <params>\n"
            yield from _xml_parameters(parameter, indent=indent + 4)
            yield f"{space}  </params>\n"
        yield f"{space}</param>\n"


def _xml_type(parameter: dict[str, Any]) -> str:
    kind = parameter.get("type", "string")
    items, others = parameter.get("items"), parameter.get("additionalProperties")
    if isinstance(items, dict) and "type" in items:
        return f"{kind}[{items['type']}]"
    return f"{kind}[{others.get('type', 'string')}]" if isinstance(others, dict) else str(kind)


def _in_python(functions: Sequence[dict[str, Any]]) -> str:
    return "\n\n".join(part for function in functions for part in (_python_function(function), "\n"))


def _python_function(function: dict[str, Any]) -> str:
    parameters = "".join(_python_parameters(function.get("parameters", {}), indent=8))
    arguments = f"    Args:\n{parameters}" if parameters else ""
    description = function.get("description", "")
    return f'# Function: {function["name"]}\n    """\n    {description}\n\n{arguments}    """\n'


def _python_parameters(schema: dict[str, Any], *, indent: int) -> Iterator[str]:
    """Yield the line of each property of an object's schema, nested ones after theirs."""
    for name, parameter in schema.get("properties", {}).items():
        default = f", default={parameter['default']!r}" if "default" in parameter else ""
        yield f"{' ' * indent}{name} ({_python_type(parameter)}{default}): {_described(parameter)}\n"
        yield from _python_parameters(parameter, indent=indent + 4)


def _python_type(schema: dict[str, Any]) -> str:
    kind = schema.get("type", "string")
    if kind in _LISTS and isinstance(schema.get("items"), dict):
        return f"list[{_python_type(schema['items'])}]"
    if kind in _DICTS:
        others = schema.get("additionalProperties")
        return f"dict[str, {_python_type(others)}]" if isinstance(others, dict) else "dict"
    return _PYTHON_TYPES.get(kind, str(kind))


def _described(parameter: dict[str, Any]) -> str:
    values = f" Enum values: {parameter['enum']}." if "enum" in parameter else ""
    return f"{parameter.get('description', '')}{values}"


_DOCUMENT: Mapping[FunctionDocFormat, Callable[[Sequence[dict[str, Any]]], str]] = {
    FunctionDocFormat.JSON: _in_json,
    FunctionDocFormat.XML: _in_xml,
    FunctionDocFormat.PYTHON: _in_python,
}
