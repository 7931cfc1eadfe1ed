"""All alterations of a spec, in order, with the record of what each did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from bitagent_crds.alterations import Alteration as Spec
from bitagent_crds.results import AlterationManifest, AlterationRecord, Task
from bitagent_evaluator.alterations.alteration import ALTERATIONS, Alteration, AlterationError, Altered, Reason
from bitagent_evaluator.alterations.choices import Choices
from bitagent_evaluator.alterations.pool import FunctionPool


def alter_tasks(
    tasks: Sequence[Task], specs: Sequence[Spec], *, seed: str, available: Iterable[Task] = ()
) -> tuple[list[Task], list[AlterationManifest]]:
    """The tasks after every alteration of `specs`, in the order of both, and what each alteration did.

    `available` are all tasks that the sources have; distractors come from there when the task set itself has too few functions. Each
    alteration sees the tasks as the one before left them. A task that none of them changes is returned as it is.

    Raises AlterationError when an entry of `specs` makes no sense; the message names it.
    """
    pool = FunctionPool((task.parent or task for task in tasks), available if specs else ())
    altered, manifests = list(tasks), []
    for index, spec in enumerate(specs):
        name, parameters = _chosen(index, spec)
        try:
            alteration: Alteration = ALTERATIONS.load(name)(parameters)
        except AlterationError as error:
            raise AlterationError(f"tasks.alterations[{index}] ({name}): {error}") from error
        skipped: Counter[str] = Counter()
        for place, task in enumerate(altered):
            choices = Choices(seed, index, task.id)
            outcome = alteration.apply(task, choices=choices, pool=pool)
            if not isinstance(outcome, Altered):
                skipped[outcome.reason] += 1
            elif not choices.applies(parameters.percent):
                skipped[Reason.NOT_CHOSEN] += 1
            else:
                record = AlterationRecord(name=name, parameters=outcome.parameters)
                altered[place] = outcome.task.model_copy(
                    update={"alterations": [*task.alterations, record], "parent": task.parent or task}
                )
        manifests.append(
            AlterationManifest(
                name=name,
                parameters=parameters.to_wire(),
                applied=len(tasks) - skipped.total(),
                skipped={str(reason): skipped[reason] for reason in sorted(skipped)},
            )
        )
    return altered, manifests


def _chosen(index: int, spec: Spec) -> tuple[str, Any]:
    """Name and parameters of the one member that is set."""
    members = {field: getattr(spec, field) for field in type(spec).model_fields}
    given = [member for member in members.values() if member is not None]
    if len(given) != 1:
        raise AlterationError(
            f"tasks.alterations[{index}]: exactly one of {', '.join(members)} must be set, not {len(given)}"
        )
    return type(given[0]).__name__, given[0]
