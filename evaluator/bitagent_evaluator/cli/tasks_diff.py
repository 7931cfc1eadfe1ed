"""What two task sets have in common and what not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bitagent_crds.results import Task


@dataclass(frozen=True)
class Changed:
    """A task that both sets have, but not alike."""

    id: str
    fields: tuple[str, ...]
    """What differs, `alterations` and `parent` left out."""
    alterations: tuple[tuple[str, ...], tuple[str, ...]]
    """Names of the alterations in the first and in the second set, in order."""
    parent_is_other: bool
    """Whether one is the other before its alterations."""


@dataclass(frozen=True)
class Difference:
    """The second of two task sets against the first."""

    only_first: tuple[str, ...]
    """Ids, sorted."""
    only_second: tuple[str, ...]
    """Ids, sorted."""
    changed: tuple[Changed, ...]
    """By id, sorted."""
    same: int
    """Number of equal tasks."""
    reordered: bool
    """Whether the tasks that both have stand in another order."""

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON types."""
        return asdict(self)


def difference(first: Sequence[Task], second: Sequence[Task]) -> Difference:
    """Compare task by task, by id."""
    a, b = {task.id: task for task in first}, {task.id: task for task in second}
    both = sorted(a.keys() & b.keys())
    changed = tuple(_changed(a[task_id], b[task_id]) for task_id in both if a[task_id] != b[task_id])
    return Difference(
        only_first=tuple(sorted(a.keys() - b.keys())),
        only_second=tuple(sorted(b.keys() - a.keys())),
        changed=changed,
        same=len(both) - len(changed),
        reordered=[task_id for task_id in a if task_id in b] != [task_id for task_id in b if task_id in a],
    )


def _changed(a: Task, b: Task) -> Changed:
    compared = [field for field in Task.model_fields if field not in ("alterations", "parent")]
    return Changed(
        id=a.id,
        fields=tuple(field for field in compared if getattr(a, field) != getattr(b, field)),
        alterations=(tuple(r.name for r in a.alterations), tuple(r.name for r in b.alterations)),
        parent_is_other=a.parent == b or b.parent == a,
    )
