"""Chats as data: which messages are the task, and which calls the chat answers them with.

The messages before the first call are the task, that call and those beside it its ground truth. A chat without any
call is a task for which no call is right, but only if its answer is there and is prose: a call that cannot be read is
never taken for no call, nor is an answer that is missing. Neither is a chat that has the result of a call, or a message
of which nothing is known: what was not read may be the call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bitagent_evaluator.tasks.rows.base import RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.call_texts import calls_in_text, has_sign_of_call, said
from bitagent_evaluator.tasks.rows.calls import PlainCall, parse_calls
from bitagent_evaluator.tasks.rows.notation import parse_value

ROLES: Mapping[str, str] = {
    **dict.fromkeys(("user", "human"), "user"),
    **dict.fromkeys(("assistant", "gpt", "model", "ai", "bot", "chatgpt"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("tool", "function", "observation", "ipython", "environment"), "tool"),
    **{
        f"{kind}_{what}": "tool"
        for kind in ("tool", "function", "tool_call", "function_call")
        for what in ("response", "result", "output")
    },
}
"""Names of roles in other conventions, as `_role` returns them."""

_CALL = re.compile(r"(?:tool|function)_?(?:calls?|use)")
"""Members of messages that have calls."""
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_RESULT = re.compile(r"\s*<\|?(?:tool|function)_?(?:response|result|output)", re.IGNORECASE)
"""Beginning of a user's message that is the result of a call, as some chat templates write it."""
_WITHOUT_CALLS = frozenset({"role", "from", "refusal", "thinking", "thought", "reasoning", "reasoning_content"})
"""Members of an assistant's message that are no place for a call, whatever they say of functions."""
_CALL_PART = re.compile(r"(?:\w{1,32}_)?(?:tool|function|mcp)_?(?:calls?|use)")
"""Roles of messages whose content is a call, and types of the parts of a content that are calls, in snake case."""
_ENDS_STEP = re.compile(r"step_start|(?:\w{1,32}_)?(?:result|output|response)")
"""Types of parts after which a model had the results of its calls."""
_CALL_IDS = ("toolCallId", "tool_call_id")
"""Members of such parts in the messages of Vercel's SDK, whose type may be `tool-NAME`."""
_CALL_MEMBERS = ("functionCall", "function_call", "toolUse")
"""Members of such parts that have the call, as Gemini and Bedrock write them."""
_CONTENTS = ("content", "value", "parts")
"""Members of a message that have its text or its parts."""


def parse_messages(data: Any) -> list[Any]:
    """Return a list of messages, given as such or as a text. Raises RowSkipped if it is neither."""
    if isinstance(data, str):
        try:
            data = parse_value(data)
        except ValueError:
            raise RowSkipped(RowSkipReason.NO_QUESTION) from None
    if not isinstance(data, list):
        raise RowSkipped(RowSkipReason.NO_QUESTION)
    return data


def convert_messages(messages: Iterable[Any]) -> list[dict[str, Any]]:
    """Return messages `{"role", "content"}` up to the last one of the user, with roles renamed by `ROLES`.

    Raises RowSkipped if a message has no text or an unknown role, or the user says nothing.
    """
    found = [(_role(message), message) for message in messages]
    while found and found[-1][0] != "user":
        found.pop()
    contents = [_content(message) for _, message in found]
    if not contents or not (contents[-1] or "").strip():
        raise RowSkipped(RowSkipReason.NO_QUESTION)
    converted = []
    for (role, _), content in zip(found, contents, strict=True):
        if content is None:
            raise RowSkipped(RowSkipReason.NO_QUESTION)
        if role not in ROLES.values():
            raise RowSkipped(RowSkipReason.UNKNOWN_ROLE)
        converted.append({"role": role, "content": content})
    return converted


def split_chat(
    messages: Sequence[Any], functions: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[PlainCall]]:
    """Return the messages of the task, and the calls that answer them; no calls if the chat has none.

    `functions` are the descriptions, in BFCL's form. Raises RowSkipped.
    """
    for at, message in enumerate(messages):
        calls = calls_of(message, functions)
        if not calls:
            continue
        for following in messages[at + 1 :]:
            more = calls_of(following, functions)
            if not more:
                break
            calls += more
        return convert_messages(messages[:at]), calls
    at = next((at for at, message in enumerate(messages) if _role(message) == "assistant"), len(messages))
    question = convert_messages(messages[:at])
    if at == len(messages) or not said(_content(messages[at]) or ""):
        raise RowSkipped(RowSkipReason.NO_ANSWER)
    for message in messages:
        _check_prose(message)
    return question, []


