"""Formats that the model's chat template renders: `Bfcl`, `BitAgent`, `Hammer`, `ChatTemplate`.

`Bfcl` and `BitAgent` put the functions as JSON into the system message, with a hint on the language; answers are Python
calls. A model answers Java and JavaScript tasks with source text for every argument, so every parameter is shown as a
string whose description names the real type. The checker uses the types of the task.

`Hammer` has marked sections for tools, output form and question; the answer is a JSON list, `[]` if nothing fits. Tools
are in the short form that these models were trained on: parameters by name, `required` beside each, and a default
repeated in the description, where they look for it.

`ChatTemplate` passes the functions as `tools`, in OpenAI's form. BFCL's type names become JSON Schema's by the
bfcl-eval package's own table, at every depth, because templates and the models behind them were made for those. Names
are unchanged: an answer must name the task's function.
"""

from __future__ import annotations

import json
from typing import Any

from bfcl_eval.constants import default_prompts
from bfcl_eval.constants.type_mappings import GORILLA_TO_OPENAPI

from bitagent_crds.task_forms import Language
from bitagent_crds.task_set import PromptVariation, Task
from bitagent_evaluator.parsing import FORMS_OF_TEMPLATES, AnswerSyntax
from bitagent_evaluator.prompts.base import ChatPrompt, asks_for_calls, with_system_prompt
from bitagent_evaluator.prompts.variations import variation_prompt

_SYNTAX = {Language.PYTHON: "Python 3", Language.JAVA: "Java 8 SDK", Language.JAVASCRIPT: "JavaScript"}
_LIST_TYPES = {Language.JAVA: ("ArrayList", "Array"), Language.JAVASCRIPT: ("array",)}


def describe_functions(functions: list[dict[str, Any]], language: Language) -> list[dict[str, Any]]:
    """Return copies of the descriptions, in the order and wording of the official prompts."""
    return [_describe_function(function, language) for function in functions]


def _describe_function(function: dict[str, Any], language: Language) -> dict[str, Any]:
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
    if kind in _LIST_TYPES[language]:
        text += f" The list elements are of type {schema['items']['type']}; they are not in string representation."
        dropped.add("items")
    if language is Language.JAVASCRIPT and kind == "dict" and "properties" in schema:
        entries = json.dumps(schema["properties"])
        text += f" The dictionary entries have the following schema; they are not in string representation. {entries}"
        dropped.add("properties")
    changed = {"description": schema.get("description", "") + text, "type": "string"}
    return {key: changed.get(key, value) for key, value in schema.items() if key not in dropped} | changed


_DEFAULT = PromptVariation()
_STYLE = default_prompts.PROMPT_STYLE_TEMPLATES[_DEFAULT.style]

_SUBNET_PROMPT = (
    "You should only return the function call in tools call sections.\n"
    "If you decide to invoke any of the function(s), you MUST put it in the format of {call_format}\n"
    "You SHOULD NOT include any other text in the response.\n"
    "Here is a list of functions in JSON format that you can invoke.\n{functions}\n"
)
_SUBNET_CALL_FORMAT = "[func_name(params_name1=params_value1, params_name2=params_value2...)]"


class Bfcl:
    """The leaderboard's prompting mode, with the wording of the installed bfcl-eval package.

    Byte for byte what the package's default prompting handlers send: Python calls, functions as JSON, plain text and
    classic style, unless the task is a variation. The other formats send the same for a variation, which has its own
    instructions and its own format of calls.
    """

    syntaxes = (AnswerSyntax.PYTHON,)
    uses_template = True
    stop_tokens = ()

    def build_prompt(self, task: Task) -> ChatPrompt:
        """Return the messages with the leaderboard's instructions."""
        if not asks_for_calls(task):
            return ChatPrompt(messages=task.messages, tools=None)
        functions = describe_functions(task.functions, task.language)
        if task.variation is not None:  # the leaderboard's loader adds the language hint twice to these cases
            functions = describe_functions(functions, task.language)
        system = variation_prompt(task.variation or _DEFAULT, functions)
        return ChatPrompt(messages=with_system_prompt(task.messages, system), tools=None)


class BitAgent:
    """The BitAgent subnet's system message.

    The subnet asks in the leaderboard's words of its time: the same persona and task, answers "in tools call sections"
    as `[func(params=...)]`, the functions as one line of JSON, and nothing about several turns. Functions are shown as
    the task has them, without the leaderboard's language hints, except in Java and JavaScript, whose types a model
    would not understand otherwise.
    """

    syntaxes = (AnswerSyntax.PYTHON,)
    uses_template = True
    stop_tokens = ()

    def build_prompt(self, task: Task) -> ChatPrompt:
        """Return the messages with the subnet's instructions."""
        if task.variation is not None:
            return Bfcl().build_prompt(task)
        if not asks_for_calls(task):
            return ChatPrompt(messages=task.messages, tools=None)
        functions = task.functions
        if task.language is not Language.PYTHON:
            functions = describe_functions(functions, task.language)
        instructions = _SUBNET_PROMPT.format(call_format=_SUBNET_CALL_FORMAT, functions=json.dumps(functions))
        system = f"{_STYLE['persona']} {_STYLE['task']}\n{instructions}"
        return ChatPrompt(messages=with_system_prompt(task.messages, system), tools=None)


