"""The interfaces of alterations, what they are given, and the reasons for leaving a task alone.

All random choices are `Choices`: each is a SHA-256 of round seed, place in the spec, task id and the choice's label.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from bitagent_crds.jobs import RewriterAddress
from bitagent_crds.task_forms import Language
from bitagent_crds.task_set import Task
from bitagent_evaluator.alterations.rewrite_cache import RewriteCache
from bitagent_evaluator.support.progress import LogProgress, Progress

_json_text = json.encoder.encode_basestring_ascii
_LETTERS = "bcdfghjklmnpqrstvwxz"
_DIGITS = "23456789"
_PLACES = tuple((f', "{place}"]'.encode(), _LETTERS if place % 4 < 3 else _DIGITS) for place in range(8))
"""End of the label and possible characters for each place of an identifier."""


@dataclass(frozen=True)
class Choices:
    """The choices of one alteration for one task.

    A label always gives the same choice, on every machine and in every version; choices of different labels are
    independent of each other.
    """

    seed: str
    """The round's seed."""
    index: int
    """The alteration's place in the spec, from 0."""
    task_id: str

    def integer(self, low: int, high: int, *label: str) -> int:
        """Return an integer from `low` to `high`, both included. Raises ValueError if `high` is below `low`."""
        if high < low:
            raise ValueError(f"no number from {low} to {high}")
        array = self._hash(*label)
        array.update(b"]")
        return low + int.from_bytes(array.digest(), "big") % (high - low + 1)

    def applies(self, percent: int) -> bool:
        """Return whether this task is among the `percent` of all tasks that are altered."""
        return self.integer(0, 99, "percent") < percent

    def permutation(self, count: int, *label: str) -> list[int]:
        """Return the integers below `count` in random order."""
        return self.shuffled(range(count), *label)

    def shuffled(self, numbers: Iterable[int], *label: str) -> list[int]:
        """Return distinct non-negative integers in the order that they have in every `permutation` of this label."""
        return sorted(numbers, key=lambda i: (self.integer(0, 2**256 - 1, "order", *label, str(i)), i))

    def identifier(self, *label: str, avoid: Container[str]) -> str:
        """Return a random identifier: no word, no keyword of any language, and none of `avoid` (in lower case)."""
        attempt = 0
        while True:
            start = self._hash("name", *label, str(attempt))
            name = "".join([_character(start.copy(), end, letters) for end, letters in _PLACES])
            if name not in avoid:
                return name
            attempt += 1

    def similar_character(self, character: str, *label: str) -> str:
        """Return a random ASCII letter of the same case for an ASCII letter, a digit from 2 to 9 for a digit.

        Any other character is returned unchanged.
        """
        if character.isascii() and character.isdigit():
            return self._pick(_DIGITS, *label)
        if character.isascii() and character.isalpha():
            return self._pick(_LETTERS if character.islower() else _LETTERS.upper(), *label)
        return character

    def _pick(self, alphabet: str, *label: str) -> str:
        return alphabet[self.integer(0, len(alphabet) - 1, *label)]

    def _hash(self, *label: str) -> hashlib._Hash:
        """Return the hash of the JSON array of all that a choice depends on, without its end.

        To continue the hash of what the choices of a task share takes half the time of a whole one.
        """
        extended = self._start.copy()
        extended.update("".join([", " + _json_text(part) for part in label]).encode())
        return extended

    @functools.cached_property
    def _start(self) -> hashlib._Hash:
        return hashlib.sha256(json.dumps(["alter", self.seed, self.index, self.task_id])[:-1].encode())


@dataclass(frozen=True)
class AlterationContext:
    """External resources for alterations: API keys, cached rewriter responses, progress."""

    api_keys: Mapping[int, str] = field(default_factory=dict, repr=False)
    """By the alteration's place in the spec."""
    rewrites: RewriteCache = field(default_factory=RewriteCache)
    """Rewriter responses, read from an earlier build and extended by this one."""
    progress: Progress = field(default_factory=LogProgress)
    rewriter: RewriterAddress | None = None
    """The rewriter of the round's Validator, for a rewrite that names no url; None where only its responses are."""


def _character(start: hashlib._Hash, end: bytes, letters: str) -> str:
    start.update(end)
    return letters[int.from_bytes(start.digest(), "big") % len(letters)]


OwnedFunction = tuple[str, dict[str, Any]]
"""A task's id and one of its functions."""


@dataclass(frozen=True)
class FunctionIndex:
    """Functions of many tasks, and where each name occurs among them.

    Tasks often share their functions, so looking up a name rules out all functions of that name at once.
    """

    functions: list[OwnedFunction] = field(default_factory=list)
    places: dict[str, list[int]] = field(default_factory=dict)
    """Indices into `functions` by name."""

    def add(self, task: Task) -> None:
        """Append the functions of one task."""
        for function in task.functions:
            self.places.setdefault(function["name"], []).append(len(self.functions))
            self.functions.append((task.id, function))