def calls_of(message: Any, functions: Sequence[Mapping[str, Any]]) -> list[PlainCall]:
    """Return the calls of a message; none if it makes none. Raises RowSkipped if they cannot be read."""
    role, content = _role(message), _member(message, *_CONTENTS)
    if _CALL_PART.fullmatch(role):
        if not (calls := parse_calls(content if any(name in message for name in _CONTENTS) else message)):
            raise RowSkipped(RowSkipReason.NO_ANSWER)
        return calls
    if role != "assistant":
        return []
    for name, value in message.items():
        if _CALL.fullmatch(_snake_case(name)) and not _is_nothing(value) and (calls := parse_calls(value)):
            return calls
    if isinstance(content, Mapping):
        return parse_calls(content)
    if isinstance(content, list) and (parts := _first_step(content)):
        return parse_calls([_call_part(part) for part in parts])
    if found := calls_in_text(_content(message) or "", functions):
        return found
    _check_other_members(message, functions)
    return []


def answered_calls(message: Any, functions: Sequence[Mapping[str, Any]]) -> list[PlainCall]:
    """Return the calls of an assistant's message; none if it is prose. Raises RowSkipped if it is neither."""
    calls = calls_of(message, functions)
    if not calls and not said(_content(message) or ""):
        raise RowSkipped(RowSkipReason.NO_ANSWER)
    return calls


def _check_prose(message: Any) -> None:
    """Raise RowSkipped if a message of a chat without calls may be a call, or a sign that there was one."""
    role, content = _role(message), _member(message, *_CONTENTS)
    if role not in ROLES.values():
        raise RowSkipped(RowSkipReason.UNKNOWN_ROLE)
    if role == "assistant" and content is None:
        raise RowSkipped(RowSkipReason.NO_ANSWER)
    if role == "tool" or (isinstance(content, str) and role == "user" and _RESULT.match(content)):
        raise RowSkipped(RowSkipReason.BAD_CALL)


def _check_other_members(message: Mapping[str, Any], functions: Sequence[Mapping[str, Any]]) -> None:
    """Raise RowSkipped if a member that is not read may have the call of an assistant's message that is prose."""
    read = {*_WITHOUT_CALLS, next((name for name in _CONTENTS if message.get(name) is not None), "value")}
    others = {
        name: value
        for name, value in message.items()
        if name not in read and not _is_nothing(value) and not _CALL.fullmatch(_snake_case(name))
    }
    try:
        text = json.dumps(others, ensure_ascii=False, default=str) if others else ""
    except RecursionError:
        raise RowSkipped(RowSkipReason.BAD_CALL) from None
    if others and has_sign_of_call(text.replace('\\"', '"'), functions):
        raise RowSkipped(RowSkipReason.BAD_CALL)


def _member(message: Any, *names: str) -> Any:
    if not isinstance(message, dict):
        raise RowSkipped(RowSkipReason.NO_QUESTION)
    return next((message[name] for name in names if message.get(name) is not None), None)


def _role(message: Any) -> str:
    """The role of a message by its usual name; one that is not known as it is, in snake case."""
    role = _snake_case(str(_member(message, "role", "from", "type") or ""))
    return ROLES.get(role, role)


def _snake_case(name: str) -> str:
    return re.sub(r"[\s-]+", "_", _CAPITAL.sub("_", name.strip())).lower()


def _is_nothing(value: Any) -> bool:
    return not value or (isinstance(value, str) and value.strip().lower() in ("", "[]", "{}", "null", "none"))


def _is_call_part(part: Any) -> bool:
    if not isinstance(part, dict):
        return False
    kind = _snake_case(str(part.get("type")))
    has_id = any(name in part for name in _CALL_IDS) and not kind.endswith("_result")
    return (
        has_id
        or _CALL_PART.fullmatch(kind) is not None
        or any(isinstance(part.get(name), dict) for name in _CALL_MEMBERS)
    )


def _first_step(content: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the parts that are calls, up to the first result: a call after it was made when the result was known."""
    parts: list[dict[str, Any]] = []
    for part in content:
        if _is_call_part(part):
            parts.append(part)
        elif parts and isinstance(part, dict) and _ENDS_STEP.fullmatch(_snake_case(str(part.get("type")))):
            break
    return parts


def _call_part(part: dict[str, Any]) -> Any:
    """Return the call of a part; of one whose type alone has the function's name, with that."""
    kind = str(part.get("type"))
    if any(name in part for name in _CALL_IDS) and kind.startswith("tool-") and kind != "tool-call":
        return {"name": kind.removeprefix("tool-"), **part}
    return next((part[name] for name in _CALL_MEMBERS if isinstance(part.get(name), dict)), part)


def _content(message: Any) -> str | None:
    """The text of a message, also if it is in parts; None if there is none. Raises RowSkipped for an image or sound."""
    content = _member(message, *_CONTENTS)
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    parts = []
    for part in content:
        text = part if isinstance(part, str) else part.get("text") if isinstance(part, dict) else None
        if not isinstance(text, str):
            raise RowSkipped(RowSkipReason.NOT_TEXT)
        parts.append(text)
    return "".join(parts)
