"""Apply the alterations of a spec in order, and record what each did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from bitagent_crds.task_set import SEVERAL_STEPS, AlterationManifest, AlterationRecord, Expects, Task
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
    altered, manifests = list(tasks), []
    for index, spec in enumerate(specs):
        name, parameters = _set_member(index, spec)
        try:
            alteration = ALTERATIONS[type(parameters)](parameters)
        except AlterationError as error:
            raise AlterationError(f"tasks.alterations[{index}] ({name}): {error}") from error
        choices = [Choices(seed, index, task.id) for task in altered]
        if isinstance(alteration, BatchAlteration):
            version = alteration.version
            outcomes = _apply_batch(alteration, altered, choices, parameters.percent, context or AlterationContext())
        else:
            version = ""
            outcomes = _apply_each(alteration, altered, choices, parameters.percent, pool)
        skipped: Counter[str] = Counter()
        parts: Counter[str] = Counter()
        for place, (task, outcome) in enumerate(zip(altered, outcomes, strict=True)):
            if isinstance(outcome, Altered):
                parts.update(outcome.parts)
                record = AlterationRecord(name=name, parameters=outcome.parameters)
                altered[place] = outcome.task.model_copy(
                    update={"alterations": [*task.alterations, record], "parent": task.parent or task}
                )
            else:
                skipped[outcome.reason] += 1
        manifests.append(
            AlterationManifest(
                name=name,
                parameters=parameters.to_wire(),
                applied=len(tasks) - skipped.total(),
                skipped={str(reason): skipped[reason] for reason in sorted(skipped)},
                version=version,
                parts=dict(sorted(parts.items())),
            )
        )
    return altered, manifests


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
