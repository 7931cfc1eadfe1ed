"""Chats as data: which messages are the task, and which calls the chat answers them with.

The messages before the first call are the task, that call and those beside it its ground truth. A chat without any
call is a task for which no call is right, but only if its answer is there and is prose: a call that cannot be read is
never taken for no call, nor is an answer that is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bitagent_evaluator.parsing import FORMS_OF_TEMPLATES, AnswerError, AnswerSyntax
from bitagent_evaluator.parsing import parse_calls as parse_answer_calls
from bitagent_evaluator.parsing.thinking import strip_thinking
from bitagent_evaluator.tasks.rows.base import RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.calls import PlainCall, parse_call, parse_calls

CALL_ROLES = frozenset({"tool call", "tool_call", "function_call", "function call"})
"""Roles of messages whose content is a call."""
ROLES: Mapping[str, str] = {
    "human": "user",
    "gpt": "assistant",
    "model": "assistant",
    "developer": "system",
    "tool response": "tool",
    "tool_response": "tool",
    "function_response": "tool",
    "function response": "tool",
    "function": "tool",
    "observation": "tool",
}
"""Names of roles in other conventions."""

_MARK = re.compile(
    r"<\s{0,4}\|?/?\s{0,4}(?:tool|function)[\s_]{0,4}(?:calls?|code)(?![a-z])|<function=|\[TOOL_CALLS\]|<\|python_tag\|>"
    r"|functools\s{0,4}\[|\"(?:tool_calls|function_call|arguments|action_input|tool_name)\"\s{0,4}:"
    r"|<arg_key>|invoke name=|<function name=|<｜tool▁|to=functions\.|<\|recipient\|>|^>>>\w|<start_function_call>"
    r"|<\|python_start\|>|```tool_code|^[ \t*]{0,8}Action[ _]?Input[ \t*]{0,4}:|✿ARGS✿|<TOOLCALL>",
    re.IGNORECASE | re.MULTILINE,
)
"""What only a call has. Half a call has it too."""
_BLOCK_START = re.compile(r"<\s{0,4}(?:tool|function)[\s_]{0,4}calls?\s{0,4}>", re.IGNORECASE)
_BLOCK_END = re.compile(r"<\s{0,4}/\s{0,4}(?:tool|function)[\s_]{0,4}calls?\s{0,4}>", re.IGNORECASE)
_SYNTAXES = (AnswerSyntax.ARGUMENT_TAGS, *FORMS_OF_TEMPLATES, AnswerSyntax.PYTHON)
_TAGS = ("<function=", "<arg_key>", "invoke name=")
"""Tags in a block, which its own readers do not know."""


def parse_messages(data: Any) -> list[Any]:
    """Return a list of messages, given as such or as JSON text. Raises RowSkipped if it is neither."""
    if isinstance(data, str):
        try:
            data = json.loads(data, strict=False)
        except (ValueError, RecursionError):
            raise RowSkipped(RowSkipReason.NO_QUESTION) from None
    if not isinstance(data, list):
        raise RowSkipped(RowSkipReason.NO_QUESTION)
    return data


def convert_messages(messages: Iterable[Any], *, roles: Mapping[str, str] = ROLES) -> list[dict[str, Any]]:
    """Return messages `{"role", "content"}` up to the last one of the user, with roles renamed by `roles`.

    Raises RowSkipped if a message has no text, or the user says nothing.
    """
    found = []
    for message in messages:
        role = _role(message)
        found.append((roles.get(role, role), message))
    while found and found[-1][0] != "user":
        found.pop()
    contents = [_content(message) for _, message in found]
    if not contents or not (contents[-1] or "").strip():
        raise RowSkipped(RowSkipReason.NO_QUESTION)
    converted = []
    for (role, _), content in zip(found, contents, strict=True):
        if content is None:
            raise RowSkipped(RowSkipReason.NO_QUESTION)
        converted.append({"role": role, "content": content})
    return converted


def _member(message: Any, *names: str) -> Any:
    if not isinstance(message, dict):
        raise RowSkipped(RowSkipReason.NO_QUESTION)
    return next((message[name] for name in names if message.get(name) is not None), None)


def _role(message: Any) -> str:
    return str(_member(message, "role", "from") or "")


def _content(message: Any) -> str | None:
    """The text of a message, also if it is in parts; None if there is none. Raises RowSkipped for an image or sound."""
    content = _member(message, "content", "value")
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    parts = []
    for part in content:
        text = part if isinstance(part, str) else part.get("text") if isinstance(part, dict) else None
        if not isinstance(text, str):
            raise RowSkipped(RowSkipReason.NOT_TEXT)
        parts.append(text)
    return "".join(parts)


def split_chat(
    messages: Sequence[Any],
    functions: Sequence[Mapping[str, Any]],
    *,
    parse_block: Callable[[str], PlainCall] = parse_call,
) -> tuple[list[dict[str, Any]], list[PlainCall]]:
    """Return the messages of the task, and the calls that answer them; no calls if the chat has none.

    `functions` are the descriptions, in BFCL's form; `parse_block` reads a marked call. Raises RowSkipped.
    """
    for at, message in enumerate(messages):
        calls = _calls(message, functions, parse_block)
        if calls is None:
            continue
        for following in messages[at + 1 :]:
            if _role(following) not in CALL_ROLES:
                break
            calls += _calls(following, functions, parse_block) or []
        return convert_messages(messages[:at]), calls
    at = next((at for at, message in enumerate(messages) if _is_answer(message)), len(messages))
    question = convert_messages(messages[:at])
    if at == len(messages) or not (_content(messages[at]) or "").strip():
        raise RowSkipped(RowSkipReason.NO_ANSWER)
    return question, []


def _is_answer(message: Any) -> bool:
    role = _role(message)
    return ROLES.get(role, role) == "assistant"


def _calls(
    message: Any, functions: Sequence[Mapping[str, Any]], parse_block: Callable[[str], PlainCall]
) -> list[PlainCall] | None:
    """Return the calls of a message; None if it makes none. Raises RowSkipped if they cannot be read."""
    if _role(message) in CALL_ROLES:
        return parse_calls(_member(message, "content", "value"))
    if not _is_answer(message):
        return None
    if listed := message.get("tool_calls") or message.get("function_call"):
        return parse_calls(listed)
    return calls_in_text(_content(message) or "", functions, parse_block=parse_block)


def calls_in_text(
    text: str, functions: Sequence[Mapping[str, Any]], *, parse_block: Callable[[str], PlainCall] = parse_call
) -> list[PlainCall] | None:
    """Return the calls in an assistant's text, in whatever marks; None if it is prose.

    Raises RowSkipped if the text has the marks of a call, or a described name with a parenthesis, and cannot be read.
    """
    text = strip_thinking(text)
    if not _MARK.search(text) and not _names_a_function(text, functions):
        return None
    _, *blocks = _BLOCK_START.split(text)
    blocks = [_BLOCK_END.split(block)[0].strip() for block in blocks]
    if blocks and not any(tag in block for block in blocks for tag in _TAGS):
        return [call for block in blocks for call in _block_calls(block, parse_block)]
    try:
        found = parse_answer_calls(text, _SYNTAXES, functions)
    except AnswerError:
        found = []
    if not found:
        raise RowSkipped(RowSkipReason.BAD_CALL)
    return [_plain(name, arguments) for call in found for name, arguments in call.items()]


def _block_calls(block: str, parse_block: Callable[[str], PlainCall]) -> list[PlainCall]:
    try:
        return [parse_block(block)]
    except RowSkipped:
        return parse_calls(block)


def _plain(name: str, arguments: Mapping[str | None, Any]) -> PlainCall:
    if not name or None in arguments:
        raise RowSkipped(RowSkipReason.BAD_CALL)
    return PlainCall(name, {key: value for key, value in arguments.items() if key is not None})


def _names_a_function(text: str, functions: Sequence[Mapping[str, Any]]) -> bool:
    return any(re.search(rf"(?<!\w){re.escape(function['name'])}\s{{0,4}}\(", text) for function in functions)
