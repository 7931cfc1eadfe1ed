"""JSON syntaxes: lists of calls (Hammer), OpenAI tool calls, and blocks of calls (Qwen, Hermes).

JSON values are read wherever they are in an answer: alone, in a fence, or between prose. Every object and array is read
from where it begins; of a repeated key the last counts. A bracket of prose, such as `[sic]`, is skipped, but a value
that begins well and then breaks off makes the whole answer unreadable: half a list of calls is not an answer.
"""

from __future__ import annotations

import ast
import json
import math
import re
import warnings
from typing import Any, NoReturn

from bitagent_evaluator.parsing.calls import AnswerError, Call, Calls, collect_calls, named_call

MAX_DEPTH = 100
"""Deepest nesting that is read; below what Python's own reader allows on any stack, and below `python.MAX_DEPTH`."""
MAX_PROSE_BRACKETS = 256
"""Most brackets in one answer that are not JSON: for each of them the whole text before it is scanned."""

_OPENING = re.compile(r"[\[{]")
_OPENED = "[{ \t\r\n"
_BLOCK_START, _BLOCK_END = "<tool_call>", "</tool_call>"
TOOL_SPACE = "functions."
_NAMES = ("name", "function_name", "tool", "function")
_ARGUMENTS = ("arguments", "parameters", "args", "params", "tool_input", "input")
"""Members of a call, the usual ones first. `{"type": "function", "function": "f", "parameters": {}}` is what Llama 3
makes of its prompt, `{"type": "tool_use", "name": "f", "input": {}}` Anthropic's, `tool` and `tool_input` LangChain's.
"""
_MAX_ENCODINGS = 2
"""How often arguments may be JSON text within JSON text."""


def parse_json_list(text: str) -> Calls:
    """Parse Hammer's syntax: `[{"name": "f", "arguments": {"a": 1}}, ...]`, or one such object. Raises AnswerError.

    `parameters` counts as `arguments`, because Llama 3's own chat template asks for it. The calls of several values in
    one answer add up, so objects on separate lines or separated by `;` are as good as a list. `[]` is an answer without
    calls.
    """
    values = find_json_values(text)
    calls = collect_calls(values, call_object)
    if not calls and [] not in values:
        raise AnswerError('no object with "name" and "arguments"', position=len(text) if values else 0)
    return calls


def parse_tool_calls(text: str) -> Calls:
    """Parse OpenAI's syntax: a message with `tool_calls`, their list, or one of them. Raises AnswerError.

        {"tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\\"a\\": 1}"}}]}

    In the list of a message a call may lack the `function` around it, as xLAM writes. `function_call`, which the API
    had before, is read like a list of one.
    """
    calls: Calls = []
    for value in find_json_values(text):
        listed = _listed_calls(value)
        calls += collect_calls([value], _tool_call) if listed is None else collect_calls([listed], _listed_call)
    if not calls:
        marked = '"tool_calls"' in text or '"function_call"' in text
        raise AnswerError('no "tool_calls" with "name" and "arguments"', position=len(text) if marked else 0)
    return calls


def _listed_calls(value: Any) -> Any:
    """The calls of a message; None for a value that is not a message with calls."""
    if not isinstance(value, dict):
        return None
    return value.get("tool_calls", value.get("function_call"))


def _tool_call(item: dict[str, Any]) -> Call | None:
    function = item.get("function")
    return call_object(function) if isinstance(function, dict) else None


def _listed_call(item: dict[str, Any]) -> Call | None:
    return _tool_call(item) or call_object(item)


def parse_tool_call_blocks(text: str) -> Calls:
    """Parse the syntax of Qwen and Hermes: one or more blocks with a call each. Raises AnswerError.

        <tool_call>
        {"name": "f", "arguments": {"a": 1}}
        </tool_call>

    Text outside the blocks is prose. The last closing tag may be missing, because some engines stop before it. A block
    may contain a list, or the same in Python's notation, `{'name': 'f'}`, which Hermes writes too. If one block of
    several cannot be read, neither can the answer.
    """
    _, *blocks = text.split(_BLOCK_START)
    if not blocks:
        raise AnswerError(f"no {_BLOCK_START} block")
    calls: Calls = []
    position = text.index(_BLOCK_START)
    for block in blocks:
        position += len(_BLOCK_START)
        content, _, _ = block.partition(_BLOCK_END)
        try:
            found = collect_calls(python_value(content), call_object)
            found = found or collect_calls(find_json_values(content), call_object)
        except AnswerError as error:
            error.position += position
            raise
        if not found:
            reason = f'a {_BLOCK_START} block without "name" and "arguments"'
            raise AnswerError(reason, position=position)
        calls += found
        position += len(block)
    return calls


