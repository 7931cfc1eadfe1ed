"""Python calls that a word or a mark leads, after prose or alone.

<<function>>f(a=1)<<function>>g(b=2)              Gorilla OpenFunctions
<<<api_call>>>: f(a=1)⏎<<<api_provider>>>: x      Gorilla
Call: f(a=1); g(b=2)<bot_end>⏎Thought: ...        NexusRaven
I look it up:⏎f.call(a=1)                         scripts, a call on each of the last lines
The call:⏎[f(a=1)]                                 BFCL's list, as the last lines after prose
"""

from __future__ import annotations

import re

from bitagent_evaluator.parsing.calls import AnswerError, collect_calls
from bitagent_evaluator.parsing.json import call_object, find_json_values

_LEAD = re.compile(
    r"<<function>>|<<<api_call>>>\s{0,4}:?|^[ \t]{0,8}(?:Initial Answer|Call):(?=\s{0,4}\[?[A-Za-z_][\w.]{0,255}\()",
    re.MULTILINE,
)
_MARKED = ("<<function>>", "<<<api_call>>>", "<bot_end>")
"""Marks that only calls have; `Call:` is a word as well."""
_ACTION_INPUT = "Action Input:"
"""What ReAct writes before an input, which may be text of any kind."""
_KEYWORDS = re.compile(r"\s{0,4}\[?[A-Za-z_][\w.]{0,255}\(\s{0,8}(?:\)|[A-Za-z_]\w{0,255}\s{0,4}=(?!=))")
_CALL_LINE = re.compile(rf"^[ \t`]{{0,8}}{_KEYWORDS.pattern}", re.MULTILINE)
_LIST_START = re.compile(r"\n[ \t`]{0,8}(?=\[[A-Za-z_][\w.]{0,255}\()")
_END = re.compile(
    r"<bot_end>|[\s,]{0,4}<<<(?:domain|api_provider|explanation|code)>>>|\n\s{0,8}(?:Thought|Reflection|Observation):"
    r"|[\s,]{0,4}(?:<[|｜][^<>\s]{1,32}[|｜]>|</s>)"
)
"""What follows the calls of one lead."""
_STRING = r"\"(?:\\.|[^\"\\])*\"?|'(?:\\.|[^'\\])*'?"
"""A string of Python, in which marks are text; one that is not closed ends with the answer, so that time is linear."""
_END_OR_STRING = re.compile(rf"(?P<end>{_END.pattern})|{_STRING}", re.DOTALL)
_BETWEEN_OR_STRING = re.compile(rf"(?P<between>\)\s{{0,4}};\s{{0,4}}(?=[A-Za-z_]))|{_STRING}", re.DOTALL)
_SCRIPT_LINE = re.compile(
    r"[ \t`]{0,4}([A-Za-z_][\w.]{0,255})\.call(\((?:\)|[A-Za-z_]\w{0,255}\s{0,4}=(?!=)[^\n]*\)))[ \t`;]{0,4}"
)
"""A call of a tool, whose arguments have names; that of a program (`subprocess.call(["ls"])`) often has none."""


def has_call_marks(text: str) -> bool:
    """Whether a text has a mark that only calls have, so that a fence beside it is an example."""
    return any(mark in text for mark in _MARKED)


def led_blocks(text: str) -> list[str]:
    """Return the texts of the calls that follow a lead, each as a list of Python calls; none without one."""
    if _ACTION_INPUT in text and not has_call_marks(text):
        return []
    if script := _script(text):
        return script
    leads = list(_LEAD.finditer(text))
    if not leads:
        return _list_at_the_end(text)
    if not has_call_marks(text) and _has_json_call(text[: leads[0].start()]):
        return []
    ends = [lead.start() for lead in leads[1:]] + [len(text)]
    blocks = [_until_end(text[lead.end() : end]).strip() for lead, end in zip(leads, ends, strict=True)]
    if not has_call_marks(text) and not all(map(_KEYWORDS.match, blocks)):
        return []
    return [_BETWEEN_OR_STRING.sub(_with_comma, block).strip("`; \n") for block in blocks]


def _has_json_call(text: str) -> bool:
    try:
        return bool(collect_calls(find_json_values(text), call_object))
    except AnswerError:
        return False


def _list_at_the_end(text: str) -> list[str]:
    """Return the list of Python calls that the last lines are, after prose; none without one.

    Calls on a line before it would be left out, so that an answer with alternatives could pass: it is not read.
    """
    content = text.rstrip().removesuffix("```").rstrip("` \n")
    start = max((found.end() for found in _LIST_START.finditer(content)), default=-1)
    if start < 0 or not content.endswith(")]") or _has_json_call(content[:start]):
        return []
    if _CALL_LINE.search(content, 0, start):
        return []
    block = content[start:]
    return [block] if _KEYWORDS.match(block) else []


def _until_end(block: str) -> str:
    ends = (found.start() for found in _END_OR_STRING.finditer(block) if found["end"] is not None)
    return block[: next(ends, len(block))]


def _with_comma(found: re.Match[str]) -> str:
    return found[0] if found["between"] is None else "), "


def _script(text: str) -> list[str]:
    """Return the calls `f.call(a=1)` that the last lines are, as calls of f; none if the last line is not one."""
    found: list[str] = []
    for line in reversed(text.rstrip().split("\n")):
        call = _SCRIPT_LINE.fullmatch(line)
        if call is None:
            break
        found.append(call[1] + call[2])
    return found[::-1]
