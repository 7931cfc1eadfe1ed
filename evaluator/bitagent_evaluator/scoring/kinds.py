"""Kinds of tasks, which may weigh equally in a model's score (`Aggregation.KINDS`).

A kind follows from what a task offers and expects, as BFCL's categories do, and not from the name of its category: an
alteration that adds functions, joins tasks or removes the right function makes a task of another kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from bitagent_crds.evaluation import Aggregation
from bitagent_crds.results import Verdict
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task


class TaskKind(StrEnum):
    """What a task asks of a model."""

    SIMPLE = "simple"
    """One call; one function is offered."""
    MULTIPLE = "multiple"
    """One call; several functions are offered."""
    PARALLEL = "parallel"
    """Several calls; one function is offered."""
    PARALLEL_MULTIPLE = "parallel multiple"
    """Several calls; several functions are offered."""
    NO_CALL = "no call"
    """No call, because no function fits."""
    ANY_CALL = "any call"
    """Any call."""
    CONVERSATION = "conversation"
    """Calls in several turns that act on simulated systems."""
    MEMORY = "memory"
    """An answer from a memory of earlier conversations."""
    TEXT = "text"
    """A text, whose loss is measured."""


_BY_EXPECTATION = {
    Expects.NO_CALL: TaskKind.NO_CALL,
    Expects.ANY_CALL: TaskKind.ANY_CALL,
    Expects.STATE: TaskKind.CONVERSATION,
    Expects.ANSWER: TaskKind.MEMORY,
    Expects.TEXT: TaskKind.TEXT,
}


def task_kind(task: Task) -> TaskKind:
    """Return the kind of a task."""
    if task.expects is not Expects.CALLS:
        return _BY_EXPECTATION[task.expects]
    several_calls, several_functions = len(task.ground_truth or ()) > 1, len(task.functions) > 1
    if several_calls:
        return TaskKind.PARALLEL_MULTIPLE if several_functions else TaskKind.PARALLEL
    return TaskKind.MULTIPLE if several_functions else TaskKind.SIMPLE


def with_kinds(verdicts: Iterable[Verdict], tasks: Sequence[Task], aggregation: Aggregation) -> list[Verdict]:
    """Return the verdicts, each with the kind of its task if kinds weigh equally; otherwise as they are."""
    if aggregation is not Aggregation.KINDS:
        return list(verdicts)
    kinds = {task.id: task_kind(task) for task in tasks}
    return [verdict.model_copy(update={"kind": kinds[verdict.id].value}) for verdict in verdicts]
