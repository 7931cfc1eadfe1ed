"""Alterations of the tool list: `ToolShuffle`, `DistractorTools`, `Irrelevance`.

They share one rule of the official checker (`needs_expected_first`): it compares the answer to a task of one function
with the first function, whatever its name.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from bitagent_crds.alterations import DistractorTools, Irrelevance, ToolShuffle
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.alterations.base import (
    AlterationError,
    Altered,
    Choices,
    FunctionIndex,
    OwnedFunction,
    Skipped,
    SkipReason,
    TaskPool,
)
from bitagent_evaluator.alterations.renaming import has_duplicates
from bitagent_evaluator.scoring.bfcl import checker_category

_DRAWS_PER_FUNCTION = 16
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# fmt: off
_COMMON_WORDS = frozenset((
    "add", "and", "api", "by", "calculate", "check", "compute", "create", "data", "details", "determine", "fetch",
    "find", "for", "from", "function", "get", "in", "info", "list", "make", "of", "query", "retrieve", "search",
    "set", "show", "the", "to", "update", "with",
))
_FILLERS = frozenset((
    "about", "also", "based", "been", "between", "both", "each", "given", "have", "help", "into", "like", "more",
    "need", "only", "other", "over", "please", "provided", "specific", "specified", "some", "such", "than", "that",
    "their", "them", "then", "there", "these", "they", "this", "those", "used", "using", "want", "were", "what",
    "when", "where", "which", "will", "would", "your",
))
# fmt: on
_LONG_WORD = 4
"""Letters of a word that says what a text is about."""


def needs_expected_first(task: Task) -> bool:
    """Return whether the expected function must stay in the first place when functions are added or shuffled."""
    if task.expects is not Expects.CALLS:
        return False
    rule = checker_category(task)
    return "multiple" not in rule and "parallel" not in rule


def normalise_name(name: str) -> str:
    """Return a function's name in lower case with underscores for dots, as a model that ignores both may read it."""
    return name.replace(".", "_").casefold()


@functools.lru_cache(maxsize=1 << 16)  # a thousand tasks consider the same functions
def distinctive_words(name: str) -> frozenset[str]:
    """Return the words of a name, in lower case, without those that many functions have."""
    return frozenset(word.lower() for word in _WORD.findall(name)) - _COMMON_WORDS


class ShuffleTools:
    """Shuffle the functions. All orders are equally likely; a task that draws its own order is skipped."""

    def __init__(self, parameters: ToolShuffle) -> None:
        self.parameters = parameters

    def apply(self, task: Task, *, choices: Choices, pool: TaskPool) -> Altered | Skipped:
        """Return the task with shuffled functions. Record: `order`, the former places of the functions."""
        fixed = 1 if needs_expected_first(task) else 0
        if len(task.functions) < fixed + 2:
            return Skipped(SkipReason.TOO_FEW_FUNCTIONS)
        if has_duplicates(task):  # the checker uses the first of a name
            return Skipped(SkipReason.DUPLICATE_NAMES)
        order = [*range(fixed), *(fixed + i for i in choices.permutation(len(task.functions) - fixed, "shuffle"))]
        if order == sorted(order):
            return Skipped(SkipReason.SAME_ORDER)
        return Altered(task.model_copy(update={"functions": [task.functions[i] for i in order]}), {"order": order})


class AddDistractors:
    """Add unaltered functions of the task set's other tasks, or of the task's source if those are too few.

    A function is not added if it might answer the question, too: if its normalised name is that of one of the
    task's functions, or if they share a distinctive word. Names that the task had before it was altered count as well.
    A task for which no call is right gets functions that share no word with its question: without any, the number of
    functions would tell the right answer.
    """

    def __init__(self, parameters: DistractorTools) -> None:
        if parameters.minimum > parameters.maximum:
            raise AlterationError(f"minimum {parameters.minimum} is above maximum {parameters.maximum}")
        self.parameters = parameters

    def apply(self, task: Task, *, choices: Choices, pool: TaskPool) -> Altered | Skipped:
        """Return the task with more functions. Record: `added`, the ids of their tasks by function name."""
        if not task.functions:
            return Skipped(SkipReason.TOO_FEW_FUNCTIONS)
        count = choices.integer(self.parameters.minimum, self.parameters.maximum, "count")
        found = _draw(task, count, choices, pool.drawn(task.language))
        if len(found) < self.parameters.minimum:
            found = _draw(task, count, choices, pool.available(task.source, task.language))
        if len(found) < self.parameters.minimum:
            return Skipped(SkipReason.TOO_FEW_DISTRACTORS)
        functions = _insert(task, [function for _, function in found], choices)
        added = {function["name"]: owner for owner, function in found}
        return Altered(task.model_copy(update={"functions": functions}), {"added": added})


