"""Syntax of reWOO plans: calls as labelled steps.

    Plan: Find the city first.
    #E1 = geocode[city="Paris", limit=1]
    Plan: Then ask for the weather there. :evidence2: = get_weather(place=#E1)

A step is a label, `=` and a call, up to the end of its line or to the next `Plan:`. The call's brackets contain keyword
arguments, a JSON object, or else one text, which becomes the argument `input`, as the plans' own tool lists name it.
References to other steps stay text. Lines without a step are prose.
"""

from __future__ import annotations

import re

from bitagent_evaluator.parsing.calls import AnswerError, Call, Calls
from bitagent_evaluator.parsing.json import find_json_values
from bitagent_evaluator.parsing.python import parse_python

MAX_STEPS = 256
INPUT = "input"

_LABEL = re.compile(r"(?:#E[0-9]{1,4}|:evidence[0-9]{1,4}:) {0,8}=")
_STEP = re.compile(r"([A-Za-z_][\w.]{0,255})(?:\[(.*)\]|\((.*)\))")
_KEYWORD = re.compile(r"[A-Za-z_]\w{0,255} {0,8}=(?!=)")
_QUOTED = re.compile(r"""(["'])([^"']*)\1""")
_BARE_REFERENCE = re.compile(r"(?<=[=,\[(])( {0,4})(#E[0-9]{1,4}|:evidence[0-9]{1,4}:)(?= {0,4}[,\])])")
"""A reference outside quotes, which Python would read as a comment or an error."""


def parse_rewoo(text: str) -> Calls:
    """Parse the steps of a plan, in its order. Raises AnswerError, also if one step of several cannot be read."""
    steps = [step for line in text.split("\n") for step in _LABEL.split(line)[1:]]
    if not steps:
        raise AnswerError("no step such as `#E1 = f[a=1]`")
    if len(steps) > MAX_STEPS:
        raise AnswerError(f"a plan of {len(steps)} steps, more than {MAX_STEPS}", refused=True)
    return [_call(step.partition("Plan:")[0].strip()) for step in steps]


def _call(step: str) -> Call:
    found = _STEP.fullmatch(step)
    if found is None:
        raise AnswerError(f"a step that is not a call: {step[:80]}")
    name = found[1]
    content = (found[2] if found[2] is not None else found[3]).strip()
    if not content:
        return {name: {}}
    if _KEYWORD.match(content):
        return _python_call(f"{name}({content})")
    if content.startswith("{") and content.endswith("}"):
        values = find_json_values(content)
        if len(values) == 1:
            return {name: values[0]}
    quoted = _QUOTED.fullmatch(content)
    return {name: {INPUT: quoted[2] if quoted else content}}


def _python_call(source: str) -> Call:
    try:
        calls = parse_python(source)
    except AnswerError as error:
        quoted = _BARE_REFERENCE.sub(r'\1"\2"', source)
        if error.refused or quoted == source:
            raise
        calls = parse_python(quoted)
    if len(calls) != 1:
        raise AnswerError(f"a step of {len(calls)} calls: {source[:80]}")
    return calls[0]
