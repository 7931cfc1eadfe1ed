"""Rows `OpenAI`: the rows of OpenAI's fine-tuning files, as most training libraries read them too.

    {"messages": [{"role": "user", "content": "..."},
                  {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name", "arguments"}}]}],
     "tools": [{"type": "function", "function": {"name", "description", "parameters"}}]}

`prompt` and `completion` (or `chosen`) are read like one list of messages, as TRL has them, and so are `input` and
`preferred_output` of OpenAI's files of preferences, and `input` and `output` of its responses. A request of a batch is
its `body`. `arguments` are JSON text or an object. `functions` and
`function_call` are the API before tools. Both columns may be JSON text. Without functions in a column they are looked
for in the system text, as rows `ShareGPT` have them.
"""

from __future__ import annotations

from typing import Any

from bitagent_crds.task_set import Task
from bitagent_crds.tasks import Columns
from bitagent_evaluator.tasks.rows.base import Origin, RowSkipped
from bitagent_evaluator.tasks.rows.chats import parse_messages, split_chat
from bitagent_evaluator.tasks.rows.functions import convert_functions
from bitagent_evaluator.tasks.rows.system_texts import described_in
from bitagent_evaluator.tasks.rows.task import make_call_task

CATEGORY = "openai"


class OpenAIRows:
    """Rows with the columns `messages`, and `tools` or `functions`."""

    def __init__(self, origin: Origin, columns: Columns | None = None) -> None:
        self._origin = origin

    def read(self, row: dict[str, Any], name: str) -> Task:
        """Return the task. Raises RowSkipped if the row is not one."""
        row = _with_messages(row)
        if "messages" not in row and isinstance(row.get("contents"), list):  # Gemini's
            row = {**row, "messages": row["contents"]}
        if "messages" not in row:
            raise RowSkipped("without column 'messages'")
        chat = parse_messages(row["messages"])
        described = row.get("tools") or row.get("functions")
        if not described and (found := described_in(chat)) is not None:
            described, chat = found, chat[1:]
        functions = convert_functions(described)
        messages, calls = split_chat(chat, functions)
        return make_call_task(
            self._origin, name, category=CATEGORY, messages=messages, functions=functions, calls=calls
        )


_QUESTIONS, _ANSWERS = ("prompt", "input"), ("completion", "chosen", "preferred_output", "output")
"""Columns of the messages of a question, and of its answer."""


def _with_messages(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of question and answer as one of messages; any other as it is."""
    if isinstance(body := row.get("body"), dict) and not row.keys() & {"messages", *_QUESTIONS}:
        row = body
    question = next((row[name] for name in _QUESTIONS if isinstance(row.get(name), list | dict)), None)
    if question is None and isinstance(text := row.get("input"), str) and isinstance(row.get("output"), list):
        question = [{"role": "user", "content": text}]
    answer = next((row[name] for name in _ANSWERS if isinstance(row.get(name), list)), None)
    if "messages" in row or question is None or answer is None:
        return row
    if isinstance(question, dict):  # with the tools beside the messages
        row, question = {**question, **row}, question.get("messages")
    if not isinstance(question, list):
        return row
    is_whole = answer[: len(question)] == question
    return {**row, "messages": answer if is_whole else [*question, *answer]}
