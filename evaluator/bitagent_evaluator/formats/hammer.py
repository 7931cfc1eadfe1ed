"""Format `Hammer`: tools, output form and question in marked sections, the answer a JSON list, `[]` when nothing fits.

The model's own chat template renders the messages. Tools are shown in the short form that these models were trained on: parameters by name,
`required` beside each, and a default repeated in the description, where they look for it.
"""

from __future__ import annotations

import json
from typing import Any

from bitagent_crds.results import Task
from bitagent_evaluator.answers import AnswerSyntax
from bitagent_evaluator.formats.chat import Chat, asks_for_calls, with_system_prompt
from bitagent_evaluator.formats.documentation import documented

_INSTRUCTION = (
    "You call tools for a user. Choose from the tools below whatever answers the query, one call or several, and take the values of "
    "the arguments from the query. If no tool fits, or a required argument is not given, call none."
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

    def chat(self, task: Task) -> Chat:
        """The question between its sections."""
        if not asks_for_calls(task):
            return Chat(messages=task.messages, tools=None)
        tools = [_short(function) for function in documented(task.functions, task.language)]
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
            return Chat(messages=with_system_prompt(messages, head), tools=None)
        content = head + _section("QUERY", messages[first]["content"])
        messages[first] = {**messages[first], "content": content}
        return Chat(messages=messages, tools=None)


def _section(name: str, content: str) -> str:
    return f"[BEGIN OF {name}]\n{content}\n[END OF {name}]\n\n"


def _short(function: dict[str, Any]) -> dict[str, Any]:
    parameters = function["parameters"]
    required = parameters.get("required", [])
    shown = {name: _parameter(schema, name in required) for name, schema in parameters.get("properties", {}).items()}
    return {"name": function["name"], "description": function.get("description", ""), "parameters": shown}


def _parameter(schema: dict[str, Any], required: bool) -> dict[str, Any]:
    shown = dict(schema)
    if "default" in schema:
        description = schema.get("description", "").rstrip()
        shown["description"] = f"{description} The default is {json.dumps(schema['default'])}.".lstrip()
    return {**shown, "required": True} if required else shown