_INSTRUCTION = (
    "You call tools for a user. Choose from the tools below whatever answers the query, one call or several, "
    "and take the values of the arguments from the query. "
    "If no tool fits, or a required argument is not given, call none."
)
_OUTPUT = (
    "Answer with a JSON list of calls and nothing else. Give every argument in the type that its tool asks for.\n"
    '[{"name": "tool_name", "arguments": {"argument_name": "value"}}]\n'
    "If no call is to be made, answer with the empty list: []"
)


class Hammer:
    """Sections in the first message of the user."""

    # Python first: no text is whole in both syntaxes, but a Python call may hold what looks like a call in JSON.
    syntaxes = (AnswerSyntax.PYTHON, AnswerSyntax.JSON_LIST)
    uses_template = True
    stop_tokens = ()

    def build_prompt(self, task: Task) -> ChatPrompt:
        """Return the messages with the first of the user inside the sections."""
        if task.variation is not None:
            return Bfcl().build_prompt(task)
        if not asks_for_calls(task):
            return ChatPrompt(messages=task.messages, tools=None)
        tools = [_short_form(function) for function in describe_functions(task.functions, task.language)]
        head = "".join(
            _section(name, content)
            for name, content in (
                ("TASK INSTRUCTION", _INSTRUCTION),
                ("AVAILABLE TOOLS", json.dumps(tools)),
                ("FORMAT INSTRUCTION", _OUTPUT),
            )
        )
        messages = list(task.messages)
        first = next((i for i, message in enumerate(messages) if message["role"] == "user"), None)
        if first is None:
            return ChatPrompt(messages=with_system_prompt(messages, head), tools=None)
        content = head + _section("QUERY", messages[first]["content"])
        messages[first] = {**messages[first], "content": content}
        return ChatPrompt(messages=messages, tools=None)


def _section(name: str, content: str) -> str:
    return f"[BEGIN OF {name}]\n{content}\n[END OF {name}]\n\n"


def _short_form(function: dict[str, Any]) -> dict[str, Any]:
    parameters = function["parameters"]
    required = parameters.get("required", [])
    shown = {
        name: _short_parameter(schema, required=name in required)
        for name, schema in parameters.get("properties", {}).items()
    }
    return {"name": function["name"], "description": function.get("description", ""), "parameters": shown}


def _short_parameter(schema: dict[str, Any], *, required: bool) -> dict[str, Any]:
    shown = dict(schema)
    if "default" in schema:
        description = schema.get("description", "").rstrip()
        shown["description"] = f"{description} The default is {json.dumps(schema['default'])}.".lstrip()
    return {**shown, "required": True} if required else shown


class ChatTemplate:
    """Functions as tools of the model's chat template."""

    syntaxes = (
        # Marked forms first: an argument may hold what looks like a call in a form without marks.
        AnswerSyntax.PYTHON,
        AnswerSyntax.ARGUMENT_TAGS,
        AnswerSyntax.TOOL_CALL_BLOCKS,
        *FORMS_OF_TEMPLATES,
    )
    uses_template = True
    stop_tokens = ()

    def build_prompt(self, task: Task) -> ChatPrompt:
        """Return the task's messages, with its functions as tools."""
        if task.variation is not None:
            return Bfcl().build_prompt(task)
        functions = describe_functions(task.functions, task.language)
        return ChatPrompt(messages=task.messages, tools=[openai_tool(function) for function in functions])


def openai_tool(function: dict[str, Any]) -> dict[str, Any]:
    """Return a BFCL function description in OpenAI's form."""
    parameters = json_schema(function["parameters"]) | {"type": "object"}
    return {"type": "function", "function": {**function, "parameters": parameters}}


def json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a BFCL parameter schema with JSON Schema's type names; an unknown or missing type becomes `string`."""
    kind = schema.get("type", "string")
    converted = {**schema, "type": GORILLA_TO_OPENAPI.get(kind, "string")}
    if kind == "float":
        description = schema.get("description", "") + " This is a float type value."
        converted |= {"format": "float", "description": description}
    if isinstance(schema.get("properties"), dict):
        converted["properties"] = {name: json_schema(child) for name, child in schema["properties"].items()}
    for member in ("items", "additionalProperties"):
        if isinstance(schema.get(member), dict):
            converted[member] = json_schema(schema[member])
    return converted
