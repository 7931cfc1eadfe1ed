"""Calls whose function is named between marks, before a JSON object of arguments or as its only member.

[TOOL_CALLS]f[ARGS]{"a": 1}, [TOOL_CALLS]f{"a": 1}                       Mistral
<｜tool▁call▁begin｜>f<｜tool▁sep｜>{"a": 1}<｜tool▁call▁end｜>              DeepSeek
<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{"a": 1}     Kimi K2
<|channel|>commentary to=functions.f <|constrain|>json<|message|>{...}   gpt-oss
>>>f⏎{"a": 1}                                                            Functionary
<|tools_prefix|>[{"f": {"a": 1}}]<|tools_suffix|>                        Apertus
<|plamo:begin_tool_name:plamo|>f<|plamo:end_tool_name:plamo|>...{"a": 1} PLaMo 3
f⏎{"a": 1}                                                               GLM-4
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bitagent_evaluator.parsing.calls import AnswerError, Call, Calls, collect_calls, named_call
from bitagent_evaluator.parsing.json import TOOL_SPACE, call_object, find_json_values

CALL_MARKS = frozenset(
    {
        "[TOOL_CALLS]",
        "[ARGS]",
        "[CALL_ID]",
        "<tool_call>",
        "</tool_call>",
        "<arg_key>",
        "</arg_key>",
        "<arg_value>",
        "</arg_value>",
        "<｜tool▁call▁begin｜>",
        "<｜tool▁sep｜>",
        "<｜tool▁call▁end｜>",
        "<|tool_call_begin|>",
        "<|tool_call_argument_begin|>",
        "<|tool_call_end|>",
        "<|channel|>",
        "<|constrain|>",
        "<|message|>",
        "<|call|>",
        "<|recipient|>",
        "<|content|>",
        "<start_function_call>",
        "<end_function_call>",
        "<escape>",
        "<|tool_call>",
        "<tool_call|>",
        '<|"|>',
        "<|tools_prefix|>",
        "<|tools_suffix|>",
    }
)
"""Marks between which a function is named. Some tokenizers have them as special tokens; without them the name of a
function could not be found in an answer."""

_NAME = r"([^\s\[\]{}<>|｜]{1,256})"
_OF_MISTRAL = r"([^\s\[\]{}\"']{1,256})(?:\[CALL_ID\][^\s\[\]{}]{0,64})?"
_MISTRAL = re.compile(rf"\[TOOL_CALLS\]\s{{0,8}}{_OF_MISTRAL}\s{{0,8}}(?:\[ARGS\]|(?=\{{))")
_MISTRAL_UNMARKED = re.compile(rf"\A\s{{0,8}}{_OF_MISTRAL}\[ARGS\]")
"""Where a server has taken the mark away that is a special token."""
_MARKED = tuple(
    re.compile(pattern)
    for pattern in (
        rf"<｜tool▁call▁begin｜>(?:function<｜tool▁sep｜>)?{_NAME}(?:<｜tool▁sep｜>|\n```json)",
        rf"<\|tool_call_begin\|>\s{{0,8}}{_NAME}\s{{0,8}}<\|tool_call_argument_begin\|>",
        rf"<\|channel\|>[a-z]{{1,16}}(?:<\|recipient\|>| )to={_NAME}[^\n{{}}]{{0,64}}<\|message\|>",
        rf"to={_NAME}<\|channel\|>[^\n{{}}]{{0,64}}<\|message\|>",
        rf"<\|recipient\|>\s{{0,8}}{_NAME}\s{{0,8}}<\|content\|>",
        rf"<\|plamo:begin_tool_name:plamo\|>{_NAME}<\|plamo:end_tool_name:plamo\|>[^{{}}]{{0,200}}<\|plamo:msg\|>",
        rf"(?m:^)>>>{_NAME}\n",
    )
)
_NEXT_OF_FUNCTIONARY = ">>>"
_TOOLS_START, _TOOLS_END = "<|tools_prefix|>", "<|tools_suffix|>"
_TO_THE_USER = frozenset({"all", "user"})
"""Recipients in Functionary's form that are not functions: what follows is prose."""
_NUMBER = re.compile(r":\d{1,4}$")
"""Kimi's number of a call, after the name of its function."""
_PLAIN = re.compile(r"\s{0,8}([\w.-]{1,256})[ \t]{0,8}\n\s{0,8}(?=\{)")


