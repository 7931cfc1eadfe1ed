"""Two models on the same tasks, compared task by task. Pure.

Both answered the same questions, so the difference per task is what varies, not the tasks' difficulty: a paired comparison tells models
apart with far fewer tasks than two separate intervals do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bitagent_evaluator.reports.mcnemar import mcnemar_p
from bitagent_evaluator.reports.reading import Results, ResultsError, task_score
from bitagent_evaluator.scoring.bootstrap import interval

MIN_DIFFERING = 6
"""With fewer differing tasks no exact two-sided test reaches 5 % (2 / 2**6 is the first below it), whatever a bootstrap says."""


class Finding(StrEnum):
    """What a comparison shows, in words."""

    A_BETTER = "A is better"
    B_BETTER = "B is better"
    NO_DIFFERENCE = "no difference shown"


@dataclass(frozen=True)
class Pair:
    """One task that both models answered."""

    id: str
    category: str
    a_score: float
    b_score: float
    a_passed: bool
    b_passed: bool

    @property
    def differs(self) -> bool:
        """Whether the models' scores or verdicts differ."""
        return self.a_score != self.b_score or self.a_passed != self.b_passed


@dataclass(frozen=True)
class Contrast:
    """A and B over some tasks."""

    total: int
    a_score: float
    b_score: float
    difference: float
    """`a_score - b_score`."""
    interval: tuple[float, float]
    """95 % confidence interval of the difference, by bootstrap over the tasks, paired."""
    only_a: int
    """Tasks that A alone passed."""
    only_b: int
    both: int
    p_value: float
    """Exact McNemar test on passed."""


@dataclass(frozen=True)
class Comparison:
    """Outcome of a comparison."""

    finding: Finding
    overall: Contrast
    categories: dict[str, Contrast]
    """By category, sorted by name. Many categories make it likely that one of them seems to differ."""
    differing: list[Pair]
    """In the order of the tasks."""


def compare(a: Results, b: Results) -> Comparison:
    """Compare two results. Raises ResultsError when they are not about the same tasks under the same rules."""
    seed = check_comparable(a, b)
    verdicts = {verdict.id: verdict for verdict in b.verdicts}
    pairs = [
        Pair(
            id=first.id,
            category=first.category,
            a_score=task_score(first),
            b_score=task_score(verdicts[first.id]),
            a_passed=first.passed,
            b_passed=verdicts[first.id].passed,
        )
        for first in a.verdicts
    ]
    overall = _contrast(pairs, seed)
    names = sorted({pair.category for pair in pairs})
    categories = {name: _contrast([pair for pair in pairs if pair.category == name], seed) for name in names}
    differing = [pair for pair in pairs if pair.differs]
    return Comparison(_finding(overall, len(differing)), overall, categories, differing)


def check_comparable(a: Results, b: Results) -> str:
    """The digest of the task set that both are about. Raises ResultsError when they are not about the same tasks under the same rules."""
    digest = a.manifest.task_set_digest
    if digest != b.manifest.task_set_digest:
        message = f"{a.directory} and {b.directory} are about different task sets ({digest}, {b.manifest.task_set_digest}); run both models on one"
        raise ResultsError(message)
    if a.manifest.scorer != b.manifest.scorer:
        message = f"{a.directory} was judged by {a.manifest.scorer}, {b.directory} by {b.manifest.scorer}; judge both by one scorer"
        raise ResultsError(message)
    if {verdict.id for verdict in a.verdicts} != {verdict.id for verdict in b.verdicts}:
        raise ResultsError(f"{a.directory} and {b.directory} name one task set, but have verdicts on different tasks")
    return digest


def _contrast(pairs: Sequence[Pair], seed: str) -> Contrast:
    total = max(1, len(pairs))
    differences = [pair.a_score - pair.b_score for pair in pairs]
    a_score = sum(pair.a_score for pair in pairs) / total
    b_score = sum(pair.b_score for pair in pairs) / total
    only_a = sum(pair.a_passed and not pair.b_passed for pair in pairs)
    only_b = sum(pair.b_passed and not pair.a_passed for pair in pairs)
    return Contrast(
        total=len(pairs),
        a_score=a_score,
        b_score=b_score,
        difference=a_score - b_score,
        interval=interval(differences, seed=seed) if differences else (0.0, 0.0),
        only_a=only_a,
        only_b=only_b,
        both=sum(pair.a_passed and pair.b_passed for pair in pairs),
        p_value=mcnemar_p(only_a, only_b),
    )


def _finding(overall: Contrast, differing: int) -> Finding:
    low, high = overall.interval
    if differing < MIN_DIFFERING or low <= 0.0 <= high:
        return Finding.NO_DIFFERENCE
    return Finding.A_BETTER if low > 0.0 else Finding.B_BETTER