def python_value(text: str) -> list[Any]:
    """Return the object or list of a text in Python's notation, as a list of one; none if it is not one.

    It has to be one that JSON can write, whose names are texts only; a tuple counts as a list. Raises AnswerError if it
    is nested too deeply.
    """
    content = text.strip()
    if not content.startswith(("{'", "[{'", "['")):
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as "\d" in a string
            tree = ast.parse(content, mode="eval")
        # A number as a name would become a text in JSON.
        names = [key for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys]
        if not all(isinstance(name, ast.Constant) and isinstance(name.value, str) for name in names):
            return []
        values: list[Any] = json.loads(json.dumps([ast.literal_eval(tree)], allow_nan=False))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return []
    _check_depth(values)
    return values


def call_object(item: dict[str, Any]) -> Call | None:
    """Return the call of `{"name": "f", "arguments": {"a": 1}}`; None for an object that is none. Raises AnswerError.

    Other names of the two members, as agents' libraries have them, count too: `_NAMES`, `_ARGUMENTS`. Arguments are an
    object or, as in OpenAI's API, JSON text of one, which some models encode twice; an empty text means none.
    `functions.`, OpenAI's name of the space of tools, is not part of a name.
    """
    arguments = next((item[member] for member in _ARGUMENTS if member in item), None)
    for _ in range(_MAX_ENCODINGS):
        if not isinstance(arguments, str):
            break
        arguments = _decoded_arguments(arguments)
    name = next((item[member] for member in _NAMES if isinstance(item.get(member), str)), None)
    return named_call(name.removeprefix(TOOL_SPACE) if isinstance(name, str) else name, arguments)


def _decoded_arguments(text: str) -> Any:
    text = text.strip()
    if not text:
        return {}
    if text.startswith('"'):
        try:
            return json.loads(text)
        except ValueError:
            return None
    return next(iter(find_json_values(text)), None)


def find_json_values(text: str) -> list[Any]:
    """Return the outermost objects and arrays in the text, in order. Raises AnswerError."""
    found: list[Any] = []
    position, skipped = 0, 0
    while opening := _OPENING.search(text, position):
        start = opening.start()
        try:
            value, position = _DECODER.raw_decode(text, start)
        except json.JSONDecodeError as error:
            skipped += 1
            if skipped > MAX_PROSE_BRACKETS:
                raise AnswerError(f"more than {MAX_PROSE_BRACKETS} brackets that are not JSON", refused=True) from None
            if text[start : error.pos].strip(_OPENED):
                raise AnswerError(f"{_what_is_wrong(text, error)}: {error}", position=error.pos) from None
            position = max(error.pos, start + 1)
        except RecursionError:
            raise _too_deep() from None
        except AnswerError as error:
            error.position = len(text)
            raise
        except ValueError as error:  # a number of thousands of digits
            raise AnswerError(f"not JSON: {error}", position=len(text)) from None
        else:
            found.append(value)
    _check_depth(found)
    return found


def _what_is_wrong(text: str, error: json.JSONDecodeError) -> str:
    at_the_end = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
    return "JSON that breaks off" if at_the_end else "JSON with a mistake"


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        _reject(number)
    return value


def _reject(number: str) -> NoReturn:
    raise AnswerError(f"{number[:40]} is not a finite number")


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_reject)


def _check_depth(values: list[Any]) -> None:
    level = values
    for _ in range(MAX_DEPTH):
        level = [
            child
            for value in level
            if isinstance(value, list | dict)
            for child in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> AnswerError:
    return AnswerError("nested too deeply", refused=True)
