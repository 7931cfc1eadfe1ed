"""What a page shows of one failed task. Everything here was written by strangers: cut to size, and invisible characters made visible."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bitagent_crds.results import Expects, Response, Task, Verdict
from bitagent_evaluator.escaping import escaped
from bitagent_evaluator.reports.reading import Results, task_score
from bitagent_evaluator.runs.asking.way import TEMPLATE_REFUSED

MAX_TEXT = 6_000
"""Longest text of a message, answer or description, in characters."""
_ENDS = {"length": ", cut by the token limit", TEMPLATE_REFUSED: ", ended because the chat template refuses to go on"}


@dataclass(frozen=True)
class Message:
    """One chat message."""

    role: str
    content: str


@dataclass(frozen=True)
class Question:
    """The task behind a failure."""

    messages: Sequence[Message]
    functions: str
    expected: str
    alterations: str
    """What was done to the task, empty when nothing was."""


@dataclass(frozen=True)
class Failure:
    """A task that did not pass."""

    id: str
    category: str
    error: str
    detail: str
    score: float
    criteria: Sequence[tuple[str, float, float]]
    """Name, points and possible points."""
    answer: str | None
    """None when the model gave none."""
    answer_note: str
    """How the answer ended, and its length."""
    question: Question | None
    """None when the tasks were not given."""


def worst(results: Results, tasks: Mapping[str, Task] | None, *, limit: int) -> list[Failure]:
    """The failed tasks with the lowest scores; of equal ones the first of the task set."""
    failed = sorted((verdict for verdict in results.verdicts if not verdict.passed), key=task_score)
    return [_failure(verdict, results.responses.get(verdict.id), tasks) for verdict in failed[:limit]]


def _failure(verdict: Verdict, response: Response | None, tasks: Mapping[str, Task] | None) -> Failure:
    return Failure(
        id=visible(verdict.id),
        category=visible(verdict.category),
        error=visible(verdict.error) or "partly right",
        detail=visible(verdict.detail),
        score=task_score(verdict),
        criteria=[(visible(name), points, possible) for name, (points, possible) in verdict.criteria.items()],
        answer=None if response is None else visible(_answer(response)),
        answer_note="" if response is None else _note(response),
        question=None if tasks is None else _question(tasks[verdict.id]),
    )


def _answer(response: Response) -> str:
    """The text; of a conversation all steps of all turns."""
    if not response.turns:
        return response.text
    return "\n".join(f"turn {number}: {step}" for number, turn in enumerate(response.turns, 1) for step in turn)


def _note(response: Response) -> str:
    end = _ENDS.get(response.finish_reason, "")
    return f"{response.prompt_tokens} tokens in, {response.completion_tokens} out{end}"


def _question(task: Task) -> Question:
    return Question(
        messages=messages_of(task),
        functions="\n".join(visible(_json(function)) for function in task.functions) or "none",
        expected=visible(expected(task)),
        alterations=visible("\n".join(f"{record.name} {_json(record.parameters)}" for record in task.alterations)),
    )


def messages_of(task: Task) -> list[Message]:
    """The task's chat."""
    return [
        Message(visible(str(message.get("role", "?"))), visible(_text(message.get("content", ""))))
        for message in task.messages
    ]


def expected(task: Task) -> str:
    """What a right answer is: a call a line, the allowed values of an argument with `or` between them."""
    if task.expects is Expects.NO_CALL:
        return "no call"
    if task.expects is Expects.ANY_CALL:
        return "any call"
    if task.conversation is not None:
        turns = enumerate(task.conversation.ground_truth, 1)
        return "\n".join(f"turn {number}: {', '.join(calls) or 'no call'}" for number, calls in turns)
    lines = []
    for call in task.ground_truth or []:
        for name, arguments in call.items():
            shown = ", ".join(f"{key}={_allowed(values)}" for key, values in arguments.items())
            lines.append(f"{name}({shown})")
    return "\n".join(lines)


def _allowed(values: Sequence[Any]) -> str:
    shown = [_json(value) for value in values if value != ""]
    return " or ".join([*shown, "left out"] if "" in values else shown)


def _text(value: object) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def visible(text: str) -> str:
    """The text, cut, with control characters and marks that change its direction written as escapes."""
    shown = escaped(text[:MAX_TEXT], keep="\n\t")
    return shown if len(text) <= MAX_TEXT else f"{shown}… ({len(text) - MAX_TEXT:,} more characters)"
