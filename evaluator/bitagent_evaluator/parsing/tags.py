"""Calls whose function, and often each argument, has a tag: Llama 3, Qwen3-Coder, GLM, MiniMax, DeepSeek.

<function=f>{"a": 1}</function>
<function=f><parameter=a>1</parameter></function>
<tool_call>f<arg_key>a</arg_key><arg_value>1</arg_value></tool_call>
<invoke name="f"><parameter name="a">1</parameter></invoke>

Arguments are one JSON object, or a tag each. A tag's value is text without a type: the description in `functions`
(BFCL's form) decides, as in the tool parsers that vLLM has for these models. The last closing tags may be missing. If
one call of several cannot be read, neither can the answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bitagent_evaluator.parsing.calls import AnswerError, Call, Calls
from bitagent_evaluator.parsing.named_calls import json_call
from bitagent_evaluator.parsing.typed_values import parameter_types, typed_value

_FUNCTION = re.compile(r"<function=([^<>\s=]{1,256})>")
_FUNCTION_END = re.compile(r"</function>")
_PARAMETER = re.compile(r"<parameter=([^<>\s=]{1,256})>()")
_PARAMETER_END = re.compile(r"</parameter>")

_SPACE = r"[\w|｜:-]{0,32}"
"""A name space of tags: `minimax:`, `｜DSML｜`, `steptml:`."""
_INVOKE = re.compile(rf"<{_SPACE}(?:invoke|function) name=[\"']([^\"'<>]{{1,256}})[\"'][^<>]{{0,64}}>")
_INVOKE_END = re.compile(rf"</{_SPACE}(?:invoke|function)>")
_NAMED = re.compile(rf"<{_SPACE}(?:parameter|param) name=[\"']([^\"'<>]{{1,256}})[\"']([^<>]{{0,64}})>")
_NAMED_END = re.compile(rf"</{_SPACE}(?:parameter|param)>")
_IS_TEXT = 'string="true"'
"""What DeepSeek writes in the tag of a parameter whose value is a text, whatever its description says."""

_BLOCK_START, _BLOCK_END = "<tool_call>", "</tool_call>"
_NAME = re.compile(r"\s{0,8}([^\s<>{}()\[\]\"]{1,256})\s{0,8}")
"""Without brackets: `<tool_call>f(a=1)</tool_call>` is Python's notation, which another reader knows."""
_KEY = re.compile(r"<arg_key>([^<>]{1,256})</arg_key>\s{0,8}<arg_value>()")
_VALUE_END = re.compile(r"</arg_value>")


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
    """Parse `<invoke name="f">`, in any name space, with JSON or `<parameter name="a">` in it. Raises AnswerError."""
    starts = list(_INVOKE.finditer(text))
    if not starts:
        raise AnswerError('no <invoke name="..."> tag')
    return [
        _call(name, content, functions, (_NAMED, _NAMED_END), position=at)
        for name, content, at in _parts(text, starts, _INVOKE_END)
    ]


def parse_argument_tags(text: str, functions: Sequence[Mapping[str, Any]] = ()) -> Calls:
    """Parse the blocks of GLM-4.5: a name, and each argument as `<arg_key>` and `<arg_value>`. Raises AnswerError."""
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
                "string" if _IS_TEXT in parameter[2] else types.get(parameter[1].strip()),
            )
            for parameter, end in zip(parameters, ends, strict=True)
        }
    }