def parse_mistral_calls(text: str) -> Calls:
    """Parse `[TOOL_CALLS]f[ARGS]{"a": 1}`, once or several times, as Mistral's tokenizers since v11 write it.

    Without `[ARGS]`, as some of its models write, an object has to follow the name. Raises AnswerError, also if one
    call of several cannot be read.
    """
    starts = list(_MISTRAL.finditer(text)) or list(_MISTRAL_UNMARKED.finditer(text))
    if not starts:
        raise AnswerError("no [TOOL_CALLS] with a name and arguments")
    return _calls(text, starts)


def parse_named_calls(text: str) -> Calls:
    """Parse the calls of DeepSeek, Kimi K2, gpt-oss, Functionary, Apertus and GLM-4. Raises AnswerError.

    GLM-4 has no marks: the answer is a name alone on its line and one JSON object, and nothing else. Raises
    AnswerError also if one call of several cannot be read.
    """
    plain = _PLAIN.match(text)
    if plain is not None and f"\n{_NEXT_OF_FUNCTIONARY}" in text:  # The prompt ends with the mark of the first call.
        text = _NEXT_OF_FUNCTIONARY + text.lstrip()
    for marked in _MARKED:
        if starts := list(marked.finditer(text)):
            calls = _calls(text, starts)
            if not calls:
                raise AnswerError("marks of a call, with a text for the user alone")
            return calls
    if _TOOLS_START in text:
        return _members(text)
    if plain is None:
        raise AnswerError("no name of a function before its arguments")
    values = find_json_values(text[plain.end() :])
    if len(values) != 1 or not text.rstrip().endswith("}"):
        raise AnswerError("more than one object after the name of a function", position=plain.end())
    return [json_call(plain[1], text[plain.end() :], position=plain.end())]


def _calls(text: str, starts: Sequence[re.Match[str]]) -> Calls:
    ends = [start.start() for start in starts[1:]] + [len(text)]
    return [
        json_call(_NUMBER.sub("", start[1].removeprefix(TOOL_SPACE)), text[start.end() : end], position=start.end())
        for start, end in zip(starts, ends, strict=True)
        if start[1] not in _TO_THE_USER
    ]


def _members(text: str) -> Calls:
    """Return the calls of Apertus: objects whose only member is a function's name, in lists between marks."""
    calls: Calls = []
    position = 0
    for part in text.split(_TOOLS_START)[1:]:
        position = text.index(part, position)
        try:
            values = find_json_values(part.partition(_TOOLS_END)[0])
        except AnswerError as error:
            error.position += position
            raise
        found = collect_calls(values, _member)
        if not found and [] not in values:
            raise AnswerError(f"no object with a function's name after {_TOOLS_START}", position=position)
        calls += found
    if not calls:
        raise AnswerError(f"no call after {_TOOLS_START}")
    return calls


def _member(item: dict[str, Any]) -> Call | None:
    if len(item) != 1:
        return call_object(item)
    ((name, arguments),) = item.items()
    return call_object({"name": name, "arguments": arguments})


def json_call(name: str, content: str, *, position: int) -> Call:
    """Return the call of a function with the one JSON object in `content`; without arguments if there is nothing.

    Raises AnswerError with `position` added to its own.
    """
    try:
        values = find_json_values(content) if content.strip() else [{}]
    except AnswerError as error:
        error.position += position
        raise
    call = named_call(name, values[0]) if len(values) == 1 else None
    if call is None:
        raise AnswerError(f"the call of {name[:80]} has no object of arguments", position=position)
    return call
