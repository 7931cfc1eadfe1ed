"""Format `Bfcl`: the leaderboard's prompting mode, with the wording of the installed bfcl-eval package.

Byte for byte what the package's default prompting handlers send (Python calls, functions as JSON, plain text, classic style).
"""

from __future__ import annotations

import json

from bfcl_eval.constants import default_prompts

from bitagent_crds.results import Task
from bitagent_evaluator.answers import AnswerSyntax
from bitagent_evaluator.formats.chat import Chat, asks_for_calls, with_system_prompt
from bitagent_evaluator.formats.documentation import documented

_RETURN_FORMAT = "python"
_STYLE = "classic"
_LAYOUT = "plaintext"


class Bfcl:
    """Functions as JSON in the system message."""

    syntaxes = (AnswerSyntax.PYTHON,)
    uses_template = True
    stop_tokens = ()

    def chat(self, task: Task) -> Chat:
        """The official prompt."""
        if not asks_for_calls(task):
            return Chat(messages=task.messages, tools=None)
        style = default_prompts.PROMPT_STYLE_TEMPLATES[_STYLE]
        functions = json.dumps(documented(task.functions, task.language), indent=4)
        system = default_prompts.PROMPT_TEMPLATE_MAPPING[_LAYOUT].format(
            persona=style["persona"],
            task=style["task"],
            tool_call_format=style["tool_call_no_tag"].format(
                output_format=default_prompts.OUTPUT_FORMAT_MAPPING[_RETURN_FORMAT],
                param_types=default_prompts.PARAM_TYPE_MAPPING[_RETURN_FORMAT],
            ),
            multiturn_behavior=style["multiturn_behavior"],
            available_tools=style["available_tools"].format(format="json", functions=functions),
        )
        return Chat(messages=with_system_prompt(task.messages, system), tools=None)
