"""Calls in an assistant's text, in whatever marks: read, or refused, never taken for prose.

A text is prose if it has nothing that only a call has. That is a mark of some format, a call of any function with an
argument that has a name, an object of JSON that names a function, or the name of a described function where a call has
it: before a bracket or arguments, in JSON, after `name:`, as a tag, or alone; in any case, and with any separators. A
text that is nothing but a call is one whatever it names. What is called may be described by another name, or not at
all: a model that calls the described function would fail a task for which no call is right (decision 060).
"""

from __future__ import annotations

import contextlib
import html
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from bitagent_evaluator.parsing import FORMS_OF_TEMPLATES, AnswerError, AnswerSyntax
from bitagent_evaluator.parsing import parse_calls as parse_answer_calls
from bitagent_evaluator.parsing.thinking import STARTS_OF_THINKING, strip_thinking
from bitagent_evaluator.tasks.rows.base import RowSkipped, RowSkipReason
from bitagent_evaluator.tasks.rows.calls import PlainCall, check_keywords, parse_call, parse_calls
from bitagent_evaluator.tasks.rows.glaive_calls import parse_glaive_call
from bitagent_evaluator.tasks.rows.notation import parse_value

_MARK = re.compile(
    r"[<\[]\s{0,4}\|?/?\s{0,4}(?:tool|function)[\s_]{0,4}(?:calls?|code|use)(?![a-z])|<function=|<\|python_tag\|>"
    r"|functools\s{0,4}\[|[\"'](?:tool_calls|function_call|arguments|parameters|action_input|tool_name)[\"']\s{0,4}:"
    r"|<arg_key>|invoke name=|<function name=|<｜tool▁|to=functions\.|<\|recipient\|>|^>>>\w|<start_function_call>"
    r"|<\|python_start\|>|```tool_code|^[ \t*]{0,8}Action[ _]?Input[ \t*]{0,4}:|✿ARGS✿|<TOOLCALL>"
    r"|<\|tools_prefix\|>|<<<api_call>>>|<<function>>|<bot_end>",
    re.IGNORECASE | re.MULTILINE,
)
"""What only a call has. Half a call has it too."""
_UNDESCRIBED = re.compile(
    r"(?<![\w.])[^\W\d][\w.]{0,64}\(\s{0,4}[^\W\d]\w{0,64}\s{0,4}=\s{0,4}(?:[\"'\d\[{-]|(?:true|false|none|null)\b)"
    r"|[\"'](?:tool|function|action|api|(?:function|api)_?name)[\"']\s{0,4}:\s{0,4}[\"'][^\W\d]",
    re.IGNORECASE,
)
"""A call whatever it names: `send_mail(to="x")`, `{"tool": "send_mail"`."""
_NAMED = (
    r"(?<!\w){name}[*`]{{0,3}}(?:\s{{0,4}}[({{]|\[|\s{{0,4}}(?:[-=]>|→|<\w))"
    r"|[\"']{name}[\"']\s{{0,4}}(?:[:}}\]]|,\s{{0,4}}[{{\[])|[{{\[:]\s{{0,4}}[\"']{name}[\"']"
    r"|(?<!\w){name}[\"'`]?\s{{0,4}}:\s{{0,4}}(?:[\"'({{\[]|\n[ \t]{{0,16}}[\w-]{{1,64}}:)"
    r"|(?<!\w){name}\s{{1,4}}(?:--\w|\w{{1,64}}\s{{0,4}}=)"
    r"|</?{name}[\s/>]"
    r"|(?i:\b(?:action|tool|function|call|name)[\"'`]?\s{{0,4}}[:=]\s{{0,4}}[\"'`]?){name}(?!\w)"
    r"|\A[\W_]{{0,16}}{name}[\W_]{{0,16}}\Z"
)
"""The name of a function where a call has it."""
_SEPARATORS = re.compile(r"[\W_]+|(?<=[a-z])(?=[A-Z])")
"""What is between the words of a name: `get_weather`, `get-weather`, `getWeather`."""
_ALONE = re.compile(
    r"\W{0,16}(?:\[\s{0,4}[^\W\d][\w. -]{0,64}|[^\W\d][\w.-]{0,64})\(.*\)[\W_]{0,16}", re.DOTALL | re.IGNORECASE
)
"""A text that is nothing but `f(…)` or `[f(…), g(…)]`."""
_FENCE = re.compile(r"\s*```\w{0,16}\s(.*)```\s*", re.DOTALL)
_BLOCK_START = re.compile(r"<\s{0,4}(?:tool|function)[\s_]{0,4}calls?\s{0,4}>", re.IGNORECASE)
_BLOCK_END = re.compile(r"<\s{0,4}/\s{0,4}(?:tool|function)[\s_]{0,4}calls?\s{0,4}>", re.IGNORECASE)
_END = re.compile(r"\s{0,16}(?:<\|(?:endoftext|im_end|eot_id|end)\|>|</s>)\s{0,16}\Z")
"""A mark of the answer's end that a dataset kept."""
_SYNTAXES = (AnswerSyntax.ARGUMENT_TAGS, *FORMS_OF_TEMPLATES, AnswerSyntax.FUNCTION_PARAMS, AnswerSyntax.PYTHON)
_TAGS = ("<function=", "<arg_key>", "invoke name=")
"""Tags in a block, which its own readers do not know."""


