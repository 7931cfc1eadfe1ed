"""What other tasks have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bitagent_crds.results import Language, Task

Owned = tuple[str, dict[str, Any]]
"""A task's id and one of its functions."""


class Pool:
    """Tasks and their functions by the language that they are written in, before any alteration.

    `drawn` are the tasks of the task set, `available` all that their sources have. The order of either is of no meaning.
    """

    def __init__(self, drawn: Iterable[Task], available: Iterable[Task] = ()) -> None:
        self._drawn: dict[Language, list[Owned]] = {}
        self._available: dict[tuple[str, Language], list[Owned]] = {}
        tasks: dict[tuple[str, Language], dict[str, Task]] = {}
        for task in sorted(drawn, key=lambda task: task.id):
            self._drawn.setdefault(task.language, []).extend((task.id, function) for function in task.functions)
            tasks.setdefault((task.source, task.language), {})[task.id] = task
        for task in sorted(available, key=lambda task: task.id):
            of_source = self._available.setdefault((task.source, task.language), [])
            of_source.extend((task.id, function) for function in task.functions)
            tasks.setdefault((task.source, task.language), {})[task.id] = task
        self._tasks = {key: [found[task_id] for task_id in sorted(found)] for key, found in tasks.items()}

    def drawn(self, language: Language) -> list[Owned]:
        """Functions of the task set."""
        return self._drawn.get(language, [])

    def available(self, source: str, language: Language) -> list[Owned]:
        """Functions of all tasks of a source, drawn or not."""
        return self._available.get((source, language), [])

    def tasks(self, source: str, language: Language) -> list[Task]:
        """All tasks of a source, drawn or not, in the order of their ids."""
        return self._tasks.get((source, language), [])
