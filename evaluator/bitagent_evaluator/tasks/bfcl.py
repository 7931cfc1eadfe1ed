"""Source `bfcl`: the official single-turn cases of the installed bfcl-eval package.

Read from the package's data files; its loaders create folders beside the installed package when they are imported. Tasks keep the
official ids, functions and possible answers unchanged.
"""

from __future__ import annotations

import importlib.resources
import json
from importlib.metadata import version
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from bitagent_crds.results import Expects, Language, Task
from bitagent_crds.sources import BfclCategory, BfclSource
from bitagent_evaluator.tasks.errors import TaskSetError

_LANGUAGES = {BfclCategory.SIMPLE_JAVA: Language.JAVA, BfclCategory.SIMPLE_JAVASCRIPT: Language.JAVASCRIPT}
_EXPECTS = {
    BfclCategory.IRRELEVANCE: Expects.NO_CALL,
    BfclCategory.LIVE_IRRELEVANCE: Expects.NO_CALL,
    BfclCategory.LIVE_RELEVANCE: Expects.ANY_CALL,
}


class BfclTasks:
    """All cases of some categories."""

    name = "bfcl"

    def __init__(self, source: BfclSource, file: Path | None = None) -> None:
        self.version = f"bfcl-eval {version('bfcl-eval')}"
        self.parameters = source.to_wire()
        self._categories = sorted(set(source.categories))

    def tasks(self) -> list[Task]:
        """The cases, category by category. Raises TaskSetError when the package's data is not what this version should hold."""
        return [task for category in self._categories for task in _category(category)]


def expects_of(category: BfclCategory) -> Expects:
    """What a right answer to a category's cases looks like."""
    return _EXPECTS.get(category, Expects.CALLS)


def language_of(category: BfclCategory) -> Language:
    """The language that a category's functions are written in."""
    return _LANGUAGES.get(category, Language.PYTHON)


def _category(category: BfclCategory) -> list[Task]:
    data = importlib.resources.files("bfcl_eval") / "data"
    expects = expects_of(category)
    answers: dict[str, Any] = {}
    try:
        if expects is Expects.CALLS:
            for entry in _entries(data / "possible_answer" / f"BFCL_v4_{category}.json"):
                answers[entry["id"]] = entry["ground_truth"]
        return [
            Task(
                id=entry["id"],
                source=BfclTasks.name,
                category=category.value,
                messages=entry["question"][0],
                functions=entry["function"],
                expects=expects,
                language=language_of(category),
                ground_truth=answers[entry["id"]] if expects is Expects.CALLS else None,
            )
            for entry in _entries(data / f"BFCL_v4_{category}.json")
        ]
    except (OSError, LookupError, ValueError) as error:
        raise TaskSetError(f"category {category}: the bfcl-eval package's data cannot be read: {error!r}") from error


def _entries(file: Traversable) -> list[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]