def _draw(task: Task, count: int, choices: Choices, index: FunctionIndex) -> list[OwnedFunction]:
    """Return up to `count` functions that clash neither with the task's nor with each other.

    A few random draws suffice for most tasks; only then are all functions tried in random order.
    """
    candidates = index.functions
    if not candidates:
        return []
    own = [function["name"] for function in (*task.functions, *(task.parent.functions if task.parent else ()))]
    taken, words = {normalise_name(name) for name in own}, set[str]().union(*map(distinctive_words, own))
    topic = _topic(task) if task.expects is Expects.NO_CALL else frozenset[str]()
    found: list[OwnedFunction] = []

    def fits(name: str) -> bool:
        return normalise_name(name) not in taken and not distinctive_words(name) & words

    def consider(place: int) -> None:
        owner, function = candidates[place]
        if owner != task.id and fits(function["name"]) and not _is_about(function, topic):
            taken.add(normalise_name(function["name"]))
            found.append(candidates[place])

    for attempt in range(count * _DRAWS_PER_FUNCTION):
        if len(found) == count:
            return found
        consider(choices.integer(0, len(candidates) - 1, "distractor", str(attempt)))
    rest = (place for name, places in index.places.items() if fits(name) for place in places)
    for place in choices.shuffled(rest, "distractors"):
        if len(found) == count:
            break
        consider(place)
    return found


def _topic(task: Task) -> frozenset[str]:
    """Return the words of a task's messages that say what it is about; plurals count as their singulars."""
    return frozenset().union(*(_words(str(message.get("content") or "")) for message in task.messages))


def _is_about(function: dict[str, Any], topic: frozenset[str]) -> bool:
    """Whether a function's name or description has a word of a topic."""
    return bool(topic) and not topic.isdisjoint(_words(f"{function['name']} {function.get('description') or ''}"))


def _words(text: str) -> frozenset[str]:
    found = {word.lower().removesuffix("s") for word in _WORD.findall(text)}
    return frozenset(word for word in found if len(word) >= _LONG_WORD) - _COMMON_WORDS - _FILLERS


def _insert(task: Task, added: list[dict[str, Any]], choices: Choices) -> list[dict[str, Any]]:
    """Return the task's functions in their order with the added ones at random places between them."""
    functions = list(task.functions)
    fixed = 1 if needs_expected_first(task.model_copy(update={"functions": [*functions, *added]})) else 0
    for i, function in enumerate(added):
        functions.insert(choices.integer(fixed, len(functions), "place", str(i)), function)
    return functions


class RemoveExpected:
    """Remove the expected functions: the right answer is then no call. The category stays the source's."""

    def __init__(self, parameters: Irrelevance) -> None:
        self.parameters = parameters

    def apply(self, task: Task, *, choices: Choices, pool: TaskPool) -> Altered | Skipped:
        """Return the task without its expected functions. Record: `removed`, their names."""
        if task.expects is not Expects.CALLS:
            no_call = task.expects is Expects.NO_CALL
            return Skipped(SkipReason.EXPECTS_NO_CALL if no_call else SkipReason.EXPECTS_ANY_CALL)
        expected = {name for call in task.ground_truth or [] for name in call}
        removed = [function["name"] for function in task.functions if function["name"] in expected]
        if set(removed) != expected:
            return Skipped(SkipReason.UNDESCRIBED_GROUND_TRUTH)
        rest = [function for function in task.functions if function["name"] not in expected]
        if not rest:
            return Skipped(SkipReason.NO_OTHER_FUNCTION)
        changes = {"functions": rest, "expects": Expects.NO_CALL, "ground_truth": None}
        return Altered(task.model_copy(update=changes), {"removed": removed})
