"""Steps of a ReAct agent, and other forms that name an action and its input.

Action: f⏎Action Input: {"a": 1}                          ReAct, LangChain
✿FUNCTION✿: f⏎✿ARGS✿: {"a": 1}                            Qwen-Agent
{"action": "f", "action_input": {"a": 1}}                 LangChain's JSON agents
[{"tool_name": "f", "parameters": {"a": 1}}]              Command-R, after `Action:` or between its marks
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bitagent_evaluator.parsing.calls import AnswerError, Call, Calls, collect_calls, named_call
from bitagent_evaluator.parsing.json import find_json_values
from bitagent_evaluator.parsing.python import parse_python
from bitagent_evaluator.parsing.rewoo import INPUT
from bitagent_evaluator.parsing.typed_values import parameter_types, typed_value

MAX_STEPS = 256
_STEP = re.compile(
    r"^[ \t*]{0,8}(?:Action(?: \d{1,3})?[ \t*]{0,4}:|✿FUNCTION✿:)[ \t*]{0,8}[`\"']?([\w./-]{1,256})[`\"']?[ \t*]{0,8}"
    r"(?:\(\))?\n{1,3}[ \t*]{0,8}(?:Action[ _]?Input(?: \d{1,3})?[ \t*]{0,4}:|✿ARGS✿:)",
    re.MULTILINE | re.IGNORECASE,
)
_RESULT = re.compile(r"^[ \t*]{0,8}(?:Observation(?: \d{1,3})?[ \t*]{0,4}:|✿RESULT✿)", re.MULTILINE | re.IGNORECASE)
"""Where the answer ends: the rest is what the model imagines of the call's result."""
_NEXT = re.compile(r"^[ \t*]{0,8}(?:Thought|Final Answer|Action|Question)(?: \d{1,3})?[ \t*]{0,4}:", re.MULTILINE)
_BEFORE_INPUT = re.compile(r"[\s*]{0,16}(?:```\w{0,16}\s{0,8})?")
_AFTER_INPUT = "```"
_KEYWORD = re.compile(r"[A-Za-z_]\w{0,255} {0,8}=(?!=)")
_QUOTED = re.compile(r"""(["'])([^"']*)\1""")
_NO_ACTION = frozenset({"none", "n/a", "directly_answer", "directly-answer", "final_answer"})
"""Actions with which a model says that it calls nothing."""


def parse_react(text: str, functions: Sequence[Mapping[str, Any]] = ()) -> Calls:
    """Parse the steps before the first observation. Raises AnswerError, also if one of several cannot be read.

    The input is a JSON object or Python's keywords. Another text is the value of the function's only parameter, by its
    description in `functions` (BFCL's form), or of one called `input`.
    """
    answer = _RESULT.split(text, maxsplit=1)[0]
    steps = list(_STEP.finditer(answer))
    if len(steps) > MAX_STEPS:
        raise AnswerError(f"an answer of {len(steps)} steps, more than {MAX_STEPS}", refused=True)
    calls = _steps(answer, steps, functions) if steps else _objects(answer)
    made = [call for call in calls if not _NO_ACTION.intersection(name.lower() for name in call)]
    if not made:
        raise AnswerError("no action with its input")
    return made


def _steps(answer: str, steps: Sequence[re.Match[str]], functions: Sequence[Mapping[str, Any]]) -> Calls:
    ends = [step.start() for step in steps[1:]] + [len(answer)]
    return [
        _call(step[1], answer[step.end() : end], functions, position=step.end())
        for step, end in zip(steps, ends, strict=True)
    ]


def _objects(answer: str) -> Calls:
    try:
        return collect_calls(find_json_values(answer), _object)
    except AnswerError as error:
        error.position = 0  # Other readers of JSON know more of it.
        raise


def _object(item: dict[str, Any]) -> Call | None:
    if "tool_name" in item:
        return named_call(item["tool_name"], item.get("parameters", item.get("arguments")))
    inputs = item.get("action_input")
    return named_call(item.get("action"), inputs if isinstance(inputs, dict) else None)


def _call(name: str, content: str, functions: Sequence[Mapping[str, Any]], *, position: int) -> Call:
    own = _NEXT.split(content, maxsplit=1)[0]
    before = _BEFORE_INPUT.match(own)
    plain = own[before.end() if before else 0 :].strip().removesuffix(_AFTER_INPUT).strip()
    if plain.startswith("{"):
        values = find_json_values(plain)
        call = named_call(name, values[0]) if len(values) == 1 else None
        if call is None:
            raise AnswerError(f"the input of {name[:80]} is more than one object", position=position)
        return call
    if not plain or plain.lower() in _NO_ACTION:
        return {name: {}}
    if _KEYWORD.match(plain):
        return _python_call(name, plain, position=position)
    types = parameter_types(name, functions)
    key, kind = next(iter(types.items())) if len(types) == 1 else (INPUT, "string")
    quoted = _QUOTED.fullmatch(plain)
    return {name: {key: typed_value(quoted[2] if quoted else plain, kind)}}


def _python_call(name: str, keywords: str, *, position: int) -> Call:
    try:
        calls = parse_python(f"f({keywords})")
    except AnswerError as error:
        error.position += position
        raise
    if len(calls) != 1:
        raise AnswerError(f"the input of {name[:80]} is not one call's", position=position)
    return {name: next(iter(calls[0].values()))}
