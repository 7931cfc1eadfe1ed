"""Format `BitAgent`: the BitAgent subnet's system message.

The subnet asks in the leaderboard's words of its time: the same persona and task, answers "in tools call sections" as
`[func(params=...)]`, the functions as one line of JSON, and nothing about several turns. Functions are shown as the task has them,
without the leaderboard's language hints, except in Java and JavaScript, whose types a model would not understand otherwise.
"""

from __future__ import annotations

import json

from bfcl_eval.constants import default_prompts

from bitagent_crds.results import Language, Task
from bitagent_evaluator.answers import AnswerSyntax
from bitagent_evaluator.formats.chat import Chat, asks_for_calls, with_system_prompt
from bitagent_evaluator.formats.documentation import documented

_ANSWER = (
    "You should only return the function call in tools call sections.\n"
    "If you decide to invoke any of the function(s), you MUST put it in the format of {call_format}\n"
    "You SHOULD NOT include any other text in the response.\n"
    "Here is a list of functions in JSON format that you can invoke.\n{functions}\n"
)
_CALL_FORMAT = "[func_name(params_name1=params_value1, params_name2=params_value2...)]"


class BitAgent:
    """Functions as JSON in the system message, in the subnet's words."""

    syntaxes = (AnswerSyntax.PYTHON,)
    uses_template = True
    stop_tokens = ()

    def chat(self, task: Task) -> Chat:
        """The subnet's prompt."""
        if not asks_for_calls(task):
            return Chat(messages=task.messages, tools=None)
        style = default_prompts.PROMPT_STYLE_TEMPLATES["classic"]
        functions = task.functions
        if task.language is not Language.PYTHON:
            functions = documented(functions, task.language)
        answer = _ANSWER.format(call_format=_CALL_FORMAT, functions=json.dumps(functions))
        return Chat(
            messages=with_system_prompt(task.messages, f"{style['persona']} {style['task']}\n{answer}"), tools=None
        )
