"""Calls whose function, and often each argument, has a tag: Llama 3, Qwen3-Coder, GLM, MiniMax, DeepSeek, Kimi K3.

<function=f>{"a": 1}</function>
<function=f><parameter=a>1</parameter></function>
<tool_call>f<arg_key>a</arg_key><arg_value>1</arg_value></tool_call>
<invoke name="f"><parameter name="a">1</parameter></invoke>
<invoke name="f"><a>1</a></invoke>
<|open|>call tool="f"<|sep|><|open|>argument key="a" type="integer"<|sep|>1<|close|>argument<|sep|>

Arguments are one JSON object, or a tag each. A tag's value is text without a type: the description in `functions`
(BFCL's form) decides, as in the tool parsers that vLLM has for these models. The last closing tags may be missing. If
one call of several cannot be read, neither can the answer.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Mapping, Sequence
from typing import Any

from bitagent_evaluator.parsing.calls import AnswerError, Call, Calls
from bitagent_evaluator.parsing.named_calls import json_call
from bitagent_evaluator.parsing.typed_values import is_plain_text, parameter_schemas, parameter_types, typed_value

_FUNCTION = re.compile(r"<function=([^<>\s=]{1,256})>")
_FUNCTION_END = re.compile(r"</function>")
_PARAMETER = re.compile(r"<parameter=([^<>\s=]{1,256})>()")
_PARAMETER_END = re.compile(r"</parameter>")

_SPACE = r"[\w|｜:-]{0,32}"
"""A name space of tags: `minimax:`, `｜DSML｜`, `steptml:`."""
_ATTRIBUTE = r"\s?name\s?=\s?[\"']?([^\"'<>]{1,256}?)[\"']?((?:\s{1,4}[\w:-]{1,32}=[^<>]{0,64})?)\s{0,4}/?>"
"""The attribute `name`, with or without quotation marks, and what follows it."""
_INVOKE = re.compile(rf"<{_SPACE}\s?(?:invoke|function){_ATTRIBUTE}")
_INVOKE_END = re.compile(rf"</{_SPACE}\s?(?:invoke|function)>")
_NAMED = re.compile(rf"<{_SPACE}\s?(?:parameter|param){_ATTRIBUTE}")
_NAMED_END = re.compile(rf"</{_SPACE}\s?(?:parameter|param)>")
_OPENED = re.compile(r"<\|open\|>\s?call\s+tool=\"([^\"<>]{1,256})\"[^<>]{0,64}<\|sep\|>")
_OPENED_END = re.compile(r"<\|close\|>\s?call\s?<\|sep\|>")
_ARGUMENT = re.compile(r"<\|open\|>\s?argument\s+key=\"([^\"<>]{1,256})\"([^<>]{0,64})<\|sep\|>")
_ARGUMENT_END = re.compile(r"<\|close\|>\s?argument\s?<\|sep\|>")
_ARE_TEXT = ('string="true"', 'type="string"')
"""What DeepSeek and Kimi write in the tag of a parameter whose value is a text, whatever its description says."""
_ELEMENT = re.compile(r"\s{0,64}<([A-Za-z_][\w.-]{0,255})>")
_ELEMENT_TAG = re.compile(r"<(/?)([A-Za-z_][\w.-]{0,255})>")
_BLANKS = re.compile(r"\s{0,64}")
_ITEM = "item"
_MINIMAX = "]<]minimax[>["
"""What MiniMax-M3 writes before each tag."""
_MAX_NESTING = 16

_BLOCK_START, _BLOCK_END = "<tool_call>", "</tool_call>"
_NAME = re.compile(r"\s{0,8}([^\s<>{}()\[\]\"]{1,256})\s{0,8}")
"""Without brackets: `<tool_call>f(a=1)</tool_call>` is Python's notation, which another reader knows."""
_KEY = re.compile(r"<arg_key>([^<>]{1,256})</arg_key>\s{0,8}<arg_value>()")
_VALUE_END = re.compile(r"</arg_value>")
_OTHER_TAGS = re.compile(r"<(/?)(?:ifm\|)?(tool_call|tool_sep|arg_key|arg_value)(?::\w{1,32})?>")
"""The same tags in Hunyuan's and K2 Horizon's spelling, `<arg_key:6124c78e>` and `<ifm|arg_key>`."""
_SEPARATOR = "<tool_sep>"
"""What Hunyuan writes after the name."""


def parse_function_tags(text: str, functions: Sequence[Mapping[str, Any]] = ()) -> Calls:
    """Parse `<function=f>` with JSON or `<parameter=a>` in it. Raises AnswerError."""
    starts = list(_FUNCTION.finditer(text))
    if not starts:
        raise AnswerError("no <function=...> tag")
    return [
        _call(name, content, functions, (_PARAMETER, _PARAMETER_END), position=at)
        for name, content, at in _parts(text, starts, _FUNCTION_END)
    ]


def parse_invoke_tags(text: str, functions: Sequence[Mapping[str, Any]] = ()) -> Calls:
    """Parse `<invoke name="f">`, in any name space, with JSON, `<parameter name="a">` or elements in it.

    Raises AnswerError.
    """
    text = text.replace(_MINIMAX, "")
    for opening, closing, tags in (
        (_INVOKE, _INVOKE_END, (_NAMED, _NAMED_END)),
        (_OPENED, _OPENED_END, (_ARGUMENT, _ARGUMENT_END)),
    ):
        if starts := list(opening.finditer(text)):
            return [
                _elements(name, content, functions) or _call(name, content, functions, tags, position=at)
                for name, content, at in _parts(text, starts, closing)
            ]
    raise AnswerError('no <invoke name="..."> tag')


