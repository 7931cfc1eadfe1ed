"""Applying alterations to tasks made by hand, and the official cases, read once."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bitagent_crds.alterations import Alteration
from bitagent_crds.task_set import AlterationManifest, Task
from bitagent_crds.tasks import BfclCategory, BfclSource
from bitagent_evaluator.alterations.pipeline import alter_tasks
from bitagent_evaluator.tasks.sources.bfcl import BfclTasks

Result = tuple[list[Task], list[AlterationManifest]]


@pytest.fixture(scope="session")
def alter() -> Callable[..., Result]:
    """Apply the named alterations with the same parameters; the given tasks must not change."""

    def apply(given: Task | Sequence[Task], *names: str, seed: str = "seed", **parameters: Any) -> Result:
        tasks = [given] if isinstance(given, Task) else list(given)
        before = copy.deepcopy(tasks)
        result = alter_tasks(tasks, [Alteration.model_validate({name: parameters}) for name in names], seed=seed)
        assert tasks == before, "the given tasks were modified"
        return result

    return apply


@pytest.fixture(scope="session")
def skip_reasons(alter: Callable[..., Result]) -> Callable[..., dict[str, int]]:
    """Apply one alteration that must leave all tasks alone; return the counts of its skip reasons."""

    def apply(given: Task | Sequence[Task], name: str, **parameters: Any) -> dict[str, int]:
        tasks, (manifest,) = alter(given, name, **parameters)
        assert tasks == ([given] if isinstance(given, Task) else list(given))
        assert manifest.applied == 0
        return manifest.skipped

    return apply


@pytest.fixture(scope="session")
def official_cases() -> Callable[[str], list[Task]]:
    """Read the official cases of a category, once in a session."""

    @functools.cache
    def read(category: str) -> list[Task]:
        return BfclTasks(BfclSource(categories=[BfclCategory(category)])).tasks()

    return read
