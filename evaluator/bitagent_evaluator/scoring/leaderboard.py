"""The columns of the Berkeley Function Calling Leaderboard, computed from a run's categories as bfcl-eval computes them. Pure.

    Non-Live AST Acc      mean of simple (itself the mean of Python, Java and JavaScript), multiple, parallel and parallel multiple
    Live Acc              all live cases that expect calls in one pot, so that large categories weigh more
    Multi Turn Acc        mean of the four categories
    Irrelevance Detection mean of irrelevance and live irrelevance; Relevance Detection is live relevance

A column is given only when all of its categories were asked. The leaderboard's own `Overall Acc` is 10 % each of the first two and of irrelevance, 30 % multi-turn
and 40 % agentic; agentic categories need a network and are not asked here, so there is no column of that name. `Overall Acc without Agentic` has the
leaderboard's other weights, which then make 60 % in all. Columns equal the leaderboard's when the categories were asked in full and unaltered; of a
sample they are estimates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from bitagent_crds.fields import score_text
from bitagent_crds.results import CategoryScore
from bitagent_crds.sources import BfclCategory


@dataclass(frozen=True)
class Share:
    """What part of so many cases passed."""

    accuracy: Fraction
    cases: int


class Formula(Protocol):
    """How a column comes about."""

    def value(self, categories: Mapping[str, CategoryScore]) -> Share | None:
        """The column's value; None when a category that it needs was not asked."""
        ...


@dataclass(frozen=True)
class Category:
    """One category."""

    name: BfclCategory

    def value(self, categories: Mapping[str, CategoryScore]) -> Share | None:
        """Passed of all."""
        of = categories.get(self.name)
        return Share(Fraction(of.passed, of.total), of.total) if of and of.total else None


@dataclass(frozen=True)
class Weighted:
    """A mean of other formulas with fixed weights, whatever their numbers of cases."""

    parts: tuple[tuple[int, Formula], ...]

    def value(self, categories: Mapping[str, CategoryScore]) -> Share | None:
        """The mean over all parts."""
        weighted = [(weight, share) for weight, part in self.parts if (share := part.value(categories))]
        if len(weighted) < len(self.parts):
            return None
        total = sum((weight * share.accuracy for weight, share in weighted), Fraction())
        return Share(total / sum(weight for weight, _ in weighted), sum(share.cases for _, share in weighted))


@dataclass(frozen=True)
class Pooled:
    """A mean in which every case weighs the same."""

    parts: tuple[Formula, ...]

    def value(self, categories: Mapping[str, CategoryScore]) -> Share | None:
        """The mean over all cases."""
        shares = [share for part in self.parts if (share := part.value(categories))]
        if len(shares) < len(self.parts):
            return None
        cases = sum(share.cases for share in shares)
        return Share(sum((share.accuracy * share.cases for share in shares), Fraction()) / cases, cases)


def _mean(*parts: Formula) -> Weighted:
    return Weighted(tuple((1, part) for part in parts))


_SIMPLE = _mean(
    Category(BfclCategory.SIMPLE_PYTHON), Category(BfclCategory.SIMPLE_JAVA), Category(BfclCategory.SIMPLE_JAVASCRIPT)
)
_MULTIPLE = Category(BfclCategory.MULTIPLE)
_PARALLEL = Category(BfclCategory.PARALLEL)
_PARALLEL_MULTIPLE = Category(BfclCategory.PARALLEL_MULTIPLE)
_NON_LIVE = _mean(_SIMPLE, _MULTIPLE, _PARALLEL, _PARALLEL_MULTIPLE)
_LIVE = {
    "Live Simple AST": Category(BfclCategory.LIVE_SIMPLE),
    "Live Multiple AST": Category(BfclCategory.LIVE_MULTIPLE),
    "Live Parallel AST": Category(BfclCategory.LIVE_PARALLEL),
    "Live Parallel Multiple AST": Category(BfclCategory.LIVE_PARALLEL_MULTIPLE),
}
_MULTI_TURN = {
    "Multi Turn Base": Category(BfclCategory.MULTI_TURN_BASE),
    "Multi Turn Miss Func": Category(BfclCategory.MULTI_TURN_MISS_FUNC),
    "Multi Turn Miss Param": Category(BfclCategory.MULTI_TURN_MISS_PARAM),
    "Multi Turn Long Context": Category(BfclCategory.MULTI_TURN_LONG_CONTEXT),
}
_LIVE_ALL = Pooled(tuple(_LIVE.values()))
_MULTI_TURN_ALL = _mean(*_MULTI_TURN.values())
_IRRELEVANCE = _mean(Category(BfclCategory.IRRELEVANCE), Category(BfclCategory.LIVE_IRRELEVANCE))

OVERALL = "Overall Acc without Agentic"
COLUMNS: Mapping[str, Formula] = {
    OVERALL: Weighted(((10, _NON_LIVE), (10, _LIVE_ALL), (10, _IRRELEVANCE), (30, _MULTI_TURN_ALL))),
    "Non-Live AST Acc": _NON_LIVE,
    "Non-Live Simple AST": _SIMPLE,
    "Non-Live Multiple AST": _MULTIPLE,
    "Non-Live Parallel AST": _PARALLEL,
    "Non-Live Parallel Multiple AST": _PARALLEL_MULTIPLE,
    "Live Acc": _LIVE_ALL,
    **_LIVE,
    "Multi Turn Acc": _MULTI_TURN_ALL,
    **_MULTI_TURN,
    "Relevance Detection": Category(BfclCategory.LIVE_RELEVANCE),
    "Irrelevance Detection": _IRRELEVANCE,
}
"""Formulas by column, named and ordered as in the leaderboard's overall table."""


def columns(categories: Mapping[str, CategoryScore]) -> dict[str, str]:
    """The columns that the categories allow, as the contract writes scores."""
    values = {name: formula.value(categories) for name, formula in COLUMNS.items()}
    return {name: score_text(float(share.accuracy), 1) for name, share in values.items() if share}
