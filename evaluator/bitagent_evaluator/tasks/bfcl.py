"""Source `bfcl`: the official cases of the installed bfcl-eval package, single-turn and multi-turn.

Read from the package's data files; its loaders create folders beside the installed package when they are imported. Tasks keep the
official ids, functions and possible answers unchanged. A multi-turn case names the simulated systems that take part: its functions are those
of the systems, in the order of both, without the ones that the case holds back until a later turn. (The `excluded_function` of some cases
is no instruction: the leaderboard's loader does not read it either.)
"""

from __future__ import annotations

import importlib.resources
import json
from importlib.metadata import version
from importlib.resources.abc import Traversable
from typing import Any

from bfcl_eval.constants.executable_backend_config import MULTI_TURN_FUNC_DOC_FILE_MAPPING

from bitagent_crds.results import Conversation, Expects, Language, Task
from bitagent_crds.sources import MULTI_TURN, BfclCategory, BfclSource
from bitagent_evaluator.tasks.errors import TaskSetError
from bitagent_evaluator.tasks.source import Inputs

_LANGUAGES = {BfclCategory.SIMPLE_JAVA: Language.JAVA, BfclCategory.SIMPLE_JAVASCRIPT: Language.JAVASCRIPT}
_EXPECTS = {
    BfclCategory.IRRELEVANCE: Expects.NO_CALL,
    BfclCategory.LIVE_IRRELEVANCE: Expects.NO_CALL,
    BfclCategory.LIVE_RELEVANCE: Expects.ANY_CALL,
}


class BfclTasks:
    """All cases of some categories."""

    name = "bfcl"

    def __init__(self, source: BfclSource, inputs: Inputs | None = None) -> None:
        self.version = f"bfcl-eval {version('bfcl-eval')}"
        self.parameters = source.to_wire()
        self.skipped: dict[str, int] = {}
        self._categories = sorted(set(source.categories))

    def tasks(self) -> list[Task]:
        """The cases, category by category. Raises TaskSetError when the package's data is not what this version should hold."""
        return [task for category in self._categories for task in _category(category)]


def expects_of(category: BfclCategory) -> Expects:
    """What a right answer to a category's cases looks like."""
    return Expects.STATE if category in MULTI_TURN else _EXPECTS.get(category, Expects.CALLS)


def is_long_context(category: BfclCategory) -> bool:
    """Whether the systems of a category's conversations are filled with much irrelevant content."""
    return category is BfclCategory.MULTI_TURN_LONG_CONTEXT


def language_of(category: BfclCategory) -> Language:
    """The language that a category's functions are written in."""
    return _LANGUAGES.get(category, Language.PYTHON)


def _category(category: BfclCategory) -> list[Task]:
    data = importlib.resources.files("bfcl_eval") / "data"
    expects = expects_of(category)
    answers: dict[str, Any] = {}
    try:
        if expects in (Expects.CALLS, Expects.STATE):
            for entry in _entries(data / "possible_answer" / f"BFCL_v4_{category}.json"):
                answers[entry["id"]] = entry["ground_truth"]
        entries = _entries(data / f"BFCL_v4_{category}.json")
        if expects is Expects.STATE:
            documentation = _Documentation(data / "multi_turn_func_doc")
            return [_conversation(category, entry, answers[entry["id"]], documentation) for entry in entries]
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
            for entry in entries
        ]
    except (OSError, LookupError, ValueError) as error:
        raise TaskSetError(f"category {category}: the bfcl-eval package's data cannot be read: {error!r}") from error


class _Documentation:
    """Function descriptions by simulated system."""

    def __init__(self, folder: Traversable) -> None:
        self._folder = folder
        self._read: dict[str, list[dict[str, Any]]] = {}

    def of(self, system: str) -> list[dict[str, Any]]:
        """The system's functions, in the order of its file."""
        if system not in self._read:
            self._read[system] = _entries(self._folder / MULTI_TURN_FUNC_DOC_FILE_MAPPING[system])
        return self._read[system]


def _conversation(
    category: BfclCategory, entry: dict[str, Any], ground_truth: list[list[str]], documentation: _Documentation
) -> Task:
    functions = [function for system in entry["involved_classes"] for function in documentation.of(system)]
    by_name = {function["name"]: function for function in functions}
    held_back = {turn: [by_name[name] for name in names] for turn, names in entry.get("missed_function", {}).items()}
    missing = {function["name"] for late in held_back.values() for function in late}
    return Task(
        id=entry["id"],
        source=BfclTasks.name,
        category=category.value,
        messages=entry["question"][0],
        functions=[function for function in functions if function["name"] not in missing],
        expects=Expects.STATE,
        conversation=Conversation(
            turns=entry["question"],
            ground_truth=ground_truth,
            classes=entry["involved_classes"],
            initial_state=entry["initial_config"],
            held_back=held_back,
            long_context=is_long_context(category),
        ),
    )


def _entries(file: Traversable) -> list[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]
