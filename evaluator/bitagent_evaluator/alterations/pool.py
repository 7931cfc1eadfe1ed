"""What other tasks have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bitagent_crds.results import Language, Task

Owned = tuple[str, dict[str, Any]]
"""A task's id and one of its functions."""


@dataclass(frozen=True)
class Functions:
    """Functions of tasks."""

    owned: list[Owned] = field(default_factory=list)
    places: dict[str, list[int]] = field(default_factory=dict)
    """Where each name stands: tasks often share their functions, and a name that does not go with a task is then passed over at once."""

    def add(self, task: Task) -> None:
        """Those of one more task."""
        for function in task.functions:
            self.places.setdefault(function["name"], []).append(len(self.owned))
            self.owned.append((task.id, function))


class Pool:
    """Tasks and their functions by the language that they are written in, before any alteration.

    `drawn` are the tasks of the task set, `available` all that their sources have. The order of either is of no meaning.
    """

    def __init__(self, drawn: Iterable[Task], available: Iterable[Task] = ()) -> None:
        self._drawn: dict[Language, Functions] = {}
        self._available: dict[tuple[str, Language], Functions] = {}
        tasks: dict[tuple[str, Language], dict[str, Task]] = {}
        for task in sorted(drawn, key=lambda task: task.id):
            self._drawn.setdefault(task.language, Functions()).add(task)
            tasks.setdefault((task.source, task.language), {})[task.id] = task
        for task in sorted(available, key=lambda task: task.id):
            self._available.setdefault((task.source, task.language), Functions()).add(task)
            tasks.setdefault((task.source, task.language), {})[task.id] = task
        self._tasks = {key: [found[task_id] for task_id in sorted(found)] for key, found in tasks.items()}

    def drawn(self, language: Language) -> Functions:
        """Functions of the task set."""
        return self._drawn.get(language, Functions())

    def available(self, source: str, language: Language) -> Functions:
        """Functions of all tasks of a source, drawn or not."""
        return self._available.get((source, language), Functions())

    def tasks(self, source: str, language: Language) -> list[Task]:
        """All tasks of a source, drawn or not, in the order of their ids."""
        return self._tasks.get((source, language), [])