def calls_in_text(text: str, functions: Sequence[Mapping[str, Any]]) -> list[PlainCall] | None:
    """Return the calls in an assistant's text, in whatever marks; None if it is prose.

    `functions` are the descriptions, in BFCL's form. Raises RowSkipped if the text has what only a call has, and cannot
    be read.
    """
    text = _END.sub("", strip_thinking(text))
    if not has_sign_of_call(text, functions) and not _is_a_call_alone(text):
        return None
    _, *blocks = _BLOCK_START.split(text)
    blocks = [_BLOCK_END.split(block)[0].strip() for block in blocks]
    if blocks and not any(tag in block for block in blocks for tag in _TAGS):
        return [call for block in blocks for call in _block_calls(block)]
    try:
        found = parse_answer_calls(text, _SYNTAXES, functions)
    except AnswerError:
        found = []
    if not found and (calls := parse_calls(text)):  # such as a dict of Python
        return calls
    if not found:
        raise RowSkipped(RowSkipReason.BAD_CALL)
    check_keywords(text, (name for call in found for name in call))
    return [_plain(name, arguments) for call in found for name, arguments in call.items()]


def has_sign_of_call(text: str, functions: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a text has what only a call has; also one that is escaped as HTML, or in other forms of letters.

    `functions` are the descriptions, in BFCL's form.
    """
    if _MARK.search(text):
        return True
    text = unicodedata.normalize("NFKC", html.unescape(text))
    return any(sign.search(text) for sign in (_MARK, _UNDESCRIBED)) or _names_a_function(text, functions)


def said(text: str) -> str:
    """Return what a text says after its thoughts; empty if it breaks off in them."""
    answer = strip_thinking(text).strip()
    return "" if answer.startswith(STARTS_OF_THINKING) else _END.sub("", answer)


def _block_calls(block: str) -> list[PlainCall]:
    for parse in (parse_call, parse_glaive_call):
        with contextlib.suppress(RowSkipped):
            return [parse(block)]
    return parse_calls(block)


def _plain(name: str, arguments: Mapping[str | None, Any]) -> PlainCall:
    if not name or None in arguments:
        raise RowSkipped(RowSkipReason.BAD_CALL)
    return PlainCall(name, {key: value for key, value in arguments.items() if key is not None})


def _names_a_function(text: str, functions: Sequence[Mapping[str, Any]]) -> bool:
    folded = _folded(text)
    names = [str(function["name"]) for function in functions]
    found = (_name_pattern(name) for name in names if name in text or ((own := _folded(name)) and own in folded))
    return any(re.search(_NAMED.format(name=pattern), text, re.IGNORECASE) for pattern in found)


def _folded(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold()


def _name_pattern(name: str) -> str:
    """Return a pattern of a name in any of its spellings."""
    words = [re.escape(word) for word in _SEPARATORS.split(name) if word]
    spelled = r"[\W_]{0,2}".join(words)
    return f"(?:{re.escape(name)}|{spelled})" if words else re.escape(name)


def _is_a_call_alone(text: str) -> bool:
    fenced = _FENCE.fullmatch(text)
    text = fenced[1] if fenced is not None else text
    if _ALONE.fullmatch(text):
        return True
    try:
        value = parse_value(text) if text.lstrip()[:1] in ("{", "[") else None
    except ValueError:
        return False
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict) for item in value))
