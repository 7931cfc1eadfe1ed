"""A task with one function, for the tests of prompt formats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bitagent_crds.task_forms import Expects, Language
from bitagent_crds.task_set import Task

MakeTask = Callable[..., Task]


@pytest.fixture
def task() -> MakeTask:
    """Return a builder of tasks: their messages, their language, and the parameters of their function."""

    def build(
        *, messages: list[dict[str, Any]] | None = None, language: Language = Language.PYTHON, **properties: Any
    ) -> Task:
        parameters = {
            "type": "dict",
            "properties": properties or {"a": {"type": "float", "description": "It."}},
            "required": ["a"],
        }
        return Task(
            id="t",
            source="test",
            category="c",
            messages=messages or [{"role": "user", "content": "Add 1 and 2, {please}."}],
            functions=[{"name": "calc.add", "description": "Adds.", "parameters": parameters}],
            expects=Expects.NO_CALL,
            language=language,
        )

    return build
