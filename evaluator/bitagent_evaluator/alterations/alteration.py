"""The interfaces of alterations and their registry, whose names are the types of the members of `Alteration` in an EvalRound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from bitagent_crds.results import Task
from bitagent_evaluator.alterations.choices import Choices
from bitagent_evaluator.alterations.means import Means
from bitagent_evaluator.alterations.pool import Pool
from bitagent_evaluator.registry import Registry

ALTERATIONS = Registry(
    what="alteration",
    group="bitagent.alterations",
    builtin={
        "ToolShuffle": "bitagent_evaluator.alterations.tool_shuffle:ShuffleTools",
        "DistractorTools": "bitagent_evaluator.alterations.distractor_tools:AddDistractors",
        "Irrelevance": "bitagent_evaluator.alterations.irrelevance:RemoveExpected",
        "FunctionMask": "bitagent_evaluator.alterations.function_mask:MaskFunctions",
        "ParameterMask": "bitagent_evaluator.alterations.parameter_mask:MaskParameters",
        "DefaultValueMask": "bitagent_evaluator.alterations.default_value_mask:MaskDefaultValues",
        "Rewrite": "bitagent_evaluator.alterations.rewriting.rewrite:RewordTurns",
        "Merge": "bitagent_evaluator.alterations.merge:MergeTasks",
    },
)


class AlterationError(ValueError):
    """The parameters contradict each other; the message says how."""


class Reason(StrEnum):
    """Why a task was left alone. Alterations of other distributions may have reasons of their own."""

    NOT_CHOSEN = "not_chosen"
    """It applies, but `percent` left the task out."""
    EXPECTS_NO_CALL = "expects_no_call"
    """The right answer is no call: nothing can be taken away, and a function more might fit."""
    EXPECTS_ANY_CALL = "expects_any_call"
    """The right answer is any call: no function is the expected one."""
    TOO_FEW_FUNCTIONS = "too_few_functions"
    """The task has none, or one where two are needed."""
    NO_OTHER_FUNCTION = "no_other_function"
    """Without the expected functions none would be left."""
    TOO_FEW_DISTRACTORS = "too_few_distractors"
    """The other tasks have fewer functions of this language without a clash than the minimum."""
    SAME_ORDER = "same_order"
    """The order drawn is the one that the functions have."""
    DUPLICATE_NAMES = "duplicate_names"
    """Two functions share a name, so the name does not say which is meant."""
    CONVERSATION = "conversation"
    """Several turns, or messages that hold earlier calls or content that is not text: names in them cannot be followed."""
    NO_PARAMETERS = "no_parameters"
    """No function takes a parameter."""
    UNDESCRIBED_GROUND_TRUTH = "undescribed_ground_truth"
    """The ground truth names a function, parameter or nested property that the functions do not describe."""
    NO_CERTAIN_DEFAULT = "no_certain_default"
    """No default value is named plainly enough to change it, or the question itself names each."""
    EXPECTS_TEXT = "expects_text"
    """The right answer is a text, and no function is called."""
    NO_USER_TEXT = "no_user_text"
    """No turn of the user has text."""
    SEVERAL_QUESTIONS = "several_questions"
    """More than one turn of the user, or further turns after it."""
    NO_PARTNER = "no_partner"
    """No other task goes with this one."""
    LANGUAGE = "language"
    """In Java and JavaScript values are source text, and no answer has several calls: neither can be changed with certainty."""


@dataclass(frozen=True)
class Altered:
    """A changed task."""

    task: Task
    """The task with its change; `alterations` and `parent` are the pipeline's to write."""
    parameters: dict[str, Any]
    """What was chosen: enough to see the way back."""


@dataclass(frozen=True)
class Skipped:
    """A task that the alteration does not apply to."""

    reason: str
    """A `Reason`, or the alteration's own in that style."""


class Alteration(Protocol):
    """One kind of change. Made as `Alteration(parameters)`: its member of the spec. Raises AlterationError when they make no sense."""

    def apply(self, task: Task, *, choices: Choices, pool: Pool) -> Altered | Skipped:
        """The changed task, or why it stays. Pure: the given task is not touched, and the same arguments give the same result.

        An answer made of the first allowed values of the changed ground truth passes wherever it passed before.
        """
        ...


@runtime_checkable
class JointAlteration(Protocol):
    """A change that needs something from outside, and so is made to many tasks together. Made like an `Alteration`.

    Which tasks are changed is decided before: it is given those that it suits and that `percent` chose, and no others are asked about.
    """

    version: str
    """What it works with, for the manifest."""

    def unsuited(self, task: Task) -> Skipped | None:
        """Why the task stays, whatever comes from outside; None for a task that may be changed. Pure."""
        ...

    def apply_all(self, tasks: Sequence[Task], *, seed: str, index: int, means: Means) -> list[Altered | Skipped]:
        """One outcome per task, in order; `index` is the alteration's place in the spec. Raises InfrastructureFault.

        As for `Alteration`, the right answer stays right. The same tasks, seed and kept answers give the same outcomes.
        """
        ...
