"""Apply the alterations of a spec in order, and record what each did."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from bitagent_crds.alterations import Alteration as AlterationSpec
from bitagent_crds.alterations import (
    DefaultValueMask,
    DistractorTools,
    FunctionMask,
    Irrelevance,
    Merge,
    ParameterMask,
    Rewrite,
    ToolShuffle,
)
from bitagent_crds.schema import Model
from bitagent_crds.task_forms import SEVERAL_STEPS, Expects
from bitagent_crds.task_set import AlterationManifest, AlterationRecord, Task
from bitagent_evaluator.alterations.base import (
    Alteration,
    AlterationContext,
    AlterationError,
    Altered,
    BatchAlteration,
    Choices,
    Skipped,
    SkipReason,
    TaskPool,
)
from bitagent_evaluator.alterations.default_value_mask import MaskDefaultValues
from bitagent_evaluator.alterations.masks import MaskFunctions, MaskParameters
from bitagent_evaluator.alterations.merge import MergeTasks
from bitagent_evaluator.alterations.tools import AddDistractors, RemoveExpected, ShuffleTools
from bitagent_evaluator.support.processes import map_parts, process_count


def _reword(parameters: Rewrite) -> BatchAlteration:
    """Return the alteration by a language model. Its embedding's libraries take long to import."""
    from bitagent_evaluator.alterations.rewrite.rewrite import RewordTurns

    return RewordTurns(parameters)


ALTERATIONS: Mapping[type[Model], Callable[[Any], Alteration | BatchAlteration]] = MappingProxyType(
    {
        ToolShuffle: ShuffleTools,
        DistractorTools: AddDistractors,
        Irrelevance: RemoveExpected,
        FunctionMask: MaskFunctions,
        ParameterMask: MaskParameters,
        DefaultValueMask: MaskDefaultValues,
        Rewrite: _reword,
        Merge: MergeTasks,
    }
)
"""The class of each member of the contract's `Alteration`, by the type of that member."""

_UNALTERABLE = dict.fromkeys(SEVERAL_STEPS, SkipReason.CONVERSATION) | {Expects.TEXT: SkipReason.EXPECTS_TEXT}
"""Expectations without a list of calls in which a change could be followed: no alteration gets such a task."""
_INDEPENDENT = (ShuffleTools, MaskFunctions, MaskParameters, MaskDefaultValues)
"""Alterations of each task by itself, which several processes can share."""
_MANY_TASKS = 256
"""Tasks from which on that is faster."""


def alter_tasks(
    tasks: Sequence[Task],
    specs: Sequence[AlterationSpec],
    *,
    seed: str,
    available: Iterable[Task] = (),
    context: AlterationContext | None = None,
) -> tuple[list[Task], list[AlterationManifest]]:
    """Apply every alteration of `specs`; return the tasks in their order, and one manifest per alteration.

    `available` are all tasks of the sources, from which alterations take functions and partners where the task set has
    too few. Each alteration gets the tasks as the previous one left them; a task that none changes is returned as it
    is.

    Raises AlterationError, which names the entry of `specs`, if its parameters contradict each other, and
    InfrastructureFault if a service of `context` cannot be used.
    """
    pool = TaskPool((task.parent or task for task in tasks), available if specs else ())
    steps = [_step(index, spec) for index, spec in enumerate(specs)]
    altered: list[Task] = list(tasks)
    counts: list[_Counts] = []
    for together, group in itertools.groupby(steps, key=lambda step: isinstance(step.alteration, _INDEPENDENT)):
        run = partial(_run_steps, list(group), seed=seed, pool=pool, context=context or AlterationContext())
        split = together and len(altered) >= _MANY_TASKS
        parts = map_parts(run, altered, processes=process_count() if split else 1) if altered else [run(altered)]
        altered = [task for tasks_of_part, _ in parts for task in tasks_of_part]
        counts += [
            functools.reduce(_Counts.plus, each) for each in zip(*(of_part for _, of_part in parts), strict=True)
        ]
    return altered, [
        AlterationManifest(
            name=step.name,
            parameters=step.parameters.to_wire(),
            applied=len(tasks) - count.skipped.total(),
            skipped={str(reason): count.skipped[reason] for reason in sorted(count.skipped)},
            version=step.alteration.version if isinstance(step.alteration, BatchAlteration) else "",
            parts=dict(sorted(count.parts.items())),
        )
        for step, count in zip(steps, counts, strict=True)
    ]


