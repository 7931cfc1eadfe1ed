"""The interface of scorers, and the verdicts that several of them give."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from bitagent_crds.evaluation import Aggregation, LossParameters
from bitagent_crds.results import Verdict
from bitagent_crds.task_set import Task
from bitagent_evaluator.parsing import ParsedResponse
from bitagent_evaluator.scoring.aggregate import Aggregate
from bitagent_evaluator.support.text import escape_unprintable

REFUSED = "ast_decoder:refused"
"""Error of an answer that is refused, see parsing.Unreadable."""
MAX_DETAIL = 400
"""Longest explanation in a verdict, in characters."""


@runtime_checkable
class Scorer(Protocol):
    """Scores answers. A scorer is a class that is created without arguments."""

    def verdicts(self, answers: Iterable[tuple[Task, ParsedResponse]]) -> Iterator[Verdict]:
        """Yield one verdict for each task with its response, in order.

        A verdict is yielded before the next response is read, because responses may still be arriving. No response may
        make it raise, hang or execute anything.
        """
        ...


@runtime_checkable
class ScoresMissingResponses(Protocol):
    """A scorer that has its own verdict for a task without a response."""

    def missing_response(self, task: Task) -> Verdict:
        """Return the verdict for such a task."""
        ...


@runtime_checkable
class Aggregates(Protocol):
    """A scorer that makes the result from its verdicts itself, in place of their mean score."""

    def aggregate(
        self, verdicts: Sequence[Verdict], *, seed: str | None, loss: LossParameters, aggregation: Aggregation
    ) -> Aggregate:
        """Return the result of `verdicts`, which are in the order of the tasks."""
        ...


def pass_fail(task: Task, error: str, detail: str) -> Verdict:
    """Return a verdict of all or nothing: passed with score 1 if `error` is empty, else failed with score 0."""
    return Verdict(
        id=task.id,
        category=task.category,
        passed=not error,
        score=0.0 if error else 1.0,
        error=error,
        detail=verdict_detail(detail),
    )


def verdict_detail(text: str) -> str:
    """Return an explanation for a verdict: cut to MAX_DETAIL, with unprintable characters of the model escaped."""
    cut = text[:MAX_DETAIL]
    return cut if cut.isprintable() else escape_unprintable(cut)[:MAX_DETAIL]
