"""Tasks that a page lists one by one: failed tasks, or the samples with the highest losses. Pure.

Everything shown here is untrusted text of models and datasets: it is cut, and unprintable characters are escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bitagent_crds.results import Response, Verdict
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_crds.texts import loss_text
from bitagent_evaluator.evaluation.strategies.base import TEMPLATE_REFUSED
from bitagent_evaluator.reports.error_words import PARTLY_RIGHT, explain
from bitagent_evaluator.reports.results import Results
from bitagent_evaluator.scoring.metric import LOSS, Metric
from bitagent_evaluator.support.text import escape_unprintable

MAX_TEXT = 6_000
"""Maximum length of a message, answer or description, in characters."""
MAX_PROMPT = 20_000
"""Maximum length of a whole prompt."""
IN_FULL = 50
"""Number of tasks of a model, the worst, whose texts have that length."""
_MIN_TEXT = 80
PAGE_CHARACTERS = 1_500_000
"""Number of characters of the texts of all other tasks of a page, about: a browser opens it at once."""
_MIN_FUNCTIONS = 200
"""Length of a text from which the functions of a task are shown: less of them says nothing."""
_TEXTS = 4
"""Number of long texts of a task: question, functions, expectation, answer."""
_ENDINGS = {
    "length": ", cut by the token limit",
    TEMPLATE_REFUSED: ", ended because the chat template refuses to continue",
}


@dataclass(frozen=True)
class ListedTask:
    """One task of the list."""

    id: str
    category: str
    functions: Sequence[str]
    """Names of the functions that are right to call; none if the task is not known."""
    result: str
    """Error of a failed task, or the loss."""
    failed: bool
    """Whether the result is marked as a failure."""
    detail: str
    texts: Sequence[tuple[str, str | None]]
    """Label and text of the messages, the answer and so on; None for an answer that does not exist."""
    score: float
    criteria: Sequence[tuple[str, float, float]]
    """Name, points and possible points."""


@dataclass(frozen=True)
class Group:
    """Listed tasks with one error."""

    result: str
    """The error; empty for samples, which are in one group."""
    words: str
    """The error as a sentence; empty if it has none."""
    tasks: Sequence[ListedTask]


def grouped(tasks: Sequence[ListedTask]) -> Sequence[Group]:
    """Return the tasks by error, the most frequent one first; samples, which have none, in one group."""
    by_error: dict[str, list[ListedTask]] = {}
    for task in tasks:
        by_error.setdefault(task.result if task.failed else "", []).append(task)
    groups = [Group(result, explain(result), members) for result, members in by_error.items()]
    return sorted(groups, key=lambda group: -len(group.tasks))


def text_limit(total: int) -> int:
    """Return the length of a text of the tasks that are not in full, if a page has so many, in characters."""
    return max(_MIN_TEXT, min(MAX_TEXT, PAGE_CHARACTERS // (_TEXTS * max(total, 1))))


def right_functions(task: Task) -> Sequence[str]:
    """Return the names of the functions that are right to call, each once; none where no call or any is right."""
    return list(dict.fromkeys(visible(name) for call in task.ground_truth or () for name in call))


def worst_tasks(
    results: Results,
    metric: Metric,
    tasks: Mapping[str, Task] | None,
    *,
    limit: int | None = None,
    short: int = MAX_TEXT,
) -> Sequence[ListedTask]:
    """Return the failed tasks with the lowest scores, or the samples with the highest losses, the worst first.

    Tasks with equal values are in the order of the task set. Without `tasks`, there are no messages. Texts of all but
    the first `IN_FULL` tasks are cut to `short` characters.
    """
    listed: list[ListedTask] = []
    for number, verdict in enumerate(worst_first(results, metric)[:limit]):
        response = results.responses.get(verdict.id)
        task = None if tasks is None else tasks[verdict.id]
        length = MAX_TEXT if number < IN_FULL else short
        if metric.is_loss:
            listed.append(_sample(verdict, response, task, length))
        else:
            listed.append(_failure(verdict, response, task, length, prompt=results.prompts.get(verdict.id)))
    return listed


def worst_first(results: Results, metric: Metric) -> Sequence[Verdict]:
    """Return the verdicts on failed tasks, the lowest scores first, or on all samples, the highest losses first."""
    if metric.is_loss:
        return sorted(results.verdicts, key=metric.value_of, reverse=True)
    return sorted((verdict for verdict in results.verdicts if not verdict.passed), key=metric.value_of)


def _failure(
    verdict: Verdict, response: Response | None, task: Task | None, length: int, *, prompt: str | None
) -> ListedTask:
    error, detail = visible(verdict.error) or PARTLY_RIGHT, visible(verdict.detail)
    texts: list[tuple[str, str | None]] = []
    if task is not None:
        texts += [*messages_of(task, length), *_expectation(task, length)]
    if prompt is not None:
        texts.append(("prompt as the model got it", visible(prompt, max(length, MAX_PROMPT))))
    note = "" if response is None else f" ({_note(response)})"
    texts.append((f"answer{note}", None if response is None else visible(_answer(response), length)))
    texts.append((f"why it failed ({visible(verdict.category)})", "\n".join(filter(None, (explain(error), detail)))))
    return ListedTask(
        id=visible(verdict.id),
        category=visible(verdict.category),
        functions=right_functions(task) if task is not None else (),
        result=error,
        failed=True,
        detail=detail,
        texts=texts,
        score=verdict.score,
        criteria=[(visible(name), points, possible) for name, (points, possible) in verdict.criteria.items()],
    )


def _sample(verdict: Verdict, response: Response | None, task: Task | None, length: int) -> ListedTask:
    tokens = response.loss_tokens if response is not None else None
    size = response.loss_bytes if response is not None else None
    extent = f"{size} bytes in {tokens} tokens" if size is not None else f"{tokens} tokens"
    details = [verdict.category, f"over {extent}" if tokens is not None else "", verdict.detail]
    return ListedTask(
        id=visible(verdict.id),
        category=visible(verdict.category),
        functions=(),
        result=loss_text(LOSS.value_of(verdict)),
        failed=False,
        detail=visible(", ".join(filter(None, details))),
        texts=[]
        if task is None
        else [*messages_of(task, length), ("reference", visible(task.reference or "", length))],
        score=verdict.score,
        criteria=[],
    )


def _answer(response: Response) -> str:
    """Return the text of an answer; of a conversation, all steps of all turns."""
    if not response.turns:
        return response.text
    return "\n".join(f"turn {number}: {step}" for number, turn in enumerate(response.turns, 1) for step in turn)


def _note(response: Response) -> str:
    end = _ENDINGS.get(response.finish_reason, "")
    return f"{response.prompt_tokens} tokens in, {response.completion_tokens} out{end}"


def messages_of(task: Task, length: int = MAX_TEXT) -> list[tuple[str, str]]:
    """Return role and content of the task's messages, each cut to a length."""
    return [
        (visible(str(message.get("role", "?"))), visible(_text(message.get("content", "")), length))
        for message in task.messages
    ]


def _expectation(task: Task, length: int) -> Iterator[tuple[str, str]]:
    if length >= _MIN_FUNCTIONS:
        each = max(_MIN_TEXT, length // max(len(task.functions), 1)) if length < MAX_TEXT else length
        yield "functions", "\n".join(visible(_json(function), each) for function in task.functions) or "none"
    if task.alterations:
        yield "altered by", visible("\n".join(f"{of.name} {_json(of.parameters)}" for of in task.alterations), length)
    yield "expected", visible(expected(task), length)


def expected(task: Task) -> str:
    """Return the right answer: one call per line, with `or` between the allowed values of an argument."""
    if task.expects is Expects.NO_CALL:
        return "no call"
    if task.expects is Expects.ANY_CALL:
        return "any call"
    if task.memory is not None:
        return " or ".join(task.memory.answers)
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


def visible(text: str, length: int = MAX_TEXT) -> str:
    """Return the text, cut to a length, with an escape in place of each unprintable character."""
    shown = escape_unprintable(text[:length], keep="\n\t")
    return shown if len(text) <= length else f"{shown}… ({len(text) - length:,} more characters)"
