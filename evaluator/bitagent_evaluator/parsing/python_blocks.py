"""Python calls between marks, after a lead (`led_calls`), in a fence, or one a line: OLMo 3, LFM2, Llama 4, Gemma 3.

<function_calls>⏎f(a=1)⏎g(b=2)⏎</function_calls>
<|tool_call_start|>[f(a=1)]<|tool_call_end|>
<|python_start|>[f(a=1)]<|python_end|>
```tool_code⏎print(default_api.f(a=1))⏎```
"""

from __future__ import annotations

import re

from bitagent_evaluator.parsing.calls import AnswerError, Calls
from bitagent_evaluator.parsing.led_calls import has_call_marks, led_blocks
from bitagent_evaluator.parsing.python import parse_python

MAX_LINES = 256
_MARKS = (
    ("<function_calls>", "</function_calls>"),
    ("<|tool_call_start|>", "<|tool_call_end|>"),
    ("<|python_start|>", "<|python_end|>"),
    ("<tool_call>", "</tool_call>"),
    ("<tool_code>", "</tool_code>"),
)
_FENCE = re.compile(r"```(?:tool_code|tool_call|python|py)[ \t]{0,8}\n")
_FENCE_END = "```"
_CALL = re.compile(r"[\s\[]{0,16}(?:print\()?[A-Za-z_][\w.]{0,255}\(")
_API = "default_api."
"""The name space in which Gemma and Gemini show functions."""
_END = re.compile(r"(?:\s{0,8}(?:<[|｜][^<>\s]{1,32}[|｜]>|</s>|<end_of_turn>|<eos>)){1,4}\s{0,8}\Z")
"""Marks of an answer's end that a server or a recorded answer kept."""
_PRINT = re.compile(r"print\((.*)\)", re.DOTALL)


def parse_python_blocks(text: str) -> Calls:
    """Parse Python calls in blocks. Raises AnswerError, also if one of several cannot be read.

    Whether a function is described decides nothing: otherwise one text were a call where its function is offered, and
    none where it was removed. A fence, or lines without a mark, are an answer only if there is nothing but calls; a
    lead that is a word counts only where neither is one.
    """
    text = _END.sub("", text)
    for start, end in _MARKS:
        if start in text:
            blocks = [part.partition(end)[0] for part in text.split(start)[1:]]
            return [call for block in blocks for call in _calls(block)]
    if has_call_marks(text) and (found := _led(text)):
        return found
    try:
        return _fences_or_lines(text)
    except AnswerError as error:
        if not error.refused and (found := _led(text)):
            return found
        raise


def _led(text: str) -> Calls:
    """Return the calls after leads; none if one of them cannot be read, as in a program or prose."""
    try:
        return [call for block in led_blocks(text) for call in _calls(block)]
    except AnswerError as error:
        if error.refused:
            raise
        return []


def _fences_or_lines(text: str) -> Calls:
    fences = _FENCE.split(text)[1:]
    blocks = [fence.partition(_FENCE_END)[0] for fence in fences] or [text]
    if not all(_CALL.match(block) for block in blocks):
        raise AnswerError("no block of Python that begins with a call")
    try:
        found = [call for block in blocks for call in _calls(block)]
    except AnswerError as error:  # A program, which need not be an answer.
        raise AnswerError(str(error), position=error.position) from None
    if not found:
        raise AnswerError("a block of Python without calls")
    return found


def _calls(block: str) -> Calls:
    content = block.strip()
    if "\n" not in content and (printed := _PRINT.fullmatch(content)):
        content = printed[1]
    try:
        return _unqualified(parse_python(content))
    except AnswerError as error:
        if error.refused:
            raise
    return _lines(content)


def _lines(content: str) -> Calls:
    lines = [line.strip() for line in content.split("\n") if line.strip()]
    if len(lines) > MAX_LINES:
        raise AnswerError(f"a block of {len(lines)} lines, more than {MAX_LINES}")
    found: Calls = []
    for line in lines:
        printed = _PRINT.fullmatch(line)
        found += parse_python(printed[1] if printed else line)
    return _unqualified(found)


def _unqualified(calls: Calls) -> Calls:
    return [{name.removeprefix(_API): arguments for name, arguments in call.items()} for call in calls]