def parse_argument_tags(text: str, functions: Sequence[Mapping[str, Any]] = ()) -> Calls:
    """Parse the blocks of GLM-4.5: a name, and each argument as `<arg_key>` and `<arg_value>`. Raises AnswerError."""
    text = _OTHER_TAGS.sub(r"<\1\2>", text).replace(_SEPARATOR, "\n")
    before, *blocks = text.split(_BLOCK_START)
    if not blocks:
        raise AnswerError(f"no {_BLOCK_START} block")
    calls: Calls = []
    position = len(before)
    for block in blocks:
        position += len(_BLOCK_START)
        content, _, _ = block.partition(_BLOCK_END)
        name = _NAME.match(content)
        if name is None or (content[name.end() :] and not _KEY.match(content, name.end())):
            is_json = content.lstrip().startswith(("{", "["))  # Its own reader knows more of it.
            reason = f"a {_BLOCK_START} block without a name and <arg_key>"
            raise AnswerError(reason, position=0 if is_json else position)
        calls.append(_tagged(name[1], content, functions, (_KEY, _VALUE_END)))
        position += len(block)
    return calls


def _parts(text: str, starts: Sequence[re.Match[str]], closing: re.Pattern[str]) -> list[tuple[str, str, int]]:
    """Return name, content and position of each opening tag's call."""
    ends = [start.start() for start in starts[1:]] + [len(text)]
    return [
        (start[1], closing.split(text[start.end() : end], maxsplit=1)[0], start.end())
        for start, end in zip(starts, ends, strict=True)
    ]


_Tags = tuple[re.Pattern[str], re.Pattern[str]]
"""The opening tag of a parameter, with its name and its attributes, and the closing one."""


def _call(name: str, content: str, functions: Sequence[Mapping[str, Any]], tags: _Tags, *, position: int) -> Call:
    if not tags[0].search(content):
        return json_call(name, content, position=position)
    return _tagged(name, content, functions, tags)


def _elements(name: str, content: str, functions: Sequence[Mapping[str, Any]]) -> Call | None:
    """Return the call whose arguments are elements of their names, `<a>1</a>`; None if the content is not that."""
    found = _children(content)
    if not found:
        return None
    schemas = parameter_schemas(name, functions)
    return {name: {key: _element_value(value, schemas.get(key)) for key, value in found}}


def _children(content: str) -> list[tuple[str, str]]:
    """Return names and contents of the elements that a text consists of; none if it has anything else.

    An element may be within one of its own name.
    """
    ends = _element_ends(content)
    found, position = [], 0
    while (element := _ELEMENT.match(content, position)) and (end := ends.get(element.end())) is not None:
        found.append((element[1], content[element.end() : end]))
        blanks = _BLANKS.match(content, end + len(f"</{element[1]}>"))
        position = blanks.end() if blanks else len(content)
    return found if position == len(content) else []


def _element_ends(content: str) -> dict[int, int]:
    """Return where the content of each element ends, by where it begins: at the closing tag of its own level.

    A tag that is not closed on its level, such as one in a text, is so at the first closing tag after it.
    """
    ends: dict[int, int] = {}
    opened: dict[str, list[int]] = {}
    closed: dict[str, list[int]] = {}
    for tag in _ELEMENT_TAG.finditer(content):
        name = tag[2]
        if not tag[1]:
            opened.setdefault(name, []).append(tag.end())
            continue
        closed.setdefault(name, []).append(tag.start())
        if opened.get(name):
            ends[opened[name].pop()] = tag.start()
    for name, starts in opened.items():
        closings = closed.get(name, [])
        ends |= {start: closings[later] for start in starts if (later := bisect(closings, start)) < len(closings)}
    return ends


def _element_value(text: str, schema: object, depth: int = 0) -> Any:
    """Return the value of an element: of a list its items, of an object its members, each by its own description."""
    described = schema if isinstance(schema, Mapping) else {}
    kind = described.get("type")
    children = _children(text) if depth < _MAX_NESTING and not is_plain_text(kind) else []
    if not children:
        return typed_value(text, kind)
    if all(key == _ITEM for key, _ in children):
        return [_element_value(value, described.get("items"), depth + 1) for _, value in children]
    members = described.get("properties")
    members = members if isinstance(members, Mapping) else {}
    return {key: _element_value(value, members.get(key), depth + 1) for key, value in children}


def _tagged(name: str, content: str, functions: Sequence[Mapping[str, Any]], tags: _Tags) -> Call:
    opening, closing = tags
    parameters = list(opening.finditer(content))
    if not parameters:
        return {name: {}}
    types = parameter_types(name, functions)
    ends = [parameter.start() for parameter in parameters[1:]] + [len(content)]
    return {
        name: {
            parameter[1].strip(): typed_value(
                closing.split(content[parameter.end() : end], maxsplit=1)[0],
                "string" if any(mark in parameter[2] for mark in _ARE_TEXT) else types.get(parameter[1].strip()),
            )
            for parameter, end in zip(parameters, ends, strict=True)
        }
    }
