"""All alterations of a spec, in order, with the record of what each did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from bitagent_crds.alterations import Alteration as Spec
from bitagent_crds.results import AlterationManifest, AlterationRecord, Expects, Task
from bitagent_evaluator.alterations.alteration import (
    ALTERATIONS,
    Alteration,
    AlterationError,
    Altered,
    JointAlteration,
    Reason,
    Skipped,
)
from bitagent_evaluator.alterations.choices import Choices
from bitagent_evaluator.alterations.means import Means
from bitagent_evaluator.alterations.pool import Pool

_LEFT_ALONE = {Expects.STATE: Skipped(Reason.CONVERSATION), Expects.TEXT: Skipped(Reason.EXPECTS_TEXT)}
"""Tasks whose right answer is no list of calls that could follow a change: no alteration sees them."""


def alter_tasks(
    tasks: Sequence[Task],
    specs: Sequence[Spec],
    *,
    seed: str,
    available: Iterable[Task] = (),
    means: Means | None = None,
) -> tuple[list[Task], list[AlterationManifest]]:
    """The tasks after every alteration of `specs`, in the order of both, and what each alteration did.

    `available` are all tasks that the sources have; what alterations take from other tasks comes from there when the task set itself has too
    little. Each alteration sees the tasks as the one before left them. A task that none of them changes is returned as it is.

    Raises AlterationError when an entry of `specs` makes no sense; the message names it. Raises InfrastructureFault when something that an
    alteration works with, found by `means`, cannot be reached.
    """
    pool = Pool((task.parent or task for task in tasks), available if specs else ())
    altered, manifests = list(tasks), []
    for index, spec in enumerate(specs):
        name, parameters = _chosen(index, spec)
        try:
            alteration: Alteration | JointAlteration = ALTERATIONS.load(name)(parameters)
        except AlterationError as error:
            raise AlterationError(f"tasks.alterations[{index}] ({name}): {error}") from error
        draw = [Choices(seed, index, task.id) for task in altered]
        if isinstance(alteration, JointAlteration):
            version = alteration.version
            outcomes = _together(alteration, altered, draw, parameters.percent, means or Means())
        else:
            version = ""
            outcomes = _one_by_one(alteration, altered, draw, parameters.percent, pool)
        skipped: Counter[str] = Counter()
        for place, (task, outcome) in enumerate(zip(altered, outcomes, strict=True)):
            if isinstance(outcome, Altered):
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
            )
        )
    return altered, manifests


def _one_by_one(
    alteration: Alteration, tasks: Sequence[Task], draw: Sequence[Choices], percent: int, pool: Pool
) -> list[Altered | Skipped]:
    """Outcomes for all tasks. Whether a task is chosen is asked last: what does not apply is counted by its reason, chosen or not."""
    outcomes: list[Altered | Skipped] = []
    for task, choices in zip(tasks, draw, strict=True):
        outcome = _LEFT_ALONE.get(task.expects) or alteration.apply(task, choices=choices, pool=pool)
        chosen = not isinstance(outcome, Altered) or choices.applies(percent)
        outcomes.append(outcome if chosen else Skipped(Reason.NOT_CHOSEN))
    return outcomes


def _together(
    alteration: JointAlteration, tasks: Sequence[Task], draw: Sequence[Choices], percent: int, means: Means
) -> list[Altered | Skipped]:
    """Outcomes for all tasks. Tasks are chosen before anything is asked about them."""
    outcomes: dict[int, Altered | Skipped] = {}
    for place, (task, choices) in enumerate(zip(tasks, draw, strict=True)):
        if unsuited := _LEFT_ALONE.get(task.expects) or alteration.unsuited(task):
            outcomes[place] = unsuited
        elif not choices.applies(percent):
            outcomes[place] = Skipped(Reason.NOT_CHOSEN)
    chosen = [place for place in range(len(tasks)) if place not in outcomes]
    if chosen:
        seed, index = draw[0].seed, draw[0].index
        asked = alteration.apply_all([tasks[place] for place in chosen], seed=seed, index=index, means=means)
        outcomes |= zip(chosen, asked, strict=True)
    return [outcomes[place] for place in range(len(tasks))]


def _chosen(index: int, spec: Spec) -> tuple[str, Any]:
    """Name and parameters of the one member that is set."""
    members = {field: getattr(spec, field) for field in type(spec).model_fields}
    given = [member for member in members.values() if member is not None]
    if len(given) != 1:
        raise AlterationError(
            f"tasks.alterations[{index}]: exactly one of {', '.join(members)} must be set, not {len(given)}"
        )
    return type(given[0]).__name__, given[0]
