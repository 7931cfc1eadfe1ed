"""Format `ChatTemplate`: the model's own template gets the functions as `tools`, in OpenAI's form.

BFCL's type names become JSON Schema's by the package's own table, at every depth, because templates and the models behind them were
made for those. Names stay as they are: the answer must name the task's function.
"""

from __future__ import annotations

from typing import Any

from bfcl_eval.constants.type_mappings import GORILLA_TO_OPENAPI

from bitagent_crds.results import Task
from bitagent_evaluator.answers import AnswerSyntax
from bitagent_evaluator.formats.chat import Chat
from bitagent_evaluator.formats.documentation import documented


class ChatTemplate:
    """Functions as tools of the model's chat template."""

    syntaxes = (
        AnswerSyntax.PYTHON,
        AnswerSyntax.TOOL_CALL_BLOCKS,
        AnswerSyntax.TOOL_CALLS,
        AnswerSyntax.JSON_LIST,
    )
    uses_template = True
    stop_tokens = ()

    def chat(self, task: Task) -> Chat:
        """Messages as they are, functions as tools."""
        functions = documented(task.functions, task.language)
        return Chat(messages=task.messages, tools=[openai_tool(function) for function in functions])


def openai_tool(function: dict[str, Any]) -> dict[str, Any]:
    """A BFCL function description in OpenAI's form."""
    parameters = json_schema(function["parameters"]) | {"type": "object"}
    return {"type": "function", "function": {**function, "parameters": parameters}}


def json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A BFCL parameter schema with JSON Schema's type names; unknown types and a missing type count as `string`."""
    kind = schema.get("type", "string")
    out = {**schema, "type": GORILLA_TO_OPENAPI.get(kind, "string")}
    if kind == "float":
        out |= {"format": "float", "description": schema.get("description", "") + " This is a float type value."}
    if isinstance(schema.get("properties"), dict):
        out["properties"] = {name: json_schema(child) for name, child in schema["properties"].items()}
    for member in ("items", "additionalProperties"):
        if isinstance(schema.get(member), dict):
            out[member] = json_schema(schema[member])
    return out
