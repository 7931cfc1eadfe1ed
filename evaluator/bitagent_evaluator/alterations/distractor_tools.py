"""Alteration `DistractorTools`: functions of other tasks among the task's own."""

from __future__ import annotations

import re
from typing import Any

from bitagent_crds.alterations import DistractorTools
from bitagent_crds.results import Expects, Task
from bitagent_evaluator.alterations.alteration import AlterationError, Altered, Reason, Skipped
from bitagent_evaluator.alterations.choices import Choices
from bitagent_evaluator.alterations.pool import Functions, Owned, Pool
from bitagent_evaluator.alterations.position import first_is_expected

_DRAWS_PER_FUNCTION = 16
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# fmt: off
_COMMON_WORDS = frozenset((
    "add", "and", "api", "by", "calculate", "check", "compute", "create", "data", "details", "determine", "fetch",
    "find", "for", "from", "function", "get", "in", "info", "list", "make", "of", "query", "retrieve", "search",
    "set", "show", "the", "to", "update", "with",
))
# fmt: on


class AddDistractors:
    """As many as the hash says, of the task set's other tasks, else of its source; in the form that they had before any alteration.

    A function is no distractor if its name is one of the task's after dots became underscores and letters small, or if they share a word
    that says what they do: it might answer the question as well. Names that the task had before it was altered count too.
    """

    def __init__(self, parameters: DistractorTools) -> None:
        if parameters.minimum > parameters.maximum:
            raise AlterationError(f"minimum {parameters.minimum} is above maximum {parameters.maximum}")
        self.parameters = parameters

    def apply(self, task: Task, *, choices: Choices, pool: Pool) -> Altered | Skipped:
        """Record: `added`, the tasks that the functions come from, by function."""
        if task.expects is Expects.NO_CALL:
            return Skipped(Reason.EXPECTS_NO_CALL)
        if not task.functions:
            return Skipped(Reason.TOO_FEW_FUNCTIONS)
        wanted = choices.number(self.parameters.minimum, self.parameters.maximum, "count")
        found = _draw(task, wanted, choices, pool.drawn(task.language))
        if len(found) < self.parameters.minimum:
            found = _draw(task, wanted, choices, pool.available(task.source, task.language))
        if len(found) < self.parameters.minimum:
            return Skipped(Reason.TOO_FEW_DISTRACTORS)
        functions = _among(task, [function for _, function in found], choices)
        added = {function["name"]: owner for owner, function in found}
        return Altered(task.model_copy(update={"functions": functions}), {"added": added})


def plain_name(name: str) -> str:
    """The name as those see it who know neither dots nor capitals."""
    return name.replace(".", "_").casefold()


def telling_words(name: str) -> set[str]:
    """The words of a name, without those that many functions have."""
    return {word.lower() for word in _WORD.findall(name)} - _COMMON_WORDS


def _draw(task: Task, wanted: int, choices: Choices, functions: Functions) -> list[Owned]:
    """Up to `wanted` candidates that go with the task and each other. Most tasks are served by the first few of the random places."""
    candidates = functions.owned
    if not candidates:
        return []
    own = [function["name"] for function in (*task.functions, *(task.parent.functions if task.parent else ()))]
    taken, telling = {plain_name(name) for name in own}, set[str]().union(*map(telling_words, own))
    found: list[Owned] = []

    def goes_with_it(name: str) -> bool:
        return plain_name(name) not in taken and not telling_words(name) & telling

    def look_at(place: int) -> None:
        owner, function = candidates[place]
        name = function["name"]
        if owner != task.id and goes_with_it(name):
            taken.add(plain_name(name))
            found.append(candidates[place])

    for attempt in range(wanted * _DRAWS_PER_FUNCTION):
        if len(found) == wanted:
            return found
        look_at(choices.number(0, len(candidates) - 1, "distractor", str(attempt)))
    rest = (place for name, places in functions.places.items() if goes_with_it(name) for place in places)
    for place in choices.mixed(rest, "distractors"):
        if len(found) == wanted:
            break
        look_at(place)
    return found


def _among(task: Task, added: list[dict[str, Any]], choices: Choices) -> list[dict[str, Any]]:
    """The task's functions in their order with the others between them."""
    functions = list(task.functions)
    fixed = 1 if first_is_expected(task.model_copy(update={"functions": [*functions, *added]})) else 0
    for i, function in enumerate(added):
        functions.insert(choices.number(fixed, len(functions), "place", str(i)), function)
    return functions