@dataclass(frozen=True)
class _Step:
    """One entry of the spec."""

    index: int
    name: str
    parameters: Any
    alteration: Alteration | BatchAlteration


@dataclass(frozen=True)
class _Counts:
    """What one alteration did to tasks."""

    skipped: Counter[str]
    parts: Counter[str]

    def plus(self, other: _Counts) -> _Counts:
        """Return the counts of both."""
        return _Counts(self.skipped + other.skipped, self.parts + other.parts)


def _step(index: int, spec: AlterationSpec) -> _Step:
    name, parameters = _set_member(index, spec)
    try:
        return _Step(index, name, parameters, ALTERATIONS[type(parameters)](parameters))
    except AlterationError as error:
        raise AlterationError(f"tasks.alterations[{index}] ({name}): {error}") from error


def _run_steps(
    steps: Sequence[_Step], tasks: Sequence[Task], *, seed: str, pool: TaskPool, context: AlterationContext
) -> tuple[list[Task], list[_Counts]]:
    """Apply alterations one after the other; return the tasks, and what each did."""
    altered, counts = list(tasks), []
    for step in steps:
        choices = [Choices(seed, step.index, task.id) for task in altered]
        outcomes: Sequence[Altered | Skipped]
        if isinstance(step.alteration, BatchAlteration):
            outcomes = _apply_batch(step.alteration, altered, choices, step.parameters.percent, context)
        else:
            outcomes = _apply_each(step.alteration, altered, choices, step.parameters.percent, pool)
        count = _Counts(Counter(), Counter())
        for place, (task, outcome) in enumerate(zip(altered, outcomes, strict=True)):
            if isinstance(outcome, Altered):
                count.parts.update(outcome.parts)
                record = AlterationRecord(name=step.name, parameters=outcome.parameters)
                altered[place] = outcome.task.model_copy(
                    update={"alterations": [*task.alterations, record], "parent": task.parent or task}
                )
            else:
                count.skipped[outcome.reason] += 1
        counts.append(count)
    return altered, counts


def _apply_each(
    alteration: Alteration, tasks: Sequence[Task], choices: Sequence[Choices], percent: int, pool: TaskPool
) -> list[Altered | Skipped]:
    """Return an outcome for each task. `percent` is applied last: skip reasons count tasks that it leaves out, too."""
    outcomes: list[Altered | Skipped] = []
    for task, own in zip(tasks, choices, strict=True):
        outcome: Altered | Skipped
        if reason := _UNALTERABLE.get(task.expects):
            outcome = Skipped(reason)
        else:
            outcome = alteration.apply(task, choices=own, pool=pool)
        left_out = isinstance(outcome, Altered) and not own.applies(percent)
        outcomes.append(Skipped(SkipReason.NOT_CHOSEN) if left_out else outcome)
    return outcomes


def _apply_batch(
    alteration: BatchAlteration,
    tasks: Sequence[Task],
    choices: Sequence[Choices],
    percent: int,
    context: AlterationContext,
) -> list[Altered | Skipped]:
    """Return an outcome for each task. Tasks are chosen first, so that no request is made for the others."""
    outcomes: dict[int, Altered | Skipped] = {}
    for place, (task, own) in enumerate(zip(tasks, choices, strict=True)):
        if reason := _UNALTERABLE.get(task.expects) or alteration.skip_reason(task):
            outcomes[place] = Skipped(reason)
        elif not own.applies(percent):
            outcomes[place] = Skipped(SkipReason.NOT_CHOSEN)
    chosen = [place for place in range(len(tasks)) if place not in outcomes]
    if chosen:
        seed, index = choices[0].seed, choices[0].index
        made = alteration.apply_all([tasks[place] for place in chosen], seed=seed, index=index, context=context)
        outcomes |= zip(chosen, made, strict=True)
    return [outcomes[place] for place in range(len(tasks))]


def _set_member(index: int, spec: AlterationSpec) -> tuple[str, Any]:
    """Return name and parameters of the one member that is set. Raises AlterationError if none or several are."""
    members = {field: getattr(spec, field) for field in type(spec).model_fields}
    given = [member for member in members.values() if member is not None]
    if len(given) != 1:
        raise AlterationError(
            f"tasks.alterations[{index}]: exactly one of {', '.join(members)} must be set, not {len(given)}"
        )
    return type(given[0]).__name__, given[0]
