"""A task as a chat for an OpenAI-compatible endpoint, and the endpoint's answer as the text that validators read. Pure.

Validators score calls as text, `[name(argument="value")]`. An endpoint either writes them itself, from a system message
that lists the tools (`Prompt`), or calls tools by its own syntax (`Native`), which is then written out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from bitagent_wire.messages import QueryTask, Role, Tool

INSTRUCTION = (
    "You can call functions to answer the user. If one or more of them help, answer only with the calls, in the form "
    '[name(argument="value", other=1), second(argument=true)], without any other text; strings are quoted, and '
    "arguments that the user gives no value for and that are not required are left out. If none of them can help, or a "
    "required argument is missing, say so in one sentence and call none. The functions as JSON:\n"
)


class ToolMode(StrEnum):
    """How an endpoint learns of tools."""

    PROMPT = "prompt"
    NATIVE = "native"


_ROLES: Mapping[Role, str] = {
    Role.SYSTEM: "system",
    Role.USER: "user",
    Role.ASSISTANT: "assistant",
    Role.TOOL_CALL: "assistant",
    Role.TOOL_RESPONSE: "user",
}


def chat(task: QueryTask, mode: ToolMode) -> list[dict[str, str]]:
    """Return the messages of the chat."""
    found = [{"role": _ROLES[turn.role], "content": _text(turn.content)} for turn in task.messages]
    if not task.tools or mode is ToolMode.NATIVE:
        return found
    listed = json.dumps([function(tool) for tool in task.tools], ensure_ascii=False)
    system = {"role": "system", "content": INSTRUCTION + listed}
    if found and found[0]["role"] == "system":
        system["content"] = f"{found[0]['content']}\n\n{system['content']}"
        found = found[1:]
    return [system, *found]


def function(tool: Tool) -> dict[str, Any]:
    """Return a tool as a function with a JSON schema."""
    properties, required = {}, []
    for name, argument in tool.arguments.items():
        members = argument.model_dump(mode="json")
        if members.pop("required", False):
            required.append(name)
        properties[name] = members
    schema = {"type": "object", "properties": properties, "required": required}
    return {"name": tool.name, "description": tool.description, "parameters": schema}


def calls(found: Sequence[tuple[str, str]]) -> str:
    """Return tool calls, as name and JSON of the arguments, as text; one without readable arguments has none."""
    return f"[{', '.join(_call(name, arguments) for name, arguments in found)}]"


def _call(name: str, arguments: str) -> str:
    try:
        values = json.loads(arguments)
    except (ValueError, RecursionError):
        values = {}
    members = values.items() if isinstance(values, dict) else ()
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in members)})"


def _text(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
