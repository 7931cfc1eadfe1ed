"""What a model may spend on its answers: generated tokens over all tasks, and time.

Tokens. Tasks have an order: conversations, then single turns, each in the order of the task set. A task counts if the
tasks before it took fewer tokens than the budget; the one that spends the last tokens still counts. That is a function
of the answers alone, so it is the same for every batch, schedule, machine and restart. While an engine generates, the
sum over what is known so far bounds it from below: a task that cannot count by that sum is ended or never started.
Ending it changes no result, and saves the time that a model without an end would take from the others.

Time. Seconds of generating add up over attempts. What is unanswered when they are over has no answer. Which tasks that
are depends on the machine, so it cannot be repeated exactly. An engine that generated nothing at all in that time
is the machine's fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import RunSpec
from bitagent_crds.results import Response, Unanswered
from bitagent_evaluator.support.faults import InfrastructureFault

Clock = Callable[[], float]
"""Returns seconds, such as `time.monotonic`."""


@dataclass(frozen=True)
class UnansweredTask:
    """Why a task has no answer that counts."""

    cause: Unanswered
    detail: str
    """In words, for the verdict."""


@dataclass(frozen=True)
class Budget:
    """Bounds of one run."""

    tokens: int | None = None
    """Generated tokens over all tasks; None: no bound."""
    seconds: float | None = None
    """Seconds of generating over all attempts; None: no bound."""

    @classmethod
    def of(cls, run: RunSpec, tasks: int) -> Budget:
        """Return the bounds of a run with so many tasks."""
        mean = run.mean_answer_tokens
        return cls(tokens=None if mean is None else mean * tasks, seconds=run.generate_seconds)


def count_within(order: Sequence[str], tokens: Mapping[str, int], budget: int | None) -> int:
    """Return how many tasks from the first on may count, if tasks took so many tokens; unknown ones took none."""
    if budget is None:
        return len(order)
    spent = 0
    for index, task_id in enumerate(order):
        if spent >= budget:
            return index
        spent += tokens.get(task_id, 0)
    return len(order)


@dataclass
class Meter:
    """What one run has spent so far."""

    order: Sequence[str]
    """Ids of the tasks that can be asked, in the order in which the budget is spent."""
    budget: Budget
    tokens: dict[str, int] = field(default_factory=dict)
    """Tokens of the finished steps of each task, with those of earlier attempts."""
    earlier_seconds: float = 0.0
    """Seconds of generating in earlier attempts."""
    clock: Clock = time.monotonic
    progressed: bool = False
    """Whether an engine has generated anything in this attempt."""
    _started: float | None = None

    def __post_init__(self) -> None:
        self._positions = {task_id: index for index, task_id in enumerate(self.order)}
        self._total = sum(self.tokens.values())
        self._known = frozenset(self.tokens)
        """Tasks of earlier attempts, whose numbers are final, whatever is done in their name again."""

    def start(self) -> None:
        """Start counting the time of this attempt."""
        self._started = self.clock()

    @property
    def attempt_seconds(self) -> float:
        """Seconds of generating in this attempt."""
        return 0.0 if self._started is None else self.clock() - self._started

    @property
    def seconds(self) -> float:
        """Seconds of generating in all attempts. Those of an engine that generated nothing do not count."""
        return self.earlier_seconds + (self.attempt_seconds if self.progressed else 0.0)

    @property
    def out_of_time(self) -> bool:
        """Whether the time of the model is over. Raises InfrastructureFault if its engine generated nothing in it."""
        limit = self.budget.seconds
        if limit is None or self.earlier_seconds + self.attempt_seconds < limit:
            return False
        if self._started is not None and not self.progressed:
            message = f"the engine generated nothing in {self.attempt_seconds:.0f} s after it was ready"
            raise InfrastructureFault(Reason.ENGINE_STALLED, message)
        return True

    def add(self, task_id: str, tokens: int) -> None:
        """Record a finished step of a task."""
        self.progressed = True
        if task_id in self._known:
            return
        self.tokens[task_id] = self.tokens.get(task_id, 0) + tokens
        self._total += tokens

    def hopeless(self, task_ids: Iterable[str], generating: Mapping[str, int] | None = None) -> set[str]:
        """Return the tasks that cannot count; `generating`: tokens so far of steps that are not finished."""
        self.progressed = self.progressed or any((generating or {}).values())
        generating = {key: tokens for key, tokens in (generating or {}).items() if key not in self._known}
        limit = self.budget.tokens
        if limit is None or self._total + sum(generating.values()) < limit:
            return set()
        known = {**self.tokens, **{key: self.tokens.get(key, 0) + tokens for key, tokens in generating.items()}}
        count = count_within(self.order, known, limit)
        return {task_id for task_id in task_ids if self._positions[task_id] >= count}

    def left(self, answered: Collection[str]) -> list[str]:
        """Return the tasks that need an answer; none if the time is over."""
        if self.out_of_time:
            return []
        hopeless = self.hopeless(self.order)
        return [task_id for task_id in self.order if task_id not in answered and task_id not in hopeless]

    def settle(self, responses: Mapping[str, Response]) -> tuple[dict[str, Response], dict[str, UnansweredTask]]:
        """Return the answers that count, and why other tasks of the order have none.

        A task that an engine left without an answer, although nothing was spent, is in neither.
        """
        tokens = {task_id: response.completion_tokens for task_id, response in responses.items()}
        count = count_within(self.order, tokens, self.budget.tokens)
        kept = {task_id: responses[task_id] for task_id in self.order[:count] if task_id in responses}
        spent = f"the {self.budget.tokens or 0:,} tokens for all tasks were spent on earlier tasks"
        why = {task_id: UnansweredTask(Unanswered.BUDGET_EXCEEDED, spent) for task_id in self.order[count:]}
        if self.out_of_time:
            text = f"the {self.budget.seconds:g} s for generating were over"
            late = [task_id for task_id in self.order[:count] if task_id not in kept]
            why |= {task_id: UnansweredTask(Unanswered.TIME_EXCEEDED, text) for task_id in late}
        return kept, why