class TaskPool:
    """Unaltered tasks and their functions, by source and language.

    `drawn` are the tasks of the task set, `available` all tasks that their sources have. The order of either does not
    matter.
    """

    def __init__(self, drawn: Iterable[Task], available: Iterable[Task] = ()) -> None:
        self._drawn: dict[Language, FunctionIndex] = {}
        self._available: dict[tuple[str, Language], FunctionIndex] = {}
        tasks: dict[tuple[str, Language], dict[str, Task]] = {}
        for task in sorted(drawn, key=lambda task: task.id):
            self._drawn.setdefault(task.language, FunctionIndex()).add(task)
            tasks.setdefault((task.source, task.language), {})[task.id] = task
        for task in sorted(available, key=lambda task: task.id):
            self._available.setdefault((task.source, task.language), FunctionIndex()).add(task)
            tasks.setdefault((task.source, task.language), {})[task.id] = task
        self._tasks = {key: [found[task_id] for task_id in sorted(found)] for key, found in tasks.items()}

    def drawn(self, language: Language) -> FunctionIndex:
        """Return the functions of the task set in one language."""
        return self._drawn.get(language, FunctionIndex())

    def available(self, source: str, language: Language) -> FunctionIndex:
        """Return the functions of all tasks of a source, drawn or not."""
        return self._available.get((source, language), FunctionIndex())

    def tasks(self, source: str, language: Language) -> list[Task]:
        """Return all tasks of a source, drawn or not, in the order of their ids."""
        return self._tasks.get((source, language), [])


class AlterationError(ValueError):
    """Raised when an alteration's parameters contradict each other; the message says how."""


class SkipReason(StrEnum):
    """Why a task was left alone; a manifest counts tasks by these values."""

    NOT_CHOSEN = "not_chosen"
    """The alteration applies, but `percent` left the task out."""
    EXPECTS_NO_CALL = "expects_no_call"
    """No call is right: there is no function to remove, and an additional one might fit."""
    EXPECTS_ANY_CALL = "expects_any_call"
    """Any call is right, so no function is the expected one."""
    TOO_FEW_FUNCTIONS = "too_few_functions"
    """The task has no function, or only one where two are needed."""
    NO_OTHER_FUNCTION = "no_other_function"
    """Only expected functions are offered: without them the task would have none."""
    TOO_FEW_DISTRACTORS = "too_few_distractors"
    """Other tasks have fewer than `minimum` functions of this language that do not clash."""
    SAME_ORDER = "same_order"
    """The drawn order is the one that the functions have already."""
    DUPLICATE_NAMES = "duplicate_names"
    """Two functions share a name, so a call does not say which one it means."""
    CONVERSATION = "conversation"
    """Several turns, or messages with earlier calls or content that is not text: no rename can follow."""
    NO_PARAMETERS = "no_parameters"
    """No function has a parameter."""
    UNDESCRIBED_GROUND_TRUTH = "undescribed_ground_truth"
    """The ground truth has a function, parameter or nested property that no function describes."""
    NO_CERTAIN_DEFAULT = "no_certain_default"
    """No default value is stated clearly enough to replace it, or the question itself names each."""
    EXPECTS_TEXT = "expects_text"
    """The right answer is a text, not a call."""
    NO_USER_TEXT = "no_user_text"
    """No user message has text."""
    SEVERAL_QUESTIONS = "several_questions"
    """The task has more than one user message, or messages after it."""
    NO_PARTNER = "no_partner"
    """No other task can be merged with this one."""
    LANGUAGE = "language"
    """Java and JavaScript values are source text, and an answer is one call: no certain change of either."""


@dataclass(frozen=True)
class Altered:
    """A changed task."""

    task: Task
    """The task after the change; the pipeline sets its `alterations` and `parent`."""
    parameters: dict[str, Any]
    """The choices made, enough to undo the change."""
    parts: Mapping[str, int] = field(default_factory=dict)
    """Number of changed parts of the task by kind, where an alteration changes several kinds."""


@dataclass(frozen=True)
class Skipped:
    """A task that the alteration does not apply to."""

    reason: str
    """A `SkipReason`, or another identifier in that style that the alteration defines."""


class Alteration(Protocol):
    """A change to one task.

    Constructed as `Alteration(parameters)` from its member of the spec; raises AlterationError if they contradict each
    other.
    """

    def apply(self, task: Task, *, choices: Choices, pool: TaskPool) -> Altered | Skipped:
        """Return the changed task, or why it is left alone.

        Pure: equal arguments give equal results, and `task` is not modified.
        An answer made of the first allowed values of the changed ground truth passes wherever it passed before.
        """
        ...


@runtime_checkable
class BatchAlteration(Protocol):
    """A change that depends on an external service and is made to many tasks at once. Constructed like an `Alteration`.

    The pipeline chooses the tasks: it passes only tasks that have no skip reason and that `percent` chose.
    """

    version: str
    """Versions of what the change depends on, for the manifest."""

    def skip_reason(self, task: Task) -> str | None:
        """Return why the task cannot be changed whatever the service answers, else None. Pure."""
        ...

    def apply_all(
        self, tasks: Sequence[Task], *, seed: str, index: int, context: AlterationContext
    ) -> list[Altered | Skipped]:
        """Return one outcome per task, in order; `index` is the alteration's place in the spec.

        Right answers stay right, as for `Alteration`. Equal tasks, seed and cached responses give equal outcomes.
        Raises InfrastructureFault if the service cannot be used.
        """
        ...
