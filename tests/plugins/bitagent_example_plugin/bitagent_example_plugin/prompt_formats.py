"""A prompt format."""

from __future__ import annotations

import json

from bitagent_crds.task_set import Task
from bitagent_evaluator.parsing import AnswerSyntax
from bitagent_evaluator.prompts import ChatPrompt


class MarkdownTools:
    """Functions as a Markdown list in the system message, answers as a JSON list."""

    syntaxes = (AnswerSyntax.JSON_LIST,)
    uses_template = True
    stop_tokens = ()

    def build_prompt(self, task: Task) -> ChatPrompt:
        """Return the task's messages after the list of its functions."""
        tools = [f"- `{function['name']}`: {json.dumps(function['parameters'])}" for function in task.functions]
        system = "\n".join(["# Tools", *tools, "Answer with a JSON list of calls."])
        return ChatPrompt(messages=[{"role": "system", "content": system}, *task.messages], tools=None)
