"""Source `bfcl`: the official cases of the installed bfcl-eval package, single-turn and multi-turn.

The package's data files are read directly, because importing its loaders creates folders beside the installed package.
Tasks keep the official ids, functions and possible answers.

A multi-turn case names its simulated systems. Its functions are those of the systems, in the order of both, without
the ones that the case holds back until a later turn. The `excluded_function` of some cases is ignored, as in the
leaderboard's loader.

A question about a memory follows conversations that the package lists by scenario, and that are held first when a model
is evaluated (`memory_conversations`). The leaderboard asks each question with three kinds of memory. The cases that
search the web are left out: a round reaches no search engine.

A case of format sensitivity is a case of another category with a variation of the prompt. The package lists the ids of
200 cases; their order, and that of the variations, gives the official ids.
"""

from __future__ import annotations

import importlib.resources
import itertools
import json
from importlib.metadata import version
from importlib.resources.abc import Traversable
from typing import Any

from bfcl_eval.constants.default_prompts import ADDITIONAL_SYSTEM_PROMPT_FOR_AGENTIC_RESPONSE_FORMAT as _ANSWER_FORMAT
from bfcl_eval.constants.executable_backend_config import MULTI_TURN_FUNC_DOC_FILE_MAPPING

from bitagent_crds.task_forms import Expects, Language, MemoryBackend
from bitagent_crds.task_set import PROMPT_VARIATIONS, Conversation, Memory, PromptVariation, Task
from bitagent_crds.tasks import MEMORY, MULTI_TURN, BfclCategory, BfclSource
from bitagent_evaluator.scoring.multi_turn.memory import system_name
from bitagent_evaluator.tasks.files import TaskSetError
from bitagent_evaluator.tasks.sources.base import SourceInputs

_LANGUAGES = {BfclCategory.SIMPLE_JAVA: Language.JAVA, BfclCategory.SIMPLE_JAVASCRIPT: Language.JAVASCRIPT}
_EXPECTS = {
    BfclCategory.IRRELEVANCE: Expects.NO_CALL,
    BfclCategory.LIVE_IRRELEVANCE: Expects.NO_CALL,
    BfclCategory.LIVE_RELEVANCE: Expects.ANY_CALL,
}


class BfclTasks:
    """Reads all cases of the chosen categories."""

    name = "bfcl"

    def __init__(self, source: BfclSource, inputs: SourceInputs | None = None) -> None:
        self.version = f"bfcl-eval {version('bfcl-eval')}"
        self.parameters = source.to_wire()
        self.skipped: dict[str, int] = {}
        self._categories = sorted(set(source.categories))

    def tasks(self) -> list[Task]:
        """Return the cases, category by category. Raises TaskSetError if the package's data cannot be read."""
        return [task for category in self._categories for task in _category(category)]


def expects_of(category: BfclCategory) -> Expects:
    """Return what a right answer to a category's cases is."""
    if category in MEMORY:
        return Expects.ANSWER
    return Expects.STATE if category in MULTI_TURN else _EXPECTS.get(category, Expects.CALLS)


def is_long_context(category: BfclCategory) -> bool:
    """Return whether the systems of a category's conversations are filled with much irrelevant content."""
    return category is BfclCategory.MULTI_TURN_LONG_CONTEXT


def language_of(category: BfclCategory) -> Language:
    """Return the language of a category's functions."""
    return _LANGUAGES.get(category, Language.PYTHON)


def variation_of(case_id: str) -> PromptVariation:
    """Return the variation that is part of a format sensitivity case's id. Raises LookupError."""
    return _BY_CONFIGURATION[case_id.split(":")[1]]


_MEMORY_CASES = "memory"
"""Name of the package's files of questions, and part of the ids in them."""
_BY_CONFIGURATION = {variation.configuration: variation for variation in PROMPT_VARIATIONS}


def _format_sensitivity() -> list[Task]:
    file = importlib.resources.files("bfcl_eval") / "data" / f"BFCL_v4_{BfclCategory.FORMAT_SENSITIVITY}.json"
    try:
        listed = {BfclCategory(name): frozenset(ids) for name, ids in json.loads(file.read_text("utf-8")).items()}
    except (OSError, ValueError) as error:
        raise TaskSetError(f"the bfcl-eval package's data cannot be read: {error!r}") from error
    cases = [task for category, ids in listed.items() for task in _category(category) if task.id in ids]
    varied = itertools.product(cases, PROMPT_VARIATIONS)
    return [
        task.model_copy(
            update={
                "id": f"{BfclCategory.FORMAT_SENSITIVITY}_{number}:{variation.configuration}:{task.id}",
                "category": BfclCategory.FORMAT_SENSITIVITY.value,
                "variation": variation,
            }
        )
        for number, (task, variation) in enumerate(varied)
    ]


def memory_conversations(scenario: str) -> list[list[list[dict[str, Any]]]]:
    """Return the conversations of a scenario, in order: the user's messages of each turn of each.

    Raises TaskSetError if the package does not have it.
    """
    file = importlib.resources.files("bfcl_eval") / "data" / "memory_prereq_conversation" / f"memory_{scenario}.json"
    try:
        return [entry["question"] for entry in _entries(file)]
    except (OSError, LookupError, ValueError) as error:
        raise TaskSetError(f"scenario {scenario}: the bfcl-eval package's data cannot be read: {error!r}") from error


def _memory(category: BfclCategory) -> list[Task]:
    data = importlib.resources.files("bfcl_eval") / "data"
    backend = MemoryBackend(category.removeprefix(f"{_MEMORY_CASES}_"))
    try:
        functions = _Documentation(data / "multi_turn_func_doc").functions_of(system_name(backend))
        entries = _entries(data / f"BFCL_v4_{_MEMORY_CASES}.json")
        truths = _entries(data / "possible_answer" / f"BFCL_v4_{_MEMORY_CASES}.json")
        answers = {entry["id"]: entry["ground_truth"] for entry in truths}
        return [
            Task(
                id=entry["id"].replace(_MEMORY_CASES, category, 1),
                source=BfclTasks.name,
                category=category.value,
                messages=[{"role": "system", "content": _ANSWER_FORMAT}, *entry["question"][0]],
                functions=functions,
                expects=Expects.ANSWER,
                memory=Memory(backend=backend, scenario=entry["scenario"], answers=answers[entry["id"]]),
            )
            for entry in entries
        ]
    except (OSError, LookupError, ValueError) as error:
        raise TaskSetError(f"category {category}: the bfcl-eval package's data cannot be read: {error!r}") from error


def _category(category: BfclCategory) -> list[Task]:
    if category is BfclCategory.FORMAT_SENSITIVITY:
        return _format_sensitivity()
    if category in MEMORY:
        return _memory(category)
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
    """Function descriptions of the simulated systems, each file read once."""

    def __init__(self, folder: Traversable) -> None:
        self._folder = folder
        self._read: dict[str, list[dict[str, Any]]] = {}

    def functions_of(self, system: str) -> list[dict[str, Any]]:
        """Return the system's functions, in the order of its file."""
        if system not in self._read:
            self._read[system] = _entries(self._folder / MULTI_TURN_FUNC_DOC_FILE_MAPPING[system])
        return self._read[system]


def _conversation(
    category: BfclCategory, entry: dict[str, Any], ground_truth: list[list[str]], documentation: _Documentation
) -> Task:
    functions = [function for system in entry["involved_classes"] for function in documentation.functions_of(system)]
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
